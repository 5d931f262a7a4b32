"""Revision 2026-07-28: what every request, result and notification carries, discovery, subscriptions."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType, field

from protocol_versions import v2025_03_26 as batched
from protocol_versions import v2025_11_25 as before
from protocol_versions.base import Wire
from protocol_versions.shapes import Cursor, LoggingLevel, Object, ProgressToken, RequestId

# Capabilities


class ClientCapabilities(Wire):
    experimental: dict[str, Object] | UnsetType = UNSET
    extensions: dict[str, Object] | UnsetType = UNSET
    roots: Object | UnsetType = UNSET
    sampling: before.SamplingCapability | UnsetType = UNSET
    elicitation: before.ElicitationCapability | UnsetType = UNSET


class ServerCapabilities(batched.ServerCapabilities):
    extensions: dict[str, Object] | UnsetType = UNSET


# Requests


class RequestMeta(Wire):
    """What the handshake used to settle, said with every request."""

    protocol_version: str = field(name="io.modelcontextprotocol/protocolVersion")
    client_capabilities: ClientCapabilities = field(name="io.modelcontextprotocol/clientCapabilities")
    client_info: before.Implementation | UnsetType = field(name="io.modelcontextprotocol/clientInfo", default=UNSET)
    log_level: LoggingLevel | UnsetType = field(name="io.modelcontextprotocol/logLevel", default=UNSET)
    progress_token: ProgressToken | UnsetType = UNSET


class RequestParams(Wire):
    meta: RequestMeta = field(name="_meta")


class PaginatedRequestParams(RequestParams):
    cursor: Cursor | UnsetType = UNSET


# Results


class ResultMeta(Wire):
    server_info: before.Implementation | UnsetType = field(name="io.modelcontextprotocol/serverInfo", default=UNSET)


class Result(Wire):
    result_type: str
    meta: ResultMeta | UnsetType = field(name="_meta", default=UNSET)


class CacheableResult(Result, kw_only=True):
    ttl_ms: Annotated[int, Meta(ge=0)]
    cache_scope: Literal["public", "private"]


class PaginatedResult(CacheableResult):
    """A page of a list; every list of this revision is also cacheable."""

    next_cursor: Cursor | UnsetType = UNSET


class DiscoverResult(CacheableResult, kw_only=True):
    supported_versions: list[str]
    capabilities: ServerCapabilities
    instructions: str | UnsetType = UNSET


# Notifications


class NotificationMeta(Wire):
    subscription_id: RequestId | UnsetType = field(name="io.modelcontextprotocol/subscriptionId", default=UNSET)


class NotificationParams(Wire):
    meta: NotificationMeta | UnsetType = field(name="_meta", default=UNSET)


class CancelledNotificationParams(NotificationParams, kw_only=True):
    request_id: RequestId
    reason: str | UnsetType = UNSET


class ProgressNotificationParams(NotificationParams, kw_only=True):
    progress_token: ProgressToken
    progress: float
    total: float | UnsetType = UNSET
    message: str | UnsetType = UNSET


class LoggingMessageNotificationParams(NotificationParams, kw_only=True):
    level: LoggingLevel
    data: Any
    logger: str | UnsetType = UNSET


class ResourceUpdatedNotificationParams(NotificationParams, kw_only=True):
    uri: str


# Subscriptions


class SubscriptionFilter(Wire):
    tools_list_changed: bool | UnsetType = UNSET
    prompts_list_changed: bool | UnsetType = UNSET
    resources_list_changed: bool | UnsetType = UNSET
    resource_subscriptions: list[str] | UnsetType = UNSET


class SubscriptionsListenRequestParams(RequestParams, kw_only=True):
    notifications: SubscriptionFilter


class SubscriptionsAcknowledgedNotificationParams(NotificationParams, kw_only=True):
    notifications: SubscriptionFilter


class SubscriptionsListenResultMeta(ResultMeta, kw_only=True):
    subscription_id: RequestId = field(name="io.modelcontextprotocol/subscriptionId")


class SubscriptionsListenResult(Wire):
    result_type: str
    meta: SubscriptionsListenResultMeta = field(name="_meta")


# Errors with defined data


class HeaderMismatchError(Wire):
    code: Literal[-32020]
    message: str
    data: Any = UNSET


class RequiredCapabilities(Wire):
    required_capabilities: ClientCapabilities


class MissingRequiredClientCapabilityError(Wire):
    code: Literal[-32021]
    message: str
    data: RequiredCapabilities


class SupportedVersions(Wire):
    requested: str
    supported: list[str]


class UnsupportedProtocolVersionError(Wire):
    code: Literal[-32022]
    message: str
    data: SupportedVersions
