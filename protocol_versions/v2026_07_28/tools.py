"""Revision 2026-07-28: tools, whose schemas are now full JSON Schema."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import UNSET, UnsetType, field

from protocol_versions import v2025_03_26 as batched
from protocol_versions import v2025_11_25 as before
from protocol_versions.base import Wire
from protocol_versions.shapes import Object
from protocol_versions.v2026_07_28.common import PaginatedResult, Result


class InputSchema(Wire):
    type: Literal["object"]
    schema: str | UnsetType = field(name="$schema", default=UNSET)


class OutputSchema(Wire):
    schema: str | UnsetType = field(name="$schema", default=UNSET)


class Tool(Wire):
    name: str
    input_schema: InputSchema
    title: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    output_schema: OutputSchema | UnsetType = UNSET
    annotations: batched.ToolAnnotations | UnsetType = UNSET
    icons: list[before.Icon] | UnsetType = UNSET
    meta: Object | UnsetType = field(name="_meta", default=UNSET)


class ListToolsResult(PaginatedResult, kw_only=True):
    tools: list[Tool]


class CallToolResult(Result, kw_only=True):
    content: list[before.ContentBlock]
    structured_content: Any = UNSET
    is_error: bool | UnsetType = UNSET
