"""2024-11-05 <-> 2025-03-26, one Change per wire-visible bullet of the 2025-03-26 changelog.

Every `up` but two is empty: what a 2024-11-05 peer writes is already valid 2025-03-26, so its bytes pass untouched.
Invariant: a downgraded message holds only text, image and resource blocks, which is all 2024-11-05 readers parse.
"""

from __future__ import annotations

import hashlib
from typing import Any

from protocol_versions import v2024_11_05, v2025_03_26
from translators import tree
from translators.change import Change, Step, answer, ask, error, notification, result
from translators.context import Context
from translators.errors import INTERNAL_ERROR, INVALID_PARAMS, METHOD_NOT_FOUND
from translators.ops import KEEP, Loss, answer_if, drop, fill, refuse_if, swap
from translators.tree import Body

LOG = "2025-03-26/changelog.mdx"
AUDIO_URI = "urn:dragoman:audio:"
"""Names an audio block that travels as an embedded resource; what follows is a digest of its data."""


def _audio_as_resource(block: Body, _ctx: Context) -> Body:
    """Show the sound as the one block of 2024-11-05 that carries any bytes; the URI says what it was."""
    rest = {name: value for name, value in block.items() if name not in ("type", "data", "mimeType")}
    data = block.get("data", "")
    digest = hashlib.blake2b(str(data).encode(), digest_size=8).hexdigest()
    contents = {"uri": AUDIO_URI + digest, "blob": data}
    if "mimeType" in block:
        contents["mimeType"] = block["mimeType"]
    return {"type": "resource", "resource": contents, **rest}


def _resource_as_audio(block: Body, _ctx: Context) -> Any:
    """The audio block again, if the resource is one we made."""
    contents = block.get("resource")
    if not isinstance(contents, dict) or not contents.keys() <= {"uri", "blob", "mimeType"}:
        return KEEP
    uri = contents.get("uri")
    if not isinstance(uri, str) or not uri.startswith(AUDIO_URI) or "blob" not in contents:
        return KEEP
    rest = {name: value for name, value in block.items() if name not in ("type", "resource")}
    audio = {"type": "audio", "data": contents["blob"], **rest}
    if "mimeType" in contents:
        audio["mimeType"] = contents["mimeType"]
    return audio


def _is_audio(block: Any, _ctx: Context) -> bool:
    return isinstance(block, dict) and block.get("type") == "audio"


AUDIO = Change(
    name="audio content",
    spec=f"{LOG} other schema changes 2",
    rows=("A4",),
    down={
        result("tools/call"): (swap("content[]", "audio", _audio_as_resource, Loss.CARRIED),),
        result("prompts/get"): (swap("messages[].content", "audio", _audio_as_resource, Loss.CARRIED),),
    },
    up={
        result("tools/call"): (swap("content[]", "resource", _resource_as_audio, Loss.NONE),),
        result("prompts/get"): (swap("messages[].content", "resource", _resource_as_audio, Loss.NONE),),
    },
)

# 2024-11-05 sampling knows text and images only, and has no block to carry other bytes. Asking the model about a
# placeholder would get an answer to another question, so the question is refused, and so is an answer in sound.
AUDIO_IN_SAMPLING = Change(
    name="audio in sampling",
    spec=f"{LOG} other schema changes 2",
    rows=("A5",),
    down={
        ask("sampling/createMessage"): (
            refuse_if(
                "messages[].content",
                _is_audio,
                INVALID_PARAMS,
                "sampling-audio-unsupported",
                "The client's protocol revision does not support audio content in sampling",
            ),
        ),
        answer("sampling/createMessage"): (
            refuse_if(
                "content",
                _is_audio,
                INTERNAL_ERROR,
                "sampling-audio-unsupported",
                "The client answered with audio, which the server's protocol revision does not support",
            ),
        ),
    },
)

# No `up`: without annotations a reader assumes the most careful values, which is right for a tool we know nothing of.
TOOL_ANNOTATIONS = Change(
    name="tool annotations",
    spec=f"{LOG} major 4",
    rows=("A6",),
    down={result("tools/list"): (drop("tools[].annotations", Loss.COSMETIC),)},
)

PROGRESS_MESSAGE = Change(
    name="progress message",
    spec=f"{LOG} other schema changes 1",
    rows=("A3",),
    down={
        notification("notifications/progress", "client"): (drop("message", Loss.COSMETIC),),
        notification("notifications/progress", "server"): (drop("message", Loss.COSMETIC),),
    },
)


def _completions_declared(capabilities: Body, _ctx: Context) -> Any:
    """In 2024-11-05 completion needs no declaration, so any server with something to complete may offer it."""
    if "completions" in capabilities or not {"prompts", "resources"} & capabilities.keys():
        return KEEP
    return {}


def _completion_missing(problem: Body, _ctx: Context) -> bool:
    return bool(tree.member(problem, "code") == METHOD_NOT_FOUND)


def _nothing_to_complete(_problem: Body, _ctx: Context) -> Body:
    return {"completion": {"values": [], "hasMore": False}}


# The declaration made above must not turn into an error when the server cannot complete after all.
COMPLETIONS_CAPABILITY = Change(
    name="completions capability",
    spec=f"{LOG} other schema changes 3",
    rows=("A2",),
    emulates="body",
    up={
        result("initialize"): (
            fill("capabilities.completions", _completions_declared, Loss.NONE, given=("prompts", "resources")),
        ),
        error("completion/complete"): (answer_if(_completion_missing, _nothing_to_complete, Loss.NONE),),
    },
    down={result("initialize"): (drop("capabilities.completions", Loss.COSMETIC),)},
)

STEP = Step(
    older=v2024_11_05.REVISION,
    newer=v2025_03_26.REVISION,
    changes=(AUDIO, AUDIO_IN_SAMPLING, TOOL_ANNOTATIONS, PROGRESS_MESSAGE, COMPLETIONS_CAPABILITY),
)
