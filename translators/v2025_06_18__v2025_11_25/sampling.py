"""Tools in sampling, several blocks in one message, and `includeContext`.

Follows changelog major 7 (SEP-1577); schema SamplingMessage, CreateMessageRequestParams, CreateMessageResult.
A tool use cannot be told to a client that knows none: answering without the tools would be another answer, so it is
refused with the code 2025-11-25/client/sampling.mdx asks of clients without `sampling.tools`.
"""

from __future__ import annotations

from typing import Any

from translators import tree
from translators.change import Change, answer, ask, params
from translators.context import Context
from translators.errors import INTERNAL_ERROR, INVALID_PARAMS, Refused
from translators.ops import KEEP, REMOVE, Loss, drop, each, fill, refuse_if
from translators.tree import Body

LOG = "2025-11-25/changelog.mdx"
TOOL_BLOCKS = ("tool_use", "tool_result")
NO_TOOLS = "The client's protocol revision does not support tools in sampling"


def _blocks(content: Any) -> list[Any]:
    return content if isinstance(content, list) else [content]


def _holds_tools(content: Any, _ctx: Context) -> bool:
    return any(isinstance(block, dict) and block.get("type") in TOOL_BLOCKS for block in _blocks(content))


def _always(_value: Any, _ctx: Context) -> bool:
    return True


SAMPLING_TOOLS = Change(
    name="tools in sampling",
    spec=f"{LOG} major 7",
    rows=("C20", "C21", "C23", "C24"),
    down={
        params("initialize"): (
            drop("capabilities.sampling.tools", Loss.COSMETIC),
            drop("capabilities.sampling.context", Loss.COSMETIC),
        ),
        ask("sampling/createMessage"): (
            refuse_if("tools", _always, INVALID_PARAMS, "sampling-tools-unsupported", NO_TOOLS),
            refuse_if("toolChoice", _always, INVALID_PARAMS, "sampling-tools-unsupported", NO_TOOLS),
            refuse_if("messages[].content", _holds_tools, INVALID_PARAMS, "sampling-tools-unsupported", NO_TOOLS),
            drop("messages[]._meta", Loss.DEGRADED),
        ),
    },
)


def _one_block_each(params: Body, _ctx: Context) -> Any:
    """A message with several blocks as several messages of its role; one without any is left out."""
    messages = tree.whole(params, "messages")
    if not isinstance(messages, list) or not any(_is_list(message) for message in messages):
        return KEEP
    return [single for message in messages for single in _split(message)]


def _is_list(message: Any) -> bool:
    return isinstance(message, dict) and isinstance(message.get("content"), list)


def _split(message: Any) -> list[Any]:
    if not _is_list(message):
        return [message]
    return [{**message, "content": block} for block in message["content"]]


def _one_block(content: Any, _ctx: Context) -> Any:
    """The answer as one block: the only one, or all texts joined; anything else has no older spelling."""
    if not isinstance(content, list):
        if _holds_tools(content, _ctx):
            raise _answer_refused()
        return KEEP
    if len(content) == 1 and not _holds_tools(content, _ctx):
        return content[0]
    if not all(isinstance(block, dict) and block.get("type") == "text" for block in content):
        raise _answer_refused()
    return {"type": "text", "text": "\n".join(str(block.get("text", "")) for block in content)}


def _answer_refused() -> Refused:
    return Refused(
        INTERNAL_ERROR,
        "The client answered with content the server's protocol revision cannot express",
        reason="sampling-answer-unsupported",
    )


CONTENT_LISTS = Change(
    name="several blocks in a sampling message",
    spec=f"{LOG} major 7",
    rows=("C22", "C23", "T31"),
    down={
        ask("sampling/createMessage"): (fill("messages", _one_block_each, Loss.CARRIED, given=("messages",)),),
        answer("sampling/createMessage"): (each("content", _one_block, Loss.CARRIED),),
    },
)


def _context_allowed(value: Any, ctx: Context) -> Any:
    """2025-11-25 servers ask for context only of clients that declared it, so the broker does not either."""
    declared = ctx.facts.get("client_capabilities")
    if value not in ("thisServer", "allServers") or not isinstance(declared, dict):
        return KEEP
    sampling = tree.whole(declared, "sampling")
    return KEEP if isinstance(sampling, dict) and "context" in sampling else REMOVE


INCLUDE_CONTEXT = Change(
    name="includeContext needs sampling.context",
    spec="2025-11-25/client/sampling.mdx capabilities",
    rows=("C26",),
    up={ask("sampling/createMessage"): (each("includeContext", _context_allowed, Loss.DEGRADED),)},
)
