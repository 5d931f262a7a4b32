"""Revision 2025-11-25: elicitation by form and by URL, and the schemas of elicited fields."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, UnsetType, field

from protocol_versions import v2024_11_05 as first
from protocol_versions import v2025_06_18 as before
from protocol_versions.base import Wire
from protocol_versions.shapes import Checked, any_of
from protocol_versions.v2025_11_25.common import TaskAugmentedRequestParams


class StringSchema(before.StringSchema):
    default: str | UnsetType = UNSET


class NumberSchema(before.NumberSchema):
    default: float | UnsetType = UNSET


class ConstTitle(Wire):
    """One titled choice."""

    const: str
    title: str


class SingleSelectSchema(before.FieldSchema, kw_only=True):
    type: Literal["string"]
    default: str | UnsetType = UNSET


class UntitledSingleSelectEnumSchema(SingleSelectSchema, kw_only=True):
    enum: list[str]


class TitledSingleSelectEnumSchema(SingleSelectSchema, kw_only=True):
    one_of: list[ConstTitle]


class LegacyTitledEnumSchema(UntitledSingleSelectEnumSchema):
    enum_names: list[str] | UnsetType = UNSET


class UntitledItems(Wire):
    type: Literal["string"]
    enum: list[str]


class TitledItems(Wire):
    any_of: list[ConstTitle]


class MultiSelectSchema(before.FieldSchema, kw_only=True):
    type: Literal["array"]
    default: list[str] | UnsetType = UNSET
    min_items: int | UnsetType = UNSET
    max_items: int | UnsetType = UNSET


class UntitledMultiSelectEnumSchema(MultiSelectSchema, kw_only=True):
    items: UntitledItems


class TitledMultiSelectEnumSchema(MultiSelectSchema, kw_only=True):
    items: TitledItems


PrimitiveSchemaDefinition = Annotated[
    dict[str, Any],
    any_of(
        StringSchema,
        NumberSchema,
        before.BooleanSchema,
        UntitledSingleSelectEnumSchema,
        TitledSingleSelectEnumSchema,
        UntitledMultiSelectEnumSchema,
        TitledMultiSelectEnumSchema,
        LegacyTitledEnumSchema,
    ),
]


class RequestedSchema(Checked):
    type: Literal["object"]
    properties: dict[str, PrimitiveSchemaDefinition]
    required: list[str] | UnsetType = UNSET
    schema: str | UnsetType = field(name="$schema", default=UNSET)


class ElicitRequestFormParams(TaskAugmentedRequestParams, kw_only=True):
    message: str
    requested_schema: RequestedSchema
    mode: Literal["form"] | UnsetType = UNSET


class ElicitRequestURLParams(TaskAugmentedRequestParams, kw_only=True):
    mode: Literal["url"]
    message: str
    url: str
    elicitation_id: str


class ElicitResult(first.Result, kw_only=True):
    action: Literal["accept", "decline", "cancel"]
    content: dict[str, str | float | bool | list[str]] | UnsetType = UNSET


class ElicitationCompleteNotificationParams(first.NotificationParams, kw_only=True):
    elicitation_id: str


class URLElicitations(Wire):
    """The data of error -32042."""

    elicitations: list[ElicitRequestURLParams]


class URLElicitationRequiredError(Wire):
    code: Literal[-32042]
    message: str
    data: URLElicitations
