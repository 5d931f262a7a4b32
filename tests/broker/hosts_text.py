"""Generated configuration texts, as people leave them: JSON with comments, odd spacing and trailing commas."""

from __future__ import annotations

import json
from typing import Any

import yaml
from hypothesis import strategies as st

from broker.hosts.document import written
from broker.hosts.toml_text import bare

GAPS = st.sampled_from(["", "", " ", "\n", "\n  ", "\t", " // a word\n", " /* two\n words */ ", '\n// {"x": [\n    '])
WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\x7f"), max_size=12)
NAMES = st.text(st.sampled_from("abcXYZ09-_. /@é"), min_size=1, max_size=10)
FLAGS: st.SearchStrategy[bool] = st.booleans()


@st.composite
def jsonc(draw: st.DrawFn, value: Any) -> str:
    """A text that says `value`, with gaps and comments wherever they may stand."""
    return draw(GAPS) + draw(_written(value)) + draw(GAPS)


@st.composite
def _written(draw: st.DrawFn, value: Any) -> str:
    if not isinstance(value, dict | list):
        escaped: bool = draw(st.booleans())
        return json.dumps(value, ensure_ascii=escaped)
    parts = []
    for each in value:
        key = f"{json.dumps(each)}{draw(GAPS)}:{draw(GAPS)}" if isinstance(value, dict) else ""
        inner = value[each] if isinstance(value, dict) else each
        parts.append(f"{draw(GAPS)}{key}{draw(_written(inner))}{draw(GAPS)}")
    trailing: bool = draw(st.booleans())
    tail = draw(GAPS) if not parts else "," + draw(GAPS) if trailing else ""
    opened, closed = "{}" if isinstance(value, dict) else "[]"
    return opened + ",".join(parts) + tail + closed


TEXTS = st.dictionaries(NAMES, WORDS, max_size=3)
COMMANDS = st.fixed_dictionaries(
    {"command": st.sampled_from(["npx", "uvx", "/opt/a b/run", "C:\\x\\run.exe"])},
    optional={
        "args": st.lists(WORDS, max_size=4),
        "env": TEXTS,
        "cwd": WORDS,
        "type": st.just("stdio"),
        "disabled": FLAGS,
        "alwaysAllow": st.lists(NAMES, max_size=2),
        "timeout": st.integers(0, 600),
    },
)
ADDRESSES = st.fixed_dictionaries(
    {"url": st.sampled_from(["https://a.example/mcp", "http://b.example/sse", "https://c.example/mcp?key=1"])},
    optional={
        "headers": st.dictionaries(st.sampled_from(["Authorization", "X-Key", "X_KEY"]), WORDS, max_size=3),
        "env": TEXTS,
        "type": st.sampled_from(["http", "sse", "streamable-http"]),
        "timeout": st.integers(0, 600),
    },
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | FLAGS | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
SERVERS = st.dictionaries(NAMES, COMMANDS | ADDRESSES, max_size=4)
TREES = st.builds(
    lambda before, servers, after: {**before, "mcpServers": servers, **after},
    st.dictionaries(st.sampled_from(["theme", "a.b", "globalShortcut"]), VALUES, max_size=2),
    SERVERS,
    st.dictionaries(st.sampled_from(["zoom", "preferences"]), VALUES, max_size=2),
)


@st.composite
def yamls(draw: st.DrawFn, tree: Any) -> str:
    """A YAML text that says `tree`, in one of the styles that YAML is written in."""
    return yaml.dump(
        tree,
        Dumper=yaml.SafeDumper,
        default_flow_style=draw(st.sampled_from([None, True, False])),
        default_style=draw(st.sampled_from([None, '"', "'"])),
        indent=draw(st.integers(2, 6)),
        width=draw(st.integers(20, 100)),
        sort_keys=False,
        allow_unicode=True,
    )


@st.composite
def tomls(draw: st.DrawFn, servers: dict[str, dict[str, Any]]) -> str:
    """A TOML text with servers as inline tables, dotted keys, and tables with comments, other tables between them."""
    inside, tables = ["top = 1  # mine", "[mcp_servers]"], []
    for name, entry in servers.items():
        style = draw(st.sampled_from(["inline", "dotted", "table"]))
        if style == "inline":
            inside.append(f"{bare(name)} = {written(entry, 'toml')}")
        elif style == "dotted":
            inside += [f"{bare(name)}.{key} = {written(value, 'toml')}" for key, value in entry.items()]
        else:
            tables += draw(_table(name, entry))
    return "\n".join([*inside, *tables]) + draw(st.sampled_from(["", "\n"]))


@st.composite
def _table(draw: st.DrawFn, name: str, entry: dict[str, Any]) -> list[str]:
    lines, below = [f"[mcp_servers.{bare(name)}]  # a server"], []
    for key, value in entry.items():
        if isinstance(value, dict) and draw(st.booleans()):
            below.append(f"[mcp_servers.{bare(name)}.{key}]")
            below += [f"{bare(inner)} = {written(text, 'toml')}" for inner, text in value.items()]
        else:
            lines.append(f"{draw(st.sampled_from(['', '  ']))}{key} = {written(value, 'toml')}")
            lines += draw(st.sampled_from([[], [], [""], ["# a word"]]))
    return [*lines, *below, *draw(st.sampled_from([[], [""], ["# another"], [f"[{bare('other ' + name)}]", "a = 1"]]))]
