"""One round of input as both peers remember it: what was asked, what was answered, what the retry must carry."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

Page = tuple[str, str]


class Round(msgspec.Struct):
    """What a server asked of one call, and what its client answered. `state` is the server's spelling."""

    number: int
    state: bytes | None
    kinds: dict[str, str]  # key -> method
    pages: dict[str, Page]  # key -> page, of questions by URL
    answers: dict[str, str] = {}  # key -> a text that the answer must hold

    def check(self, params: dict[str, Any]) -> None:
        """The retry carries exactly the asked keys, their answers, and the exact state."""
        state = params.get("requestState")
        assert (None if state is None else bytes(state)) == self.state, "not the exact requestState"
        given = params.get("inputResponses")
        responses = msgspec.json.decode(given, type=dict[str, Raw]) if given is not None else {}
        assert responses.keys() == self.kinds.keys(), "not exactly the asked keys"
        assert self.answers.keys() == self.kinds.keys(), "retried before everything was answered"
        for key, response in responses.items():
            assert self.answers[key].encode() in bytes(response), "an answer of another question"


class Mark(msgspec.Struct):
    """One call of the client, known to both peers by the number in its parameters."""

    number: int
    method: str
    rounds: int = 0
    owed: Round | None = None
    refreshed: bool = False  # a header mismatch was answered to it once
    renewed: bool = False  # its version was refused once
    agreed: dict[Page, str] = {}  # pages the user agreed to, with the ids they were asked under
    over: bool = False
