"""Wire shapes of revision 2025-03-26; only what differs from 2024-11-05 is spelled out.

Source: modelcontextprotocol/modelcontextprotocol schema/2025-03-26/schema.json (sha256 below). Batches
are framing. Invariant: every legal body converts to its slot's Struct; unknown members are ignored.
"""

from __future__ import annotations

from typing import Final

from msgspec import UNSET, UnsetType, structs

from protocol_versions import v2024_11_05 as before
from protocol_versions.base import Revision, Wire
from protocol_versions.shapes import Object, Role, slots

SCHEMA_SHA256: Final = "e720669548c8100a4282c49e580efd6ddf7f28899ea786fc8db251dbdb356131"


class AudioContent(Wire, tag_field="type", tag="audio"):
    data: str
    mime_type: str
    annotations: before.Annotations | UnsetType = UNSET


SamplingContent = before.TextContent | before.ImageContent | AudioContent
ContentBlock = before.TextContent | before.ImageContent | AudioContent | before.EmbeddedResource


class ToolAnnotations(Wire):
    title: str | UnsetType = UNSET
    read_only_hint: bool | UnsetType = UNSET
    destructive_hint: bool | UnsetType = UNSET
    idempotent_hint: bool | UnsetType = UNSET
    open_world_hint: bool | UnsetType = UNSET


class Tool(before.Tool):
    annotations: ToolAnnotations | UnsetType = UNSET


class ListToolsResult(before.PaginatedResult, kw_only=True):
    tools: list[Tool]


class CallToolResult(before.Result, kw_only=True):
    content: list[ContentBlock]
    is_error: bool | UnsetType = UNSET


class PromptMessage(Wire):
    role: Role
    content: ContentBlock


class GetPromptResult(before.Result, kw_only=True):
    messages: list[PromptMessage]
    description: str | UnsetType = UNSET


class SamplingMessage(Wire):
    role: Role
    content: SamplingContent


class CreateMessageRequestParams(before.SamplingSettings, kw_only=True):
    messages: list[SamplingMessage]


class CreateMessageResult(before.Sampled, kw_only=True):
    content: SamplingContent


class ProgressNotificationParams(before.ProgressNotificationParams):
    message: str | UnsetType = UNSET


class ServerCapabilities(before.ServerCapabilities):
    completions: Object | UnsetType = UNSET


class InitializeResult(before.InitializeResult, kw_only=True):
    capabilities: ServerCapabilities


REVISION: Final = Revision(
    id="2025-03-26",
    traits=structs.replace(before.REVISION.traits, batching=True, get_stream=True, resumable=True, http_sse=False),
    types={
        **before.REVISION.types,
        **slots(
            requests={
                "initialize": (before.InitializeRequestParams, InitializeResult),
                "tools/list": (before.PaginatedRequestParams, ListToolsResult),
                "tools/call": (before.CallToolRequestParams, CallToolResult),
                "prompts/get": (before.GetPromptRequestParams, GetPromptResult),
            },
            asks={"sampling/createMessage": (CreateMessageRequestParams, CreateMessageResult)},
            to_server={"notifications/progress": ProgressNotificationParams},
            to_client={"notifications/progress": ProgressNotificationParams},
        ),
    },
    client_capabilities=before.ClientCapabilities,
    server_capabilities=ServerCapabilities,
)
