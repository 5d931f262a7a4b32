"""Links in what a server says: which are found, and what becomes of what holds them (security catalogue C174)."""

from __future__ import annotations

import pytest

from protocol_versions.base import Slot
from tests.broker.sanitise_world import hook, info, rule, shown, text, texts
from tests.broker.scripted_backend import Json

SCRIPT = ("javascript:alert(1)", "JaVaScRiPt:alert(1)", "vbscript:x", "data:text/html,b",
          "data:text/html;base64,PGI+", "java\u200bscript:alert(1)", "data:application/xhtml+xml,x")  # fmt: skip
ODD = ("https://bank.example@evil.example/", "https://user:x@evil.example", "https://xn--80ak6aa92e.com/",
       "https:\\\\a@b", "https://\u0430pple.com/", "http:/a@b")  # fmt: skip
INSIDE = (
    "file:///etc/passwd", "http://127.0.0.1/", "http://localhost:8080/x", "https://LOCALHOST./", "http://10.1.2.3",
    "http://192.168.0.1/admin", "http://169.254.169.254/latest/meta-data", "http://[::1]/", "http://[::ffff:10.0.0.1]/",
    "http://2130706433/", "http://0x7f.1/", "http://017700000001/", "http://0x7f000001", "http://127.1",
    "http://metadata.google.internal/", "http://printer.local", "http://[fd00::1]:80/", "https:\\\\127.0.0.1\\x",
    "http://[64:ff9b::a00:1]/", "http://100.64.0.1/",
)  # fmt: skip
PLAIN = (
    "https://example.com/a?b=c@d", "http://8.8.8.8/", "https://a.example:8443/x", "mailto:a@b.example",
    "javascript: the good parts", "https://example.com/http://localhost", "data:image/png;base64,AAAA", "1.2.3.4",
    "https://localhost.example.com/", "https://[2606:4700::1111]/", "see file: a.txt", "https://999.1/", "http://",
    "https://%s/x", "profile:/x",
)  # fmt: skip
SETS = {"script-links": SCRIPT, "odd-links": ODD, "inside-links": INSIDE}


@pytest.mark.parametrize(("found", "link"), [(name, link) for name, links in SETS.items() for link in links])
def test_c174_a_link_of_each_kind_is_found_as_browsers_read_it(found: str, link: str) -> None:
    mark = f"[redacted:{found[:-1]}]"
    assert texts(shown(hook(rule(found)), text(f"go to {link} now"))) == [f"go to {mark} now"]


@pytest.mark.parametrize("link", PLAIN)
def test_c174_other_links_and_prose_stay_as_they_are(link: str) -> None:
    body = text(f"go to {link} now")
    assert shown(hook(rule(*SETS)), body) == body


@pytest.mark.parametrize("link", ["http://localhost", "http://127.0.0.1:8080", "http://[::1]:80", "https://10.1.2.3."])
@pytest.mark.parametrize("around", ["[docs](LINK)", "see LINK, then", "{LINK}", "*LINK*", "at LINK;", "LINK!"])
def test_c174_a_link_is_found_in_prose_and_in_markdown(link: str, around: str) -> None:
    found = texts(shown(hook(rule("inside-links")), text(around.replace("LINK", link))))
    assert "[redacted:inside-link]" in found[0]
    plain = text(around.replace("LINK", "https://example.com:8443"))
    assert shown(hook(rule("inside-links", "odd-links")), plain) == plain


@pytest.mark.parametrize("link", ["http://%31%32%37.0.0.1/", "http://%6c%6Fcalhost/", "file:/etc/passwd"])
def test_c174_an_address_that_leads_inside_is_found_in_its_other_spellings(link: str) -> None:
    assert texts(shown(hook(rule("inside-links")), text(f"go {link}"))) == ["go [redacted:inside-link]"]
    odd = texts(shown(hook(rule("odd-links")), text(f"go {link}")))
    assert odd == ([f"go {link}"] if link[:4] == "file" else ["go [redacted:odd-link]"])


def test_c174_what_can_be_clicked_is_left_out_with_what_it_belongs_to() -> None:
    """Addresses are never rewritten: a link, an icon, a resource goes; a question whose page it is comes to nothing."""
    links = hook(rule(*SETS))
    for link in (SCRIPT[0], ODD[0], INSIDE[0]):
        block: Json = {"type": "resource_link", "uri": link, "name": "x"}
        assert shown(links, {"content": [block, {"type": "text", "text": "a"}]}) == text("a")
        tool: Json = {"name": "a", "inputSchema": {}, "icons": [{"src": link}, {"src": "https://x.example/i.png"}]}
        (seen,) = shown(links, {"tools": [tool]}, Slot("result", "tools/list", "client"), info("tools/list"))["tools"]
        assert seen["icons"] == [{"src": "https://x.example/i.png"}]
        listed: Json = {"resources": [{"uri": link, "name": "x"}, {"uri": "mem://a", "name": "a"}]}
        found = shown(links, listed, Slot("result", "resources/list", "client"), info("resources/list"))
        assert [each["uri"] for each in found["resources"]] == ["mem://a"]
        page: Json = {"mode": "url", "message": "Sign in", "url": link, "elicitationId": "1"}
        asked = shown(links, page, Slot("params", "elicitation/create", "client"))
        assert list(asked) == ["denied"]
