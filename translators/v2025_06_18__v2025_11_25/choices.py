"""The shapes of a form's fields: titled enums, several choices, defaults.

Follows changelog major 5 (SEP-1330) and minor 9 (SEP-1034); schema EnumSchema and its variants. 2025-06-18 has no
array field, so a choice of several becomes one yes/no field for each option, and the answer is put together again
from what the Context stashed. `oneOf` must not pass: a 2025-06-18 client takes it for free text and sends the title.
"""

from __future__ import annotations

from typing import Any

from translators import tree
from translators.change import Change, answer, ask
from translators.context import Context
from translators.errors import INTERNAL_ERROR
from translators.ops import KEEP, Loss, drop, each, fill, refuse_if
from translators.tree import Body

LOG = "2025-11-25/changelog.mdx"
NAME = "enum variants"
FIELDS = "requestedSchema.properties.{}"


def _options(several: Any) -> list[tuple[str, str]] | None:
    """(value, label) of each titled option; None if these are none."""
    if not isinstance(several, list) or not all(isinstance(option, dict) and "const" in option for option in several):
        return None
    return [(option["const"], str(option.get("title", option["const"]))) for option in several]


def _legacy_titles(field: Body, _ctx: Context) -> Any:
    """`oneOf` of titled constants as `enum` and `enumNames`, which 2025-06-18 clients show as a list."""
    options = _options(field["oneOf"])
    if options is None:
        return KEEP
    rest = {name: value for name, value in field.items() if name != "oneOf"}
    return {
        **rest,
        "enum": [value for value, _label in options],
        "enumNames": [label for _value, label in options],
    }


def _several(field: Any) -> list[tuple[str, str]] | None:
    """(value, label) of each option of a multi-select field, which may have none; None if it is another field."""
    if not isinstance(field, dict) or field.get("type") != "array" or not isinstance(field.get("items"), dict):
        return None
    items = field["items"]
    if isinstance(items.get("enum"), list):
        return [(value, str(value)) for value in items["enum"]]
    return _options(items.get("anyOf"))


def _yes_no_fields(params: Body, ctx: Context) -> Any:
    """The form with every multi-select field replaced by a boolean field per option; the way back is stashed."""
    schema = tree.whole(params, "requestedSchema")
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(properties, dict) or all(_several(field) is None for field in properties.values()):
        return KEEP
    required = schema.get("required")
    needed = [name for name in required if isinstance(name, str)] if isinstance(required, list) else []
    fields: Body = {}
    plan: Body = {}
    for name, field in properties.items():
        options = _several(field)
        if options is None:
            fields[name] = field
            continue
        keys = [_free_name(f"{name}.{index}", properties) for index in range(len(options))]
        for key, (value, label) in zip(keys, options, strict=True):
            fields[key] = _yes_no(field, name, value, label)
        plan[name] = {
            "values": {key: value for key, (value, _label) in zip(keys, options, strict=True)},
            "required": name in needed,
            "least": field.get("minItems", 0),
            "most": field.get("maxItems", len(options)),
        }
    ctx.stash[NAME] = plan
    changed = {**schema, "properties": fields}
    if "required" in schema:
        changed["required"] = [name for name in needed if name not in plan]
    return changed


def _free_name(name: str, taken: Body) -> str:
    while name in taken:
        name += "_"
    return name


def _yes_no(field: Body, name: str, value: str, label: str) -> Body:
    chosen = field.get("default")
    return {
        "type": "boolean",
        "title": label,
        "description": str(field.get("description") or field.get("title") or name),
        "default": isinstance(chosen, list) and value in chosen,
    }


def _put_together(body: Body, ctx: Context) -> Any:
    """The content with the chosen values as lists again, as the server asked for them."""
    plan = ctx.stash.get(NAME)
    content = tree.whole(body, "content")
    if not plan or tree.member(body, "action") != "accept" or not isinstance(content, dict):
        return KEEP
    keys = {key for field in plan.values() for key in field["values"]}
    lists: Body = {}
    for name, field in plan.items():
        answered = [key for key in field["values"] if key in content]
        if answered or field["required"]:
            lists[name] = [field["values"][key] for key in answered if content[key] is True]
    return {**{name: value for name, value in content.items() if name not in keys}, **lists}


def _within_bounds(body: Body, ctx: Context) -> Any:
    """A number of choices the server forbade cannot be told to a 2025-06-18 form: the answer becomes a cancel."""
    plan = ctx.stash.pop(NAME, None)
    content = tree.whole(body, "content")
    if not plan or not isinstance(content, dict):
        return KEEP
    chosen = [(field, content[name]) for name, field in plan.items() if isinstance(content.get(name), list)]
    if all(_count(field["least"], 0) <= len(values) <= _count(field["most"], len(values)) for field, values in chosen):
        return KEEP
    body.pop("content")
    return "cancel"


def _count(bound: Any, otherwise: int) -> int:
    return bound if isinstance(bound, int) else otherwise


def _is_list(value: Any, _ctx: Context) -> bool:
    return isinstance(value, list)


_TOGETHER = (
    fill("content", _put_together, Loss.NONE, given=("content",)),
    fill("action", _within_bounds, Loss.DEGRADED, given=("content",), also=("content",)),
)

# The answer is put together in both directions: a server pinned to 2025-06-18 may be a newer SDK that asked for a
# choice of several all the same, and then its own question comes back to it as it asked.
ENUMS = Change(
    name=NAME,
    spec=f"{LOG} major 5",
    rows=("C34", "C36", "T11"),
    emulates="body",
    down={
        ask("elicitation/create"): (
            each(FIELDS, _legacy_titles, Loss.CARRIED, having=("oneOf",)),
            fill("requestedSchema", _yes_no_fields, Loss.DEGRADED, given=("requestedSchema",)),
        ),
        answer("elicitation/create"): (
            refuse_if(
                "content.{}",
                _is_list,
                INTERNAL_ERROR,
                "elicitation-answer-unsupported",
                "The client answered with a list, which the server's protocol revision cannot express",
            ),
            *_TOGETHER,
        ),
    },
    up={answer("elicitation/create"): _TOGETHER},
)


def _default_in_words(field: Body, _ctx: Context) -> Any:
    """Without `default`, which only boolean fields had; the proposal moves into the description."""
    if field.get("type") in ("boolean", "array"):  # a choice of several becomes boolean fields with defaults
        return KEEP
    rest = {name: value for name, value in field.items() if name != "default"}
    proposal = field["default"]
    return {**rest, "description": f"{field.get('description', '')} (default: {proposal})".strip()}


DEFAULTS = Change(
    name="default values in forms",
    spec=f"{LOG} minor 9",
    rows=("C35",),
    down={ask("elicitation/create"): (each(FIELDS, _default_in_words, Loss.CARRIED, having=("default",)),)},
)

FORM_SCHEMA = Change(
    name="$schema and pattern in forms",
    spec="2025-11-25/client/elicitation.mdx requested schema",
    rows=("C37",),
    down={
        ask("elicitation/create"): (
            drop("requestedSchema.$schema", Loss.COSMETIC),
            drop(f"{FIELDS}.pattern", Loss.DEGRADED),
        )
    },
)
