"""Fixed contents the everything server answers with: media, embedded resources, prompts and resources."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import Any

import mcp.types as types
import sdk
from pydantic import AnyUrl

STATIC_TEXT = "test://static-text"
STATIC_BINARY = "test://static-binary"
WATCHED = "test://watched-resource"
TEMPLATE = "test://template/{id}/data"
PLACES = ("paris", "park", "party", "london", "lisbon")


def _png() -> bytes:
    """One red pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\x00\xff\x00\x00")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def _wav() -> bytes:
    """Eight silent samples, 8 kHz mono, 8 bits."""
    data = b"\x80" * 8
    form = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 8000, 1, 8)
    body = b"WAVE" + form + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


PNG_BYTES = _png()
PNG = base64.b64encode(PNG_BYTES).decode()
WAV = base64.b64encode(_wav()).decode()


def image() -> Any:
    """An image block (image/png)."""
    return types.ImageContent(type="image", data=PNG, mimeType="image/png")


def audio() -> Any:
    """An audio block (audio/wav); only for releases with `AudioContent`."""
    return types.AudioContent(type="audio", data=WAV, mimeType="audio/wav")


def embedded(uri: str, value: str, mime: str = "text/plain") -> Any:
    """An embedded text resource."""
    contents = types.TextResourceContents(uri=AnyUrl(uri), text=value, mimeType=mime)
    return types.EmbeddedResource(type="resource", resource=contents)


def link() -> Any:
    """A resource link to the static text; only for releases with `ResourceLink`."""
    return sdk.make(
        types.ResourceLink,
        type="resource_link",
        uri=AnyUrl(STATIC_TEXT),
        name="static",
        title="Static text",
        description="A fixed text",
        mimeType="text/plain",
    )


def resources() -> list[Any]:
    """The listed resources."""
    rows = (
        (STATIC_TEXT, "static-text", "Static text", "A fixed text", "text/plain"),
        (STATIC_BINARY, "static-binary", "Static binary", "A fixed image", "image/png"),
        (
            WATCHED,
            "watched-resource",
            "Watched resource",
            "A resource that can be subscribed to",
            "text/plain",
        ),
    )
    return [
        sdk.make(types.Resource, uri=AnyUrl(uri), name=name, title=title, description=about, mimeType=mime)
        for uri, name, title, about, mime in rows
    ]


def templates() -> list[Any]:
    """The listed resource templates."""
    return [
        sdk.make(
            types.ResourceTemplate,
            uriTemplate=TEMPLATE,
            name="template",
            title="Template",
            description="Data of an id",
            mimeType="application/json",
        )
    ]


def prompts() -> list[Any]:
    """The listed prompts."""

    def argument(name: str, about: str) -> Any:
        return types.PromptArgument(name=name, description=about, required=True)

    rows: tuple[tuple[str, str, str, list[Any] | None], ...] = (
        ("test_simple_prompt", "Simple prompt", "A prompt without arguments", None),
        (
            "test_prompt_with_arguments",
            "Prompt with arguments",
            "A prompt with two arguments",
            [argument("arg1", "First argument"), argument("arg2", "Second argument")],
        ),
        (
            "test_prompt_with_embedded_resource",
            "Prompt with a resource",
            "A prompt that embeds a resource",
            [argument("resourceUri", "URI of the resource to embed")],
        ),
        ("test_prompt_with_image", "Prompt with an image", "A prompt that carries an image", None),
    )
    return [
        sdk.make(types.Prompt, name=name, title=title, description=about, arguments=arguments)
        for name, title, about, arguments in rows
    ]


def prompt(name: str, arguments: dict[str, str]) -> list[Any]:
    """The messages of a prompt; KeyError when there is no such prompt or an argument is missing."""
    if name == "test_simple_prompt":
        return [say(sdk.text("This is a simple prompt for testing."))]
    if name == "test_prompt_with_arguments":
        return [say(sdk.text(f"Prompt with arguments: arg1='{arguments['arg1']}', arg2='{arguments['arg2']}'"))]
    if name == "test_prompt_with_embedded_resource":
        block = embedded(arguments["resourceUri"], "Embedded resource content for testing.")
        return [say(block), say(sdk.text("Please process the embedded resource above."))]
    if name == "test_prompt_with_image":
        return [say(image()), say(sdk.text("Please analyze the image above."))]
    raise KeyError(name)


def say(content: Any) -> Any:
    """A prompt's message of the user's."""
    return types.PromptMessage(role="user", content=content)
