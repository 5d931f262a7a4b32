"""Which face of a two-faced server a tool can use, learned from how its calls fail."""

from __future__ import annotations

import pytest

from broker.styles import KEPT_S, MAX_TOOLS, Styles
from protocol_versions import jsonrpc
from protocol_versions.jsonrpc import Frame

PUSHED = jsonrpc.error_response(1, -32600, "Cannot send: this transport context has no back-channel for requests")
ROUNDS = jsonrpc.response(
    1, {"content": [{"type": "text", "text": "client did not declare the required capability"}], "isError": True}
)
PLAIN = jsonrpc.response(1, {"content": [{"type": "text", "text": "out of paper"}], "isError": True})


class World:
    def __init__(self) -> None:
        self.now = 100.0
        self.warned: list[tuple[str, str]] = []
        self.styles = Styles(lambda: self.now, lambda tool, style: self.warned.append((tool, style)))

    def push(self, tool: str = "t") -> bool:
        return self.styles.learn("modern", tool, PUSHED)

    def rounds(self, tool: str = "t") -> bool:
        return self.styles.learn("legacy", tool, ROUNDS, sessionless=True)


def test_a_tool_is_sent_where_it_did_not_fail() -> None:
    world = World()
    assert world.push("a")
    assert world.rounds("b")
    assert [world.styles.face_of(tool) for tool in ("a", "b", "c", None)] == ["session", "stateless", None, None]
    assert world.styles.session_face_cannot_ask


def test_a_tool_that_pushes_says_nothing_of_sessions() -> None:
    world = World()
    world.push()
    assert not world.styles.session_face_cannot_ask


def test_a_tool_that_fails_on_both_faces_is_sent_to_neither_in_particular() -> None:
    world = World()
    world.push()
    world.rounds()
    assert world.styles.face_of("t") is None
    assert not world.styles.session_face_cannot_ask


@pytest.mark.parametrize(
    ("face", "frame", "sessionless"),
    [("modern", PLAIN, True), ("legacy", ROUNDS, False), ("legacy", PUSHED, True), ("modern", ROUNDS, True)],
)
def test_other_failures_mark_nothing(face: str, frame: Frame, sessionless: bool) -> None:
    world = World()
    assert not world.styles.learn(face, "t", frame, sessionless=sessionless)  # type: ignore[arg-type]
    assert world.styles.face_of("t") is None
    assert world.warned == []


def test_the_operator_is_warned_once_of_each_tool() -> None:
    world = World()
    for _ in range(3):
        world.push("a")
        world.rounds("b")
        world.rounds("a")
    assert world.warned == [("a", "push"), ("b", "rounds")]


def test_a_mark_holds_for_its_time_and_is_renewed_by_another_failure() -> None:
    world = World()
    world.rounds()
    world.now += KEPT_S - 1
    assert world.styles.face_of("t") == "stateless"
    world.rounds()
    world.now += KEPT_S - 1
    assert world.styles.session_face_cannot_ask
    world.now += 1
    assert world.styles.face_of("t") is None
    assert not world.styles.session_face_cannot_ask


def test_no_more_tools_are_remembered_than_allowed_and_the_oldest_goes_first() -> None:
    world = World()
    for number in range(MAX_TOOLS):
        world.push(f"t{number}")
    world.push("t0")
    world.push("new")
    assert world.styles.face_of("t1") is None
    assert [world.styles.face_of(tool) for tool in ("t0", "t2", "new")] == ["session"] * 3
