"""Revision 2025-11-25: tools, resources and prompts, with icons; tool use in sampling."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, UnsetType, field

from protocol_versions import v2024_11_05 as first
from protocol_versions import v2025_06_18 as before
from protocol_versions.base import Wire
from protocol_versions.shapes import Object, Role
from protocol_versions.v2025_11_25.common import Icon, TaskAugmentedRequestParams, TaskMetadata


class Resource(before.Resource):
    icons: list[Icon] | UnsetType = UNSET


class ResourceTemplate(before.ResourceTemplate):
    icons: list[Icon] | UnsetType = UNSET


class ListResourcesResult(first.PaginatedResult, kw_only=True):
    resources: list[Resource]


class ListResourceTemplatesResult(first.PaginatedResult, kw_only=True):
    resource_templates: list[ResourceTemplate]


class ResourceLink(before.ResourceLink):
    icons: list[Icon] | UnsetType = UNSET


ContentBlock = before.TextContent | before.ImageContent | before.AudioContent | ResourceLink | before.EmbeddedResource


class ToolExecution(Wire):
    task_support: Literal["forbidden", "optional", "required"] | UnsetType = UNSET


class ToolSchema(first.ObjectSchema):
    schema: str | UnsetType = field(name="$schema", default=UNSET)


class Tool(before.Tool, kw_only=True):
    input_schema: ToolSchema
    output_schema: ToolSchema | UnsetType = UNSET
    icons: list[Icon] | UnsetType = UNSET
    execution: ToolExecution | UnsetType = UNSET


class ListToolsResult(first.PaginatedResult, kw_only=True):
    tools: list[Tool]


class CallToolRequestParams(TaskAugmentedRequestParams, kw_only=True):
    name: str
    arguments: Object | UnsetType = UNSET


class CallToolResult(first.Result, kw_only=True):
    content: list[ContentBlock]
    structured_content: Object | UnsetType = UNSET
    is_error: bool | UnsetType = UNSET


class Prompt(before.Prompt):
    icons: list[Icon] | UnsetType = UNSET


class ListPromptsResult(first.PaginatedResult, kw_only=True):
    prompts: list[Prompt]


class PromptMessage(Wire):
    role: Role
    content: ContentBlock


class GetPromptResult(first.Result, kw_only=True):
    messages: list[PromptMessage]
    description: str | UnsetType = UNSET


# Sampling


class ToolUseContent(Wire, tag_field="type", tag="tool_use"):
    id: str
    name: str
    input: Object
    meta: Object | UnsetType = field(name="_meta", default=UNSET)


class ToolResultContent(Wire, tag_field="type", tag="tool_result"):
    tool_use_id: str
    content: list[ContentBlock]
    structured_content: Object | UnsetType = UNSET
    is_error: bool | UnsetType = UNSET
    meta: Object | UnsetType = field(name="_meta", default=UNSET)


SamplingMessageContentBlock = (
    before.TextContent | before.ImageContent | before.AudioContent | ToolUseContent | ToolResultContent
)


class SamplingMessage(Wire):
    role: Role
    content: SamplingMessageContentBlock | list[SamplingMessageContentBlock]
    meta: Object | UnsetType = field(name="_meta", default=UNSET)


class ToolChoice(Wire):
    mode: Literal["auto", "required", "none"] | UnsetType = UNSET


class CreateMessageRequestParams(first.SamplingSettings, kw_only=True):
    messages: list[SamplingMessage]
    task: TaskMetadata | UnsetType = UNSET
    tools: list[Tool] | UnsetType = UNSET
    tool_choice: ToolChoice | UnsetType = UNSET


class CreateMessageResult(first.Sampled, kw_only=True):
    content: SamplingMessageContentBlock | list[SamplingMessageContentBlock]
