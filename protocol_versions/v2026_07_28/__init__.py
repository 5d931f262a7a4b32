# ruff: noqa: F403, F405
"""Wire shapes of revision 2026-07-28; shapes that did not change are those of earlier revisions.

Source: modelcontextprotocol/modelcontextprotocol schema/2026-07-28/schema.json (sha256 below). Invariant:
every legal body converts to one of its slot's shapes; unknown members are ignored. The handshake is gone, so
the table of slots is written anew. Servers no longer send requests: sampling, roots and elicitation are
`embedded`, travelling inside interim results and the retries that answer them.
"""

from __future__ import annotations

from typing import Final

from protocol_versions.base import Revision, Traits, answer, ask, result
from protocol_versions.shapes import slots
from protocol_versions.v2026_07_28.asks import *
from protocol_versions.v2026_07_28.common import *
from protocol_versions.v2026_07_28.features import *
from protocol_versions.v2026_07_28.tools import *

SCHEMA_SHA256: Final = "ef70b61f99b6d2e5e3b46863822eab08dff6a45bedc7a08914e0e5b133f40203"

_ASKS: Final = ("sampling/createMessage", "roots/list", "elicitation/create")

REVISION: Final = Revision(
    id="2026-07-28",
    traits=Traits(
        sessions=False,
        batching=False,
        get_stream=False,
        resumable=False,
        priming=False,
        server_requests=False,
        version_header=True,
        method_headers=True,
        http_sse=False,
        structured_errors_without_id=True,
        origin_status_named=True,
    ),
    types=slots(
        requests={
            "server/discover": (RequestParams, DiscoverResult),
            "tools/list": (PaginatedRequestParams, ListToolsResult),
            "tools/call": (CallToolRequestParams, CallToolResult),
            "resources/list": (PaginatedRequestParams, ListResourcesResult),
            "resources/templates/list": (PaginatedRequestParams, ListResourceTemplatesResult),
            "resources/read": (ReadResourceRequestParams, ReadResourceResult),
            "prompts/list": (PaginatedRequestParams, ListPromptsResult),
            "prompts/get": (GetPromptRequestParams, GetPromptResult),
            "completion/complete": (CompleteRequestParams, CompleteResult),
            "subscriptions/listen": (SubscriptionsListenRequestParams, SubscriptionsListenResult),
        },
        asks={
            "roots/list": (ListRootsRequestParams, ListRootsResult),
            "sampling/createMessage": (CreateMessageRequestParams, CreateMessageResult),
            "elicitation/create": (ElicitRequestFormParams, ElicitResult),
        },
        to_server={"notifications/cancelled": CancelledNotificationParams},
        to_client={
            "notifications/cancelled": CancelledNotificationParams,
            "notifications/progress": ProgressNotificationParams,
            "notifications/message": LoggingMessageNotificationParams,
            "notifications/tools/list_changed": NotificationParams,
            "notifications/resources/list_changed": NotificationParams,
            "notifications/resources/updated": ResourceUpdatedNotificationParams,
            "notifications/prompts/list_changed": NotificationParams,
            "notifications/subscriptions/acknowledged": SubscriptionsAcknowledgedNotificationParams,
        },
    ),
    alternatives={
        ask("elicitation/create"): (ElicitRequestURLParams,),
        result("tools/call"): (InputRequiredResult,),
        result("prompts/get"): (InputRequiredResult,),
        result("resources/read"): (InputRequiredResult,),
    },
    embedded=frozenset(make(method) for method in _ASKS for make in (ask, answer)),
    errors={
        -32020: HeaderMismatchError,
        -32021: MissingRequiredClientCapabilityError,
        -32022: UnsupportedProtocolVersionError,
    },
    client_capabilities=ClientCapabilities,
    server_capabilities=ServerCapabilities,
)
