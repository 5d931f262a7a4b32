"""2025-03-26 <-> 2025-06-18, one Change per wire-visible bullet of the 2025-06-18 changelog.

Every `up` is empty: what a 2025-03-26 peer writes is already valid 2025-06-18, so its bytes pass untouched.
Batching (major 1) is framing and the version header (major 8) is transport: both belong to the edge, not here.
Invariant: `name` and `uri` are never touched, because the reader sends them back as keys.
"""

from __future__ import annotations

from typing import Any

from protocol_versions import v2025_03_26, v2025_06_18
from translators import tree
from translators.change import Change, Step, answer, ask, params, refuse, result
from translators.context import Context
from translators.errors import METHOD_NOT_FOUND
from translators.ops import KEEP, Loss, Op, drop, fill, swap
from translators.structured import content_with_structured
from translators.tree import Body

LOG = "2025-06-18/changelog.mdx"
SCHEMA = "schema/2025-06-18/schema.ts"

# Schema and value go together: a client that lists an output schema and then misses the value fails the call.
STRUCTURED_OUTPUT = Change(
    name="structured tool output",
    spec=f"{LOG} major 2",
    rows=("B3", "B4"),
    down={
        result("tools/list"): (drop("tools[].outputSchema", Loss.COSMETIC),),
        result("tools/call"): (
            fill("content", content_with_structured, Loss.CARRIED, given=("structuredContent",)),
            drop("structuredContent", Loss.CARRIED),
        ),
    },
)

ELICITATION = Change(
    name="elicitation",
    spec=f"{LOG} major 6",
    rows=("B2",),
    down={
        params("initialize"): (drop("capabilities.elicitation", Loss.COSMETIC),),
        ask("elicitation/create"): refuse(
            METHOD_NOT_FOUND,
            "elicitation-unsupported",
            "The client's protocol revision does not support elicitation",
        ),
    },
)

_LINK_MEMBERS = frozenset(("type", "uri", "name", "title", "description", "mimeType", "size", "icons"))


def _link_as_text(link: Body, _ctx: Context) -> Body:
    """Everything a person or model needs to read the resource, as a Markdown link; never fetched for the reader."""
    label = link.get("title") or link.get("name") or link.get("uri")
    text = f"[{label}]({link.get('uri')})"
    if link.get("mimeType"):
        text += f" ({link['mimeType']})"
    if link.get("description"):
        text += f"\n{link['description']}"
    rest = {name: value for name, value in link.items() if name not in _LINK_MEMBERS}
    return {"type": "text", "text": text, **rest}


RESOURCE_LINKS = Change(
    name="resource links",
    spec=f"{LOG} major 7",
    rows=("B5", "B6"),
    down={
        result("tools/call"): (swap("content[]", "resource_link", _link_as_text, Loss.DEGRADED),),
        result("prompts/get"): (swap("messages[].content", "resource_link", _link_as_text, Loss.DEGRADED),),
    },
)


def _metas(*paths: str) -> tuple[Op, ...]:
    return tuple(drop(f"{path}._meta", Loss.DEGRADED) for path in paths)


# Only the result as a whole has `_meta` before this revision; unknown keys inside that one pass (B14).
ITEM_META = Change(
    name="_meta on items",
    spec=f"{LOG} other schema changes 1",
    rows=("B13",),
    down={
        result("tools/list"): _metas("tools[]"),
        result("resources/list"): _metas("resources[]"),
        result("resources/templates/list"): _metas("resourceTemplates[]"),
        result("prompts/list"): _metas("prompts[]"),
        result("resources/read"): _metas("contents[]"),
        result("tools/call"): _metas("content[]", "content[].resource"),
        result("prompts/get"): _metas("messages[].content", "messages[].content.resource"),
        ask("sampling/createMessage"): _metas("messages[].content"),
        answer("sampling/createMessage"): _metas("content"),
        answer("roots/list"): _metas("roots[]"),
    },
)

COMPLETION_CONTEXT = Change(
    name="completion context",
    spec=f"{LOG} other schema changes 2",
    rows=("B10",),
    down={params("completion/complete"): (drop("context", Loss.DEGRADED),)},
)


def _annotations_with_title(tool: Body, _ctx: Context) -> Any:
    """2025-03-26 reads a tool's title from its annotations."""
    title = tree.member(tool, "title")
    annotations = tree.member(tool, "annotations")
    if not isinstance(annotations, dict):
        annotations = {}
    if title is None or "title" in annotations:
        return KEEP
    return {**annotations, "title": title}


TITLES = Change(
    name="titles",
    spec=f"{LOG} other schema changes 3",
    rows=("B7", "B8", "B9"),
    down={
        result("tools/list"): (
            fill("tools[].annotations", _annotations_with_title, Loss.CARRIED, given=("title",)),
            drop("tools[].title", Loss.COSMETIC),
        ),
        result("resources/list"): (drop("resources[].title", Loss.COSMETIC),),
        result("resources/templates/list"): (drop("resourceTemplates[].title", Loss.COSMETIC),),
        result("prompts/list"): (
            drop("prompts[].title", Loss.COSMETIC),
            drop("prompts[].arguments[].title", Loss.COSMETIC),
        ),
        params("initialize"): (drop("clientInfo.title", Loss.COSMETIC),),
        result("initialize"): (drop("serverInfo.title", Loss.COSMETIC),),
        params("completion/complete"): (drop("ref.title", Loss.COSMETIC),),
    },
)


def _last_modified(*paths: str) -> tuple[Op, ...]:
    return tuple(drop(f"{path}.annotations.lastModified", Loss.COSMETIC) for path in paths)


LAST_MODIFIED = Change(
    name="lastModified",
    spec=f"{SCHEMA} Annotations",
    rows=("B12",),
    down={
        result("resources/list"): _last_modified("resources[]"),
        result("resources/templates/list"): _last_modified("resourceTemplates[]"),
        result("tools/call"): _last_modified("content[]"),
        result("prompts/get"): _last_modified("messages[].content"),
        ask("sampling/createMessage"): _last_modified("messages[].content"),
        answer("sampling/createMessage"): _last_modified("content"),
    },
)


def _annotations_from_resource(block: Body, _ctx: Context) -> Any:
    """The annotations a server put inside `resource`, as the 2025-06-18 page shows; older readers look at the block."""
    resource = tree.member(block, "resource")
    if "annotations" in block or not isinstance(resource, dict):
        return KEEP
    if not isinstance(tree.whole(resource, "annotations"), dict):
        return KEEP
    inner = resource.pop("annotations")
    return {name: value for name, value in inner.items() if name != "lastModified"}


INNER_ANNOTATIONS = Change(
    name="annotations inside embedded resources",
    spec="2025-06-18/server/tools.mdx embedded resources",
    rows=("B21",),
    down={
        result("tools/call"): (
            fill(
                "content[].annotations",
                _annotations_from_resource,
                Loss.CARRIED,
                given=("resource",),
                also=("content[].resource.annotations",),
            ),
        ),
        result("prompts/get"): (
            fill(
                "messages[].content.annotations",
                _annotations_from_resource,
                Loss.CARRIED,
                given=("resource",),
                also=("messages[].content.resource.annotations",),
            ),
        ),
    },
)

STEP = Step(
    older=v2025_03_26.REVISION,
    newer=v2025_06_18.REVISION,
    changes=(
        STRUCTURED_OUTPUT,
        ELICITATION,
        RESOURCE_LINKS,
        ITEM_META,
        COMPLETION_CONTEXT,
        TITLES,
        LAST_MODIFIED,
        INNER_ANNOTATIONS,
    ),
)
