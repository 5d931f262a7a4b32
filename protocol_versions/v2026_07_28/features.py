"""Revision 2026-07-28: calls of tools and prompts, reads of resources, and lists."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from protocol_versions import v2024_11_05 as first
from protocol_versions import v2025_06_18 as decorated
from protocol_versions import v2025_11_25 as before
from protocol_versions.base import Wire
from protocol_versions.shapes import Checked, Object
from protocol_versions.v2026_07_28.asks import InputResponseRequestParams
from protocol_versions.v2026_07_28.common import CacheableResult, PaginatedResult, RequestParams, Result


class CallToolRequestParams(InputResponseRequestParams, kw_only=True):
    name: str
    arguments: Object | UnsetType = UNSET


class GetPromptRequestParams(InputResponseRequestParams, kw_only=True):
    name: str
    arguments: dict[str, str] | UnsetType = UNSET


class ReadResourceRequestParams(InputResponseRequestParams, kw_only=True):
    uri: str


class ListResourcesResult(PaginatedResult, kw_only=True):
    resources: list[before.Resource]


class ListResourceTemplatesResult(PaginatedResult, kw_only=True):
    resource_templates: list[before.ResourceTemplate]


class ReadResourceResult(Checked, CacheableResult, kw_only=True):
    contents: list[decorated.AnyResourceContents]


class ListPromptsResult(PaginatedResult, kw_only=True):
    prompts: list[before.Prompt]


class GetPromptResult(Result, kw_only=True):
    messages: list[before.PromptMessage]
    description: str | UnsetType = UNSET


class CompleteRequestParams(RequestParams, kw_only=True):
    ref: decorated.PromptReference | decorated.ResourceTemplateReference
    argument: first.CompletionArgument
    context: decorated.CompletionContext | UnsetType = UNSET


class Completion(Wire):
    values: Annotated[list[str], Meta(max_length=100)]
    total: int | UnsetType = UNSET
    has_more: bool | UnsetType = UNSET


class CompleteResult(Result, kw_only=True):
    completion: Completion
