"""Sessions that are lost under an audited edge: opened again, told again, and each call written down once."""

from __future__ import annotations

from tests.audit.lines import events
from tests.audit.test_calls import Audited
from tests.broker.scripted_backend import DONE, world


async def test_what_a_session_remembered_is_told_to_the_next_one_as_without_an_audit_log() -> None:
    audited = Audited()
    async with world(**audited.settings) as here:
        here.backend.capabilities = {"logging": {}, "resources": {"subscribe": True}}
        await here.client.open()
        await here.client.call(1, "logging/setLevel", level="error")
        await here.client.call(2, "resources/subscribe", uri="test://a")
        here.backend.forget_sessions()
        before = len(here.backend.asked)
        assert (await here.client.call(3)).json["result"] == DONE
        keys = [asked.key for asked in here.backend.asked[before:] if asked.verb == "POST"]
        assert keys[:3] == ["tools/call", "initialize", "notifications/initialized"]
        assert sorted(keys[3:5]) == ["logging/setLevel", "resources/subscribe"]
        assert keys[5:] == ["tools/call"]
    assert events(audited.of("tools/call")) == ["admitted", "outcome"]
