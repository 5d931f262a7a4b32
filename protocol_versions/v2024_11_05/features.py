"""Revision 2024-11-05: what servers offer: tools, resources, prompts, completion."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, UnsetType

from protocol_versions.base import Wire
from protocol_versions.shapes import Checked, Object, Role
from protocol_versions.v2024_11_05.common import NotificationParams, PaginatedResult, RequestParams, Result
from protocol_versions.v2024_11_05.content import Annotations, AnyResourceContents, ContentBlock


class ObjectSchema(Wire):
    """The JSON Schema of a tool's arguments, as far as the protocol reads it."""

    type: Literal["object"]
    properties: dict[str, Object] | UnsetType = UNSET
    required: list[str] | UnsetType = UNSET


class Tool(Wire):
    name: str
    input_schema: ObjectSchema
    description: str | UnsetType = UNSET


class ListToolsResult(PaginatedResult, kw_only=True):
    tools: list[Tool]


class CallToolRequestParams(RequestParams, kw_only=True):
    name: str
    arguments: Object | UnsetType = UNSET


class CallToolResult(Result, kw_only=True):
    content: list[ContentBlock]
    is_error: bool | UnsetType = UNSET


class Resource(Wire):
    uri: str
    name: str
    description: str | UnsetType = UNSET
    mime_type: str | UnsetType = UNSET
    annotations: Annotations | UnsetType = UNSET
    size: int | UnsetType = UNSET


class ResourceTemplate(Wire):
    uri_template: str
    name: str
    description: str | UnsetType = UNSET
    mime_type: str | UnsetType = UNSET
    annotations: Annotations | UnsetType = UNSET


class ListResourcesResult(PaginatedResult, kw_only=True):
    resources: list[Resource]


class ListResourceTemplatesResult(PaginatedResult, kw_only=True):
    resource_templates: list[ResourceTemplate]


class ResourceRequestParams(RequestParams, kw_only=True):
    """The parameters of resources/read, resources/subscribe and resources/unsubscribe."""

    uri: str


class ReadResourceResult(Checked, Result, kw_only=True):
    contents: list[AnyResourceContents]


class ResourceUpdatedNotificationParams(NotificationParams, kw_only=True):
    uri: str


class PromptArgument(Wire):
    name: str
    description: str | UnsetType = UNSET
    required: bool | UnsetType = UNSET


class Prompt(Wire):
    name: str
    description: str | UnsetType = UNSET
    arguments: list[PromptArgument] | UnsetType = UNSET


class ListPromptsResult(PaginatedResult, kw_only=True):
    prompts: list[Prompt]


class GetPromptRequestParams(RequestParams, kw_only=True):
    name: str
    arguments: dict[str, str] | UnsetType = UNSET


class PromptMessage(Wire):
    role: Role
    content: ContentBlock


class GetPromptResult(Result, kw_only=True):
    messages: list[PromptMessage]
    description: str | UnsetType = UNSET


class PromptReference(Wire, tag_field="type", tag="ref/prompt"):
    name: str


class ResourceReference(Wire, tag_field="type", tag="ref/resource"):
    uri: str


class CompletionArgument(Wire):
    name: str
    value: str


class CompleteRequestParams(RequestParams, kw_only=True):
    ref: PromptReference | ResourceReference
    argument: CompletionArgument


class Completion(Wire):
    values: list[str]
    total: int | UnsetType = UNSET
    has_more: bool | UnsetType = UNSET


class CompleteResult(Result, kw_only=True):
    completion: Completion
