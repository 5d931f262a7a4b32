"""Revision 2024-11-05: bases of parameters and results, lifecycle, notifications."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, UnsetType, field

from protocol_versions.base import Wire
from protocol_versions.shapes import Cursor, LoggingLevel, Object, ProgressToken, RequestId


class RequestMeta(Wire):
    progress_token: ProgressToken | UnsetType = UNSET


class RequestParams(Wire):
    meta: RequestMeta | UnsetType = field(name="_meta", default=UNSET)


class NotificationParams(Wire):
    meta: Object | UnsetType = field(name="_meta", default=UNSET)


class PaginatedRequestParams(RequestParams):
    cursor: Cursor | UnsetType = UNSET


class Result(Wire):
    meta: Object | UnsetType = field(name="_meta", default=UNSET)


class PaginatedResult(Result):
    next_cursor: Cursor | UnsetType = UNSET


class EmptyResult(Result):
    """Holds nothing but `_meta`: strict peers refuse any other member."""


class Implementation(Wire):
    name: str
    version: str


class RootsCapability(Wire):
    list_changed: bool | UnsetType = UNSET


class ListChangedCapability(Wire):
    list_changed: bool | UnsetType = UNSET


class ResourcesCapability(ListChangedCapability):
    subscribe: bool | UnsetType = UNSET


class ClientCapabilities(Wire):
    experimental: dict[str, Object] | UnsetType = UNSET
    roots: RootsCapability | UnsetType = UNSET
    sampling: Object | UnsetType = UNSET


class ServerCapabilities(Wire):
    experimental: dict[str, Object] | UnsetType = UNSET
    logging: Object | UnsetType = UNSET
    prompts: ListChangedCapability | UnsetType = UNSET
    resources: ResourcesCapability | UnsetType = UNSET
    tools: ListChangedCapability | UnsetType = UNSET


class InitializeRequestParams(RequestParams, kw_only=True):
    protocol_version: str
    capabilities: ClientCapabilities
    client_info: Implementation


class InitializeResult(Result, kw_only=True):
    protocol_version: str
    capabilities: ServerCapabilities
    server_info: Implementation
    instructions: str | UnsetType = UNSET


class CancelledNotificationParams(NotificationParams, kw_only=True):
    request_id: RequestId
    reason: str | UnsetType = UNSET


class ProgressNotificationParams(NotificationParams, kw_only=True):
    progress_token: ProgressToken
    progress: float
    total: float | UnsetType = UNSET


class SetLevelRequestParams(RequestParams, kw_only=True):
    level: LoggingLevel


class LoggingMessageNotificationParams(NotificationParams, kw_only=True):
    level: LoggingLevel
    data: Any
    logger: str | UnsetType = UNSET
