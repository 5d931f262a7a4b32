"""Wire shapes of revision 2025-06-18; only what differs from 2025-03-26 is spelled out.

Source: modelcontextprotocol/modelcontextprotocol schema/2025-06-18/schema.json (sha256 below). `_meta`,
`title` and `lastModified` arrive in so many places that most shapes are respelled. Invariant: every legal
body of this revision converts to its slot's Struct; unknown members are ignored.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from msgspec import UNSET, UnsetType, field, structs

from protocol_versions import v2024_11_05 as first
from protocol_versions import v2025_03_26 as before
from protocol_versions.base import Revision, Wire
from protocol_versions.shapes import Checked, Object, Role, any_of, slots

SCHEMA_SHA256: Final = "af845e7e5b9d27107d1690f0936022546177a1403e63ffb11470135b296a2e01"


class Annotations(first.Annotations):
    last_modified: str | UnsetType = UNSET


class Decorated(Wire):
    """What content blocks and resources share from this revision on."""

    annotations: Annotations | UnsetType = UNSET
    meta: Object | UnsetType = field(name="_meta", default=UNSET)


class TextResourceContents(first.TextResourceContents):
    meta: Object | UnsetType = field(name="_meta", default=UNSET)


class BlobResourceContents(first.BlobResourceContents):
    meta: Object | UnsetType = field(name="_meta", default=UNSET)


AnyResourceContents = Annotated[dict[str, Any], any_of(TextResourceContents, BlobResourceContents)]


class TextContent(Decorated, tag_field="type", tag="text", kw_only=True):
    text: str


class ImageContent(Decorated, tag_field="type", tag="image", kw_only=True):
    data: str
    mime_type: str


class AudioContent(Decorated, tag_field="type", tag="audio", kw_only=True):
    data: str
    mime_type: str


class EmbeddedResource(Checked, Decorated, tag_field="type", tag="resource", kw_only=True):
    resource: AnyResourceContents


class Resource(Decorated, kw_only=True):
    uri: str
    name: str
    title: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    mime_type: str | UnsetType = UNSET
    size: int | UnsetType = UNSET


class ResourceLink(Resource, tag_field="type", tag="resource_link"):
    """A resource by reference, as a content block."""


ContentBlock = TextContent | ImageContent | AudioContent | ResourceLink | EmbeddedResource
SamplingContent = TextContent | ImageContent | AudioContent


class ResourceTemplate(Decorated, kw_only=True):
    uri_template: str
    name: str
    title: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    mime_type: str | UnsetType = UNSET


class ListResourcesResult(first.PaginatedResult, kw_only=True):
    resources: list[Resource]


class ListResourceTemplatesResult(first.PaginatedResult, kw_only=True):
    resource_templates: list[ResourceTemplate]


class ReadResourceResult(Checked, first.Result, kw_only=True):
    contents: list[AnyResourceContents]


class Tool(before.Tool):
    title: str | UnsetType = UNSET
    output_schema: first.ObjectSchema | UnsetType = UNSET
    meta: Object | UnsetType = field(name="_meta", default=UNSET)


class ListToolsResult(first.PaginatedResult, kw_only=True):
    tools: list[Tool]


class CallToolResult(first.Result, kw_only=True):
    content: list[ContentBlock]
    structured_content: Object | UnsetType = UNSET
    is_error: bool | UnsetType = UNSET


class PromptArgument(first.PromptArgument):
    title: str | UnsetType = UNSET


class Prompt(Wire):
    name: str
    title: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    arguments: list[PromptArgument] | UnsetType = UNSET
    meta: Object | UnsetType = field(name="_meta", default=UNSET)


class ListPromptsResult(first.PaginatedResult, kw_only=True):
    prompts: list[Prompt]


class PromptMessage(Wire):
    role: Role
    content: ContentBlock


class GetPromptResult(first.Result, kw_only=True):
    messages: list[PromptMessage]
    description: str | UnsetType = UNSET


class PromptReference(first.PromptReference):
    title: str | UnsetType = UNSET


class ResourceTemplateReference(first.ResourceReference):
    """The same shape under its later name."""


class CompletionContext(Wire):
    arguments: dict[str, str] | UnsetType = UNSET


class CompleteRequestParams(first.RequestParams, kw_only=True):
    ref: PromptReference | ResourceTemplateReference
    argument: first.CompletionArgument
    context: CompletionContext | UnsetType = UNSET


class Root(first.Root):
    meta: Object | UnsetType = field(name="_meta", default=UNSET)


class ListRootsResult(first.Result, kw_only=True):
    roots: list[Root]


class SamplingMessage(Wire):
    role: Role
    content: SamplingContent


class CreateMessageRequestParams(first.SamplingSettings, kw_only=True):
    messages: list[SamplingMessage]


class CreateMessageResult(first.Sampled, kw_only=True):
    content: SamplingContent


class FieldSchema(Wire):
    """What the schemas of elicited fields share."""

    title: str | UnsetType = UNSET
    description: str | UnsetType = UNSET


class StringSchema(FieldSchema, kw_only=True):
    type: Literal["string"]
    min_length: int | UnsetType = UNSET
    max_length: int | UnsetType = UNSET
    format: Literal["email", "uri", "date", "date-time"] | UnsetType = UNSET


class NumberSchema(FieldSchema, kw_only=True):
    type: Literal["number", "integer"]
    minimum: float | UnsetType = UNSET
    maximum: float | UnsetType = UNSET


class BooleanSchema(FieldSchema, kw_only=True):
    type: Literal["boolean"]
    default: bool | UnsetType = UNSET


class EnumSchema(FieldSchema, kw_only=True):
    type: Literal["string"]
    enum: list[str]
    enum_names: list[str] | UnsetType = UNSET


class RequestedSchema(Checked):
    type: Literal["object"]
    properties: dict[str, Annotated[dict[str, Any], any_of(StringSchema, NumberSchema, BooleanSchema, EnumSchema)]]
    required: list[str] | UnsetType = UNSET


class ElicitRequestParams(first.RequestParams, kw_only=True):
    message: str
    requested_schema: RequestedSchema


class ElicitResult(first.Result, kw_only=True):
    action: Literal["accept", "decline", "cancel"]
    content: dict[str, str | float | bool] | UnsetType = UNSET


class Implementation(first.Implementation):
    title: str | UnsetType = UNSET


class ClientCapabilities(first.ClientCapabilities):
    elicitation: Object | UnsetType = UNSET


class InitializeRequestParams(first.RequestParams, kw_only=True):
    protocol_version: str
    capabilities: ClientCapabilities
    client_info: Implementation


class InitializeResult(before.InitializeResult, kw_only=True):
    server_info: Implementation


REVISION: Final = Revision(
    id="2025-06-18",
    traits=structs.replace(before.REVISION.traits, batching=False, version_header=True),
    types={
        **before.REVISION.types,
        **slots(
            requests={
                "initialize": (InitializeRequestParams, InitializeResult),
                "tools/list": (first.PaginatedRequestParams, ListToolsResult),
                "tools/call": (first.CallToolRequestParams, CallToolResult),
                "resources/list": (first.PaginatedRequestParams, ListResourcesResult),
                "resources/templates/list": (first.PaginatedRequestParams, ListResourceTemplatesResult),
                "resources/read": (first.ResourceRequestParams, ReadResourceResult),
                "prompts/list": (first.PaginatedRequestParams, ListPromptsResult),
                "prompts/get": (first.GetPromptRequestParams, GetPromptResult),
                "completion/complete": (CompleteRequestParams, first.CompleteResult),
            },
            asks={
                "roots/list": (first.RequestParams, ListRootsResult),
                "sampling/createMessage": (CreateMessageRequestParams, CreateMessageResult),
                "elicitation/create": (ElicitRequestParams, ElicitResult),
            },
        ),
    },
    client_capabilities=ClientCapabilities,
    server_capabilities=before.ServerCapabilities,
)
