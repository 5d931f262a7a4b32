"""Revision 2024-11-05: content blocks, and the resources they embed."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, UnsetType

from protocol_versions.base import Wire
from protocol_versions.shapes import Checked, Fraction, Role, any_of


class Annotations(Wire):
    audience: list[Role] | UnsetType = UNSET
    priority: Fraction | UnsetType = UNSET


class ResourceContents(Wire):
    uri: str
    mime_type: str | UnsetType = UNSET


class TextResourceContents(ResourceContents, kw_only=True):
    text: str


class BlobResourceContents(ResourceContents, kw_only=True):
    blob: str


AnyResourceContents = Annotated[dict[str, Any], any_of(TextResourceContents, BlobResourceContents)]


class TextContent(Wire, tag_field="type", tag="text"):
    text: str
    annotations: Annotations | UnsetType = UNSET


class ImageContent(Wire, tag_field="type", tag="image"):
    data: str
    mime_type: str
    annotations: Annotations | UnsetType = UNSET


class EmbeddedResource(Checked, tag_field="type", tag="resource"):
    resource: AnyResourceContents
    annotations: Annotations | UnsetType = UNSET


ContentBlock = TextContent | ImageContent | EmbeddedResource
