"""Revision 2025-11-25: bases, icons, tasks, capabilities and lifecycle."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, UnsetType, field

from protocol_versions import v2024_11_05 as first
from protocol_versions import v2025_03_26 as batched
from protocol_versions import v2025_06_18 as before
from protocol_versions.base import Wire
from protocol_versions.shapes import Object, RequestId


class Icon(Wire):
    src: str
    mime_type: str | UnsetType = UNSET
    sizes: list[str] | UnsetType = UNSET
    theme: Literal["light", "dark"] | UnsetType = UNSET


# Tasks


class TaskMetadata(Wire):
    """The wish, on a request, to run it as a task."""

    ttl: int | UnsetType = UNSET


class TaskAugmentedRequestParams(first.RequestParams):
    task: TaskMetadata | UnsetType = UNSET


TaskStatus = Literal["working", "input_required", "completed", "failed", "cancelled"]


class Task(Wire):
    task_id: str
    status: TaskStatus
    created_at: str
    last_updated_at: str
    ttl: int | None  # milliseconds; null is "unlimited": the one nullable member of the protocol
    status_message: str | UnsetType = UNSET
    poll_interval: int | UnsetType = UNSET


class CreateTaskResult(first.Result, kw_only=True):
    """The answer to a request that runs as a task, in place of its own result."""

    task: Task


class TaskResult(Task):
    """The result of tasks/get and tasks/cancel: a task and `_meta`."""

    meta: Object | UnsetType = field(name="_meta", default=UNSET)


class TaskStatusNotificationParams(Task):
    meta: Object | UnsetType = field(name="_meta", default=UNSET)


class TaskRequestParams(first.RequestParams, kw_only=True):
    """The parameters of tasks/get, tasks/result and tasks/cancel."""

    task_id: str


class ListTasksResult(first.PaginatedResult, kw_only=True):
    tasks: list[Task]


class RelatedTaskMetadata(Wire):
    """The value of `io.modelcontextprotocol/related-task` in `_meta`."""

    task_id: str


# Capabilities and lifecycle


class ElicitationCapability(Wire):
    form: Object | UnsetType = UNSET
    url: Object | UnsetType = UNSET


class SamplingCapability(Wire):
    context: Object | UnsetType = UNSET
    tools: Object | UnsetType = UNSET


class TaskedElicitation(Wire):
    create: Object | UnsetType = UNSET


class TaskedSampling(Wire):
    create_message: Object | UnsetType = UNSET


class TaskedTools(Wire):
    call: Object | UnsetType = UNSET


class ClientTaskedRequests(Wire):
    elicitation: TaskedElicitation | UnsetType = UNSET
    sampling: TaskedSampling | UnsetType = UNSET


class ServerTaskedRequests(Wire):
    tools: TaskedTools | UnsetType = UNSET


class TasksCapability(Wire):
    list: Object | UnsetType = UNSET
    cancel: Object | UnsetType = UNSET


class ClientTasksCapability(TasksCapability):
    requests: ClientTaskedRequests | UnsetType = UNSET


class ServerTasksCapability(TasksCapability):
    requests: ServerTaskedRequests | UnsetType = UNSET


class ClientCapabilities(Wire):
    experimental: dict[str, Object] | UnsetType = UNSET
    roots: first.RootsCapability | UnsetType = UNSET
    sampling: SamplingCapability | UnsetType = UNSET
    elicitation: ElicitationCapability | UnsetType = UNSET
    tasks: ClientTasksCapability | UnsetType = UNSET


class ServerCapabilities(batched.ServerCapabilities):
    tasks: ServerTasksCapability | UnsetType = UNSET


class Implementation(before.Implementation):
    description: str | UnsetType = UNSET
    icons: list[Icon] | UnsetType = UNSET
    website_url: str | UnsetType = UNSET


class InitializeRequestParams(first.RequestParams, kw_only=True):
    protocol_version: str
    capabilities: ClientCapabilities
    client_info: Implementation


class InitializeResult(before.InitializeResult, kw_only=True):
    capabilities: ServerCapabilities
    server_info: Implementation


class CancelledNotificationParams(first.NotificationParams):
    request_id: RequestId | UnsetType = UNSET  # tasks are cancelled by tasks/cancel, without it
    reason: str | UnsetType = UNSET
