# ruff: noqa: F403, F405
"""Wire shapes of revision 2025-11-25; only what differs from 2025-06-18 is spelled out.

Source: modelcontextprotocol/modelcontextprotocol schema/2025-11-25/schema.json (sha256 below). Invariant:
every legal body converts to one of its slot's shapes; unknown members are ignored. Slots with several shapes:
an elicitation is by form or by URL, and a task stands for the result of a request augmented with one.
"""

from __future__ import annotations

from typing import Final

from msgspec import structs

from protocol_versions import v2024_11_05 as first
from protocol_versions import v2025_06_18 as before
from protocol_versions.base import Revision, answer, ask, result
from protocol_versions.shapes import Shape, slots
from protocol_versions.v2025_11_25.common import *
from protocol_versions.v2025_11_25.elicitation import *
from protocol_versions.v2025_11_25.features import *

SCHEMA_SHA256: Final = "268a5f82ba70fd7e4b6dc4aa1e64f116f74b4d0edcb69dc046829c79dd4e97e7"

_TASKS: Final[dict[str, tuple[Shape, Shape]]] = {
    "tasks/get": (TaskRequestParams, TaskResult),
    "tasks/result": (TaskRequestParams, first.Result),  # the result of the task's own request
    "tasks/list": (first.PaginatedRequestParams, ListTasksResult),
    "tasks/cancel": (TaskRequestParams, TaskResult),
}

REVISION: Final = Revision(
    id="2025-11-25",
    traits=structs.replace(
        before.REVISION.traits, priming=True, structured_errors_without_id=True, origin_status_named=True
    ),
    types={
        **before.REVISION.types,
        **slots(
            requests={
                "initialize": (InitializeRequestParams, InitializeResult),
                "tools/list": (first.PaginatedRequestParams, ListToolsResult),
                "tools/call": (CallToolRequestParams, CallToolResult),
                "resources/list": (first.PaginatedRequestParams, ListResourcesResult),
                "resources/templates/list": (first.PaginatedRequestParams, ListResourceTemplatesResult),
                "prompts/list": (first.PaginatedRequestParams, ListPromptsResult),
                "prompts/get": (first.GetPromptRequestParams, GetPromptResult),
                **_TASKS,
            },
            asks={
                "sampling/createMessage": (CreateMessageRequestParams, CreateMessageResult),
                "elicitation/create": (ElicitRequestFormParams, ElicitResult),
                **_TASKS,
            },
            to_server={
                "notifications/cancelled": CancelledNotificationParams,
                "notifications/tasks/status": TaskStatusNotificationParams,
            },
            to_client={
                "notifications/cancelled": CancelledNotificationParams,
                "notifications/tasks/status": TaskStatusNotificationParams,
                "notifications/elicitation/complete": ElicitationCompleteNotificationParams,
            },
        ),
    },
    alternatives={
        ask("elicitation/create"): (ElicitRequestURLParams,),
        answer("elicitation/create"): (CreateTaskResult,),
        answer("sampling/createMessage"): (CreateTaskResult,),
        result("tools/call"): (CreateTaskResult,),
    },
    errors={-32042: URLElicitationRequiredError},
    client_capabilities=ClientCapabilities,
    server_capabilities=ServerCapabilities,
)
