"""What the sample servers offer: tools, resources and prompts in the words of the two newest revisions.

Chosen so that an older client can see only a translation of nearly everything: structured output (an object, and a bare
list), a resource link, audio, icons, titles, a tool that asks the user, and one that changes a resource.
"""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec

Body = dict[str, Any]
Ask = Callable[[str, Body], Awaitable[Body | None]]
"""`(method, params) -> result`, None if the client cannot be asked or declined to answer."""

# A green square of one pixel, scaled up by whoever shows it; small enough to read in a log.
ICON = {
    "src": "data:image/svg+xml;base64,"
    + base64.b64encode(
        b'<svg xmlns="http://www.w3.org/2000/svg"><rect width="8" height="8" fill="green"/></svg>'
    ).decode(),
    "mimeType": "image/svg+xml",
    "sizes": ["any"],
}
NOTES_URI = "demo://notes/today"
NOTES = "Remember to water the plants."
MAX_NOTES: Final = 100  # the oldest ones go; a sample is not a place to fill a memory
MAX_NOTE_CHARS: Final = 1000  # a page of text

WEATHER_SCHEMA = {
    "type": "object",
    "properties": {"temperature": {"type": "number"}, "unit": {"type": "string"}, "sky": {"type": "string"}},
    "required": ["temperature", "unit", "sky"],
}
NAME_SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string", "title": "Your name", "minLength": 1}},
    "required": ["name"],
}
TOOLS: list[Body] = [
    {
        "name": "weather",
        "title": "Weather",
        "description": "The weather of a city, as structured output.",
        "icons": [ICON],
        "annotations": {"title": "Weather", "readOnlyHint": True, "openWorldHint": False},
        "inputSchema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        "outputSchema": WEATHER_SCHEMA,
    },
    {
        "name": "notes",
        "title": "Notes",
        "description": "A link to today's notes.",
        "annotations": {"readOnlyHint": True},
        "inputSchema": {"type": "object", "properties": {}},
    },
    {
        "name": "beep",
        "title": "Beep",
        "description": "A tenth of a second of sound.",
        "inputSchema": {"type": "object", "properties": {}},
    },
    {
        "name": "greet",
        "title": "Greet",
        "description": "Asks for a name, then greets.",
        "inputSchema": {"type": "object", "properties": {}},
    },
]
MODERN_TOOLS: list[Body] = [
    *TOOLS,
    {
        "name": "forecast",
        "title": "Forecast",
        "description": "The temperatures of the next three days, as a bare list.",
        "annotations": {"readOnlyHint": True},
        "inputSchema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        "outputSchema": {"type": "array", "items": {"type": "number"}},
    },
    {
        "name": "remember",
        "title": "Remember",
        "description": "Adds a line to today's notes; whoever follows them is told.",
        "annotations": {"destructiveHint": False},
        "inputSchema": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
    },
]
"""What the server of 2026-07-28 offers: structured output of any kind, and an announcement."""

RESOURCES: list[Body] = [
    {"uri": NOTES_URI, "name": "today", "title": "Today's notes", "mimeType": "text/plain", "icons": [ICON]}
]
PROMPTS: list[Body] = [
    {
        "name": "plan_day",
        "title": "Plan the day",
        "description": "Plan a day around the notes.",
        "arguments": [{"name": "mood", "title": "Mood", "description": "How the day should feel.", "required": True}],
    }
]


class Notes:
    """Today's notes, which every client of the server shares."""

    def __init__(self) -> None:
        self.lines = [NOTES]

    def add(self, text: str) -> None:
        """Add a line; the oldest goes if there are too many."""
        self.lines = [*self.lines, text][-MAX_NOTES:]

    @property
    def text(self) -> str:
        """All lines."""
        return "\n".join(self.lines)


class Sample(msgspec.Struct, frozen=True):
    """One call of a tool: its name and arguments, how to ask the user, and the notes."""

    name: str
    arguments: Body
    ask: Ask
    notes: Notes


async def call(sample: Sample) -> Body | None:
    """The result of a tool call, None if there is no such tool."""
    arguments = sample.arguments
    match sample.name:
        case "weather":
            return _weather(arguments)
        case "forecast":
            return _forecast(arguments)
        case "remember":
            return _remember(arguments, sample.notes)
        case "notes":
            link = {"type": "resource_link", "uri": NOTES_URI, "name": "today", "title": "Today's notes"}
            return {"content": [{**link, "mimeType": "text/plain"}]}
        case "beep":
            return {"content": [{"type": "audio", "data": beep(), "mimeType": "audio/wav"}]}
        case "greet":
            return await _greet(sample.ask)
        case _:
            return None


def _weather(arguments: Body) -> Body:
    city = arguments.get("city")
    if not isinstance(city, str):
        return _failed("The argument `city` must be a string.")
    # Different for every city, equal for the same one: a sample must not need the network.
    found = {"temperature": float(sum(city.encode()) % 35), "unit": "C", "sky": "clear" if len(city) % 2 else "cloudy"}
    return {"content": [], "structuredContent": found}


def _forecast(arguments: Body) -> Body:
    today = _weather(arguments)
    if today.get("isError"):
        return today
    found = [today["structuredContent"]["temperature"] + day for day in range(3)]
    return {"content": [{"type": "text", "text": f"{found[0]} C today, warmer after"}], "structuredContent": found}


def _remember(arguments: Body, notes: Notes) -> Body:
    text = arguments.get("text")
    if not isinstance(text, str) or not 0 < len(text) <= MAX_NOTE_CHARS:
        return _failed(f"The argument `text` must be a string of 1 to {MAX_NOTE_CHARS} characters.")
    notes.add(text)
    return {"content": [{"type": "text", "text": "Noted."}]}


async def _greet(ask: Ask) -> Body:
    answer = await ask("elicitation/create", {"message": "What is your name?", "requestedSchema": NAME_SCHEMA})
    if answer is None:
        return _failed("This client cannot ask its user, so there is nobody to greet.")
    content = answer.get("content")
    if answer.get("action") != "accept" or not isinstance(content, dict):
        return _failed("The user did not want to say.")
    return {"content": [{"type": "text", "text": f"Good day, {content.get('name')}!"}]}


def _failed(text: str) -> Body:
    return {"content": [{"type": "text", "text": text}], "isError": True}


def beep(hertz: float = 440.0, rate: int = 8000, tenths: int = 1) -> str:
    """A tone as a base64 WAV file: 8 bit, mono."""
    count = rate * tenths // 10
    samples = bytes(round(127.5 + 60 * math.sin(2 * math.pi * hertz * at / rate)) for at in range(count))
    head = struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + count, b"WAVE", b"fmt ", 16, 1, 1, rate, rate, 1, 8, b"data", count
    )
    return base64.b64encode(head + samples).decode()


def read(uri: str, notes: Notes) -> Body | None:
    """The contents of a resource, None if there is none at this URI."""
    return {"contents": [{"uri": uri, "mimeType": "text/plain", "text": notes.text}]} if uri == NOTES_URI else None


def prompt(name: str, arguments: Body, notes: Notes) -> Body | None:
    """The messages of a prompt, None if there is none of this name."""
    if name != "plan_day":
        return None
    text = f"Plan a {arguments.get('mood', 'quiet')} day. {notes.text}"
    return {"description": "Plan a day", "messages": [{"role": "user", "content": {"type": "text", "text": text}}]}
