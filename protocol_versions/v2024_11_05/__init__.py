# ruff: noqa: F403, F405
"""Wire shapes of revision 2024-11-05, complete.

Source: modelcontextprotocol/modelcontextprotocol schema/2024-11-05/schema.json (sha256 below). Shapes have
the names of its definitions; the parameters of request X are `XParams`, as later schemas call them.
Invariant: every legal body of this revision converts to its slot's Struct; unknown members are ignored.
"""

from __future__ import annotations

from typing import Final

from protocol_versions.base import Revision, Traits
from protocol_versions.shapes import slots
from protocol_versions.v2024_11_05.asks import *
from protocol_versions.v2024_11_05.common import *
from protocol_versions.v2024_11_05.content import *
from protocol_versions.v2024_11_05.features import *

SCHEMA_SHA256: Final = "61cea2392d4f284092d09bc84b9ac488c0d5618ac2b38a56942fc5b99fd960ce"

REVISION: Final = Revision(
    id="2024-11-05",
    traits=Traits(
        sessions=True,
        batching=False,
        get_stream=False,
        resumable=False,
        priming=False,
        server_requests=True,
        version_header=False,
        method_headers=False,
        http_sse=True,
        structured_errors_without_id=False,
        origin_status_named=False,
    ),
    types=slots(
        requests={
            "initialize": (InitializeRequestParams, InitializeResult),
            "ping": (RequestParams, EmptyResult),
            "tools/list": (PaginatedRequestParams, ListToolsResult),
            "tools/call": (CallToolRequestParams, CallToolResult),
            "resources/list": (PaginatedRequestParams, ListResourcesResult),
            "resources/templates/list": (PaginatedRequestParams, ListResourceTemplatesResult),
            "resources/read": (ResourceRequestParams, ReadResourceResult),
            "resources/subscribe": (ResourceRequestParams, EmptyResult),
            "resources/unsubscribe": (ResourceRequestParams, EmptyResult),
            "prompts/list": (PaginatedRequestParams, ListPromptsResult),
            "prompts/get": (GetPromptRequestParams, GetPromptResult),
            "completion/complete": (CompleteRequestParams, CompleteResult),
            "logging/setLevel": (SetLevelRequestParams, EmptyResult),
        },
        asks={
            "ping": (RequestParams, EmptyResult),
            "roots/list": (RequestParams, ListRootsResult),
            "sampling/createMessage": (CreateMessageRequestParams, CreateMessageResult),
        },
        to_server={
            "notifications/initialized": NotificationParams,
            "notifications/cancelled": CancelledNotificationParams,
            "notifications/progress": ProgressNotificationParams,
            "notifications/roots/list_changed": NotificationParams,
        },
        to_client={
            "notifications/cancelled": CancelledNotificationParams,
            "notifications/progress": ProgressNotificationParams,
            "notifications/message": LoggingMessageNotificationParams,
            "notifications/tools/list_changed": NotificationParams,
            "notifications/resources/list_changed": NotificationParams,
            "notifications/resources/updated": ResourceUpdatedNotificationParams,
            "notifications/prompts/list_changed": NotificationParams,
        },
    ),
    client_capabilities=ClientCapabilities,
    server_capabilities=ServerCapabilities,
)
