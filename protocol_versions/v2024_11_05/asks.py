"""Revision 2024-11-05: what servers ask of clients: roots and sampling."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, UnsetType

from protocol_versions.base import Wire
from protocol_versions.shapes import Fraction, Object, Role
from protocol_versions.v2024_11_05.common import RequestParams, Result
from protocol_versions.v2024_11_05.content import ImageContent, TextContent


class Root(Wire):
    uri: str
    name: str | UnsetType = UNSET


class ListRootsResult(Result, kw_only=True):
    roots: list[Root]


class SamplingMessage(Wire):
    role: Role
    content: TextContent | ImageContent


class ModelHint(Wire):
    name: str | UnsetType = UNSET


class ModelPreferences(Wire):
    hints: list[ModelHint] | UnsetType = UNSET
    cost_priority: Fraction | UnsetType = UNSET
    speed_priority: Fraction | UnsetType = UNSET
    intelligence_priority: Fraction | UnsetType = UNSET


class SamplingSettings(RequestParams, kw_only=True):
    """What every revision asks of a sampling besides its messages."""

    max_tokens: int
    model_preferences: ModelPreferences | UnsetType = UNSET
    system_prompt: str | UnsetType = UNSET
    include_context: Literal["none", "thisServer", "allServers"] | UnsetType = UNSET
    temperature: float | UnsetType = UNSET
    stop_sequences: list[str] | UnsetType = UNSET
    metadata: Object | UnsetType = UNSET


class CreateMessageRequestParams(SamplingSettings, kw_only=True):
    messages: list[SamplingMessage]


class Sampled(Result, kw_only=True):
    """What every revision says of a sampled message besides its content."""

    role: Role
    model: str
    stop_reason: str | UnsetType = UNSET


class CreateMessageResult(Sampled, kw_only=True):
    content: TextContent | ImageContent
