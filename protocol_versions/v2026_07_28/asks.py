"""Revision 2026-07-28: what servers ask, as `inputRequests` of an interim result, and how clients answer."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, UnsetType, field

from protocol_versions import v2024_11_05 as first
from protocol_versions import v2025_06_18 as decorated
from protocol_versions import v2025_11_25 as before
from protocol_versions.base import Wire
from protocol_versions.shapes import Checked, Object, Role, any_of
from protocol_versions.v2026_07_28.common import RequestParams, Result
from protocol_versions.v2026_07_28.tools import Tool


class ToolResultContent(Wire, tag_field="type", tag="tool_result"):
    tool_use_id: str
    content: list[before.ContentBlock]
    structured_content: Any = UNSET
    is_error: bool | UnsetType = UNSET
    meta: Object | UnsetType = field(name="_meta", default=UNSET)


SamplingMessageContentBlock = (
    decorated.TextContent | decorated.ImageContent | decorated.AudioContent | before.ToolUseContent | ToolResultContent
)


class SamplingMessage(Wire):
    role: Role
    content: SamplingMessageContentBlock | list[SamplingMessageContentBlock]
    meta: Object | UnsetType = field(name="_meta", default=UNSET)


class CreateMessageRequestParams(Wire):
    messages: list[SamplingMessage]
    max_tokens: int
    model_preferences: first.ModelPreferences | UnsetType = UNSET
    system_prompt: str | UnsetType = UNSET
    include_context: Literal["none", "thisServer", "allServers"] | UnsetType = UNSET
    temperature: float | UnsetType = UNSET
    stop_sequences: list[str] | UnsetType = UNSET
    metadata: Object | UnsetType = UNSET
    tools: list[Tool] | UnsetType = UNSET
    tool_choice: before.ToolChoice | UnsetType = UNSET


class CreateMessageResult(first.Sampled, kw_only=True):
    content: SamplingMessageContentBlock | list[SamplingMessageContentBlock]


class ListRootsRequestParams(Wire):
    meta: Object | UnsetType = field(name="_meta", default=UNSET)


class ListRootsResult(Wire):
    roots: list[decorated.Root]


class ElicitRequestFormParams(Wire):
    message: str
    requested_schema: before.RequestedSchema
    mode: Literal["form"] | UnsetType = UNSET


class ElicitRequestURLParams(Wire):
    mode: Literal["url"]
    message: str
    url: str


class ElicitResult(Wire):
    action: Literal["accept", "decline", "cancel"]
    content: dict[str, str | float | bool | list[str]] | UnsetType = UNSET


class CreateMessageRequest(Wire, tag_field="method", tag="sampling/createMessage"):
    params: CreateMessageRequestParams


class ListRootsRequest(Wire, tag_field="method", tag="roots/list"):
    params: ListRootsRequestParams | UnsetType = UNSET


class ElicitRequest(Checked, tag_field="method", tag="elicitation/create"):
    params: Annotated[dict[str, Any], any_of(ElicitRequestFormParams, ElicitRequestURLParams)]


InputRequest = CreateMessageRequest | ListRootsRequest | ElicitRequest
InputResponse = Annotated[dict[str, Any], any_of(CreateMessageResult, ListRootsResult, ElicitResult)]


class InputRequiredResult(Result, kw_only=True):
    """The interim result: answer the questions, if any, and send the request again."""

    result_type: Literal["input_required"]
    input_requests: dict[str, InputRequest] | UnsetType = UNSET
    request_state: str | UnsetType = UNSET


class InputResponseRequestParams(Checked, RequestParams):
    """What a repeated request carries besides its own parameters."""

    input_responses: dict[str, InputResponse] | UnsetType = UNSET
    request_state: str | UnsetType = UNSET
