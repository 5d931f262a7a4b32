"""Fixed contents of the modern everything server: those of `samples`, where URIs are plain strings now."""

from __future__ import annotations

from typing import Any

import mcp.types as types
import samples
import sdk

ASKING_PROMPT = "test_input_required_result_prompt"
ASKING_RESOURCE = "test://asking-resource"  # not listed, so that the list is the older servers'

# What `change_*` puts into a list, and takes out again; nothing answers to these names.
EXTRA_TOOL = types.Tool(name="extra_tool", description="Comes and goes", inputSchema={"type": "object"})
EXTRA_PROMPT = types.Prompt(name="extra_prompt", description="Comes and goes")
EXTRA_RESOURCE = types.Resource(uri="test://extra", name="extra", description="Comes and goes")

_TEXTS = {
    samples.STATIC_TEXT: "This is the content of the static text resource.",
    samples.WATCHED: "Watched resource content",
}
_LISTED = (
    (samples.STATIC_TEXT, "static-text", "Static text", "A fixed text", "text/plain"),
    (samples.STATIC_BINARY, "static-binary", "Static binary", "A fixed image", "image/png"),
    (
        samples.WATCHED,
        "watched-resource",
        "Watched resource",
        "A resource that can be subscribed to",
        "text/plain",
    ),
)


def embedded(uri: str, value: str, mime: str = "text/plain") -> Any:
    """An embedded text resource."""
    contents = types.TextResourceContents(uri=uri, text=value, mimeType=mime)
    return types.EmbeddedResource(type="resource", resource=contents)


def link() -> Any:
    """A resource link to the static text."""
    return types.ResourceLink(
        type="resource_link",
        uri=samples.STATIC_TEXT,
        name="static",
        title="Static text",
        description="A fixed text",
        mimeType="text/plain",
    )


def resources() -> list[Any]:
    """The listed resources."""
    return [
        types.Resource(uri=uri, name=name, title=title, description=about, mimeType=mime)
        for uri, name, title, about, mime in _LISTED
    ]


def contents(uri: str) -> Any:
    """What a resource holds; KeyError when there is no such resource."""
    if uri == samples.STATIC_BINARY:
        return types.BlobResourceContents(uri=uri, blob=samples.PNG, mimeType="image/png")
    if uri in _TEXTS:
        return types.TextResourceContents(uri=uri, text=_TEXTS[uri], mimeType="text/plain")
    head, tail = samples.TEMPLATE.split("{id}")
    if uri.startswith(head) and uri.endswith(tail) and len(uri) > len(head) + len(tail):
        name = uri[len(head) : -len(tail)]
        text = f'{{"id": "{name}", "data": "Data for ID: {name}"}}'
        return types.TextResourceContents(uri=uri, text=text, mimeType="application/json")
    raise KeyError(uri)


def prompts() -> list[Any]:
    """The listed prompts: the older servers', and the official suite's that asks."""
    about = "A prompt that asks for its context"
    return [*samples.prompts(), types.Prompt(name=ASKING_PROMPT, title="Asking prompt", description=about)]


def prompt(name: str, arguments: dict[str, str]) -> list[Any]:
    """The messages of a prompt; KeyError when there is no such prompt or an argument is missing."""
    if name == "test_prompt_with_embedded_resource":
        block = embedded(arguments["resourceUri"], "Embedded resource content for testing.")
        return [samples.say(block), samples.say(sdk.text("Please process the embedded resource above."))]
    return samples.prompt(name, arguments)
