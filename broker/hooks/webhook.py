"""A hook that asks an address: each message as JSON in a signed POST, the verdict as JSON in the answer.

    POST, application/json           {"slot": {"part", "method", "toward"}, "body": {...},
                                      "call": {"method", "target", "backend", "round"},
                                      "caller": {"principal", "kind", "claims", "scopes", "expires_at", "client_name",
                                                 "client_version", "client_revision", "backend_revision"}}
    Dragoman-Signature               t=SECONDS,v1=HEX, the HMAC-SHA256 of `SECONDS.BODY` under the secret
    200, application/json            {"verdict": "pass"}, {"verdict": "replace", "body": {...}}, {"verdict": "drop"} or
                                     {"verdict": "deny"}; the latter with "message", "code" and "reason" if it likes

Invariants: nothing but this 200 is a verdict; no redirect is followed, no proxy and no cookie is used, no answer is
read further than its limit. What is raised here refuses the message (`broker.hooks.own`).
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec

from broker.hooks.base import PASS, Body, CallInfo, Deny, Drop, Hook, Pattern, Replace, Verdict
from protocol_versions import jsonrpc
from protocol_versions.base import Slot
from protocol_versions.strict import load

if TYPE_CHECKING:
    import aiohttp

SIGNATURE: Final = "Dragoman-Signature"
MAX_CONNECTIONS: Final = 32
"""At once to one webhook; further messages wait, within their time."""

_REFUSED: Final = "The request was refused by policy"


class Wrong(Exception):  # noqa: N818 (what the webhook did)
    """An answer that is no verdict."""


class Webhook(Hook):
    """One address. `now` gives seconds since the epoch, for the signature."""

    def __init__(
        self,
        url: str,
        *,
        secret: bytes,
        slots: tuple[Pattern, ...],
        max_bytes: int,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.slots = slots
        self._url = url
        self._secret = secret
        self._max_bytes = max_bytes
        self._now = now
        self._session: aiohttp.ClientSession | None = None
        self._shown = {pattern: pattern.members for pattern in slots}

    async def judge(self, slot: Slot, body: Body, info: CallInfo) -> Verdict:
        """What the address answers. Raises for everything that is no verdict."""
        members = next(self._shown[pattern] for pattern in self.slots if pattern.covers(slot))
        data = _question(slot, body if members is None else {k: v for k, v in body.items() if k in members}, info)
        if len(data) > self._max_bytes:
            raise Wrong("the message is too long")
        headers = {"Content-Type": "application/json", SIGNATURE: signed(self._secret, int(self._now()), data)}
        session = self._opened()
        async with session.post(self._url, data=data, headers=headers, allow_redirects=False) as answer:
            if answer.status != 200 or answer.content_type != "application/json":
                raise Wrong("the answer is no verdict")
            text = await _read(answer.content, self._max_bytes)
        return self._verdict(text, body, members)

    async def close(self) -> None:
        """Close its connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            import aiohttp

            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=MAX_CONNECTIONS),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "dragoman"},
                timeout=aiohttp.ClientTimeout(total=None),  # the verdict has its time, whatever it is spent on
                auto_decompress=False,
                trust_env=False,
            )
        return self._session

    def _verdict(self, text: bytes, body: Body, members: tuple[str, ...] | None) -> Verdict:
        found: Any = load(text)
        said = found.get("verdict") if isinstance(found, dict) else None
        if said == "pass":
            return PASS
        if said == "replace" and isinstance(found.get("body"), dict):
            # What the webhook was not shown stays as it is.
            hidden = {} if members is None else {name: value for name, value in body.items() if name not in members}
            return Replace({**hidden, **found["body"]})
        reason = str(found.get("reason", "webhook")) if isinstance(found, dict) else ""
        if said == "drop":
            return Drop(reason)
        if said == "deny":
            return Deny(found.get("code", jsonrpc.INTERNAL_ERROR), found.get("message", _REFUSED), reason)
        raise Wrong("the answer is no verdict")


def signed(secret: bytes, seconds: int, data: bytes) -> str:
    """The signature of a body that is sent at this time."""
    mac = hmac.new(secret, f"{seconds}.".encode() + data, hashlib.sha256)
    return f"t={seconds},v1={mac.hexdigest()}"


def _question(slot: Slot, body: Body, info: CallInfo) -> bytes:
    caller = msgspec.structs.asdict(info.caller)
    caller["claims"] = dict(info.caller.claims)
    caller["scopes"] = sorted(info.caller.scopes)
    return msgspec.json.encode(
        {
            "slot": {"part": slot.part, "method": slot.method, "toward": slot.toward},
            "body": body,
            "call": {"method": info.method, "target": info.target, "backend": info.backend, "round": info.round},
            "caller": caller,
        }
    )


async def _read(content: aiohttp.StreamReader, max_bytes: int) -> bytes:
    text = b""
    async for chunk in content.iter_any():
        text += chunk
        if len(text) > max_bytes:
            raise Wrong("the answer is too long")
    return text
