"""Hooks of the operator's own: found by import path or entry point, and held to their word.

A hook of one's own may fail, hang or answer nonsense; here that becomes a refusal with a reason for the operator. A
coroutine has its time; a function that does not await runs in the loop and must not take long.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import re
from collections.abc import Awaitable
from importlib.metadata import entry_points
from typing import Any, Final, get_args

import msgspec
from msgspec import Raw

from broker.hooks.base import PASS, Body, CallInfo, Deny, Drop, Hook, Pass, Pattern, Replace, Verdict
from protocol_versions import jsonrpc
from protocol_versions.base import Part, Side, Slot
from protocol_versions.jsonrpc import WireLimits

GROUP: Final = "dragoman.hooks"
"""Packages offer hooks under this group of entry points."""

MAX_MESSAGE: Final = 1_000
"""Characters of what a client is told of a refusal."""

MAX_REASONS: Final = 32
"""Different reasons of one hook that are told apart in reports; all further ones are `other`."""

_REFUSED: Final = "The request was refused by policy"
_NO_SLUG: Final = re.compile(r"[^A-Za-z0-9._-]+")


class Guarded(Hook):
    """One configured hook. `entry` is its section of the configuration, by which it is known again.

    Headers it may not add: those are what `inject` is for.
    """

    def __init__(self, hook: Hook, entry: Any, *, label: str, timeout_s: float, limits: WireLimits) -> None:
        self.hook = hook
        self.entry = entry
        self.label = label
        self.slots = hook.slots
        self._timeout_s = timeout_s
        self._limits = limits
        self._reasons: set[str] = set()

    def judge(self, slot: Slot, body: Body, info: CallInfo) -> Verdict | Awaitable[Verdict]:
        """The hook's verdict, or a refusal in its place."""
        try:
            found = self.hook.judge(slot, body, info)
            return self._awaited(found) if inspect.isawaitable(found) else self._checked(found)
        except (Exception, asyncio.CancelledError) as error:  # nobody cancels what does not await
            return self._failed(type(error).__name__)

    def review(self, info: CallInfo) -> Deny | None:
        """The hook's own review."""
        try:
            found = self.hook.review(info)
        except Exception as error:
            return self._failed(type(error).__name__)
        return found if found is None or isinstance(found, Deny) else self._failed("no-verdict")

    async def close(self) -> None:
        """Close the hook; what that raises is its own affair."""
        try:
            async with asyncio.timeout(self._timeout_s):
                await self.hook.close()
        except Exception:
            return

    async def _awaited(self, pending: Awaitable[Verdict]) -> Verdict:
        task = asyncio.ensure_future(pending)
        try:
            # Not `wait_for`, which waits for as long as a hook makes of being cancelled.
            done, _ = await asyncio.wait((task,), timeout=self._timeout_s)
            if not done or task.cancelled():
                return self._failed("cancelled" if done else "timeout")
            return self._checked(task.result())
        except Exception as error:
            return self._failed(type(error).__name__)
        finally:
            if not task.done():
                task.cancel()
                task.add_done_callback(_unheard)

    def _checked(self, verdict: Any) -> Verdict:
        if isinstance(verdict, Pass):
            return PASS
        if isinstance(verdict, Replace) and isinstance(verdict.body, dict) and not verdict.headers:
            return Replace({name: self._value(value) for name, value in verdict.body.items() if _is_text(name)})
        if isinstance(verdict, Drop) and isinstance(verdict.reason, str):
            return Drop(self._reason(verdict.reason))
        if isinstance(verdict, Deny) and isinstance(verdict.message, str) and isinstance(verdict.reason, str):
            code = verdict.code if type(verdict.code) is int else jsonrpc.INTERNAL_ERROR
            return Deny(code, verdict.message[:MAX_MESSAGE] or _REFUSED, self._reason(verdict.reason))
        return self._failed("no-verdict")

    def _reason(self, text: str) -> str:
        """The hook's reason as reports take it: a slug, of which there are not ever more."""
        slug = _NO_SLUG.sub("-", text[:64]) or "none"
        if slug not in self._reasons and len(self._reasons) >= MAX_REASONS:
            slug = "other"
        self._reasons.add(slug)
        return f"hook:{self.label}:{slug}"

    def _value(self, value: Any) -> Any:
        """What will be sent, read as a peer reads it. Raises for what is no JSON, or too deep or too much."""
        return value if type(value) is Raw else jsonrpc.open_value(Raw(msgspec.json.encode(value)), self._limits)

    def _failed(self, why: str) -> Deny:
        return Deny(jsonrpc.INTERNAL_ERROR, _REFUSED, f"hook-failed:{self.label}:{why}")


def own_hook(entry: Any, limits: WireLimits) -> Guarded:
    """The hook of a section of the configuration (`broker.settings_policy.OwnHook`).

    Raises:
        ValueError: there is no such hook, or it cannot be made.
    """
    if entry.webhook:
        from broker.hooks.webhook import Webhook

        webhook = Webhook(
            entry.webhook,
            secret=entry.secret.get_secret_value().encode(),
            slots=tuple(map(_pattern, entry.slots)) or (Pattern("params", "tools/call", "server"),),
            max_bytes=entry.max_bytes,
        )
        return Guarded(webhook, entry, label="webhook", timeout_s=entry.timeout_s, limits=limits)
    hook = _made(entry.use, entry.options)
    return Guarded(hook, entry, label=entry.use, timeout_s=entry.timeout_s, limits=limits)


def _made(use: str, options: dict[str, Any]) -> Hook:
    where = f"hook {use}"
    maker = _found(use)
    try:
        hook = maker(**options)
    except Exception as error:
        raise ValueError(f"{where}: cannot be made with its options: {type(error).__name__}: {error}") from error
    if not isinstance(hook, Hook):
        raise ValueError(f"{where}: is no broker.hooks.base.Hook, but {type(hook).__name__}")
    slots: Any = hook.slots
    if not isinstance(slots, tuple) or not slots or not all(map(_is_pattern, slots)):
        raise ValueError(f"{where}: `slots` must be a tuple of Pattern, and say which messages it judges")
    return hook


def _found(use: str) -> Any:
    where = f"hook {use}"
    module, colon, name = use.partition(":")
    try:
        if colon:
            return getattr(importlib.import_module(module), name)
        offered = {each.name: each for each in entry_points(group=GROUP)}
        if use in offered:
            return offered[use].load()
    except Exception as error:
        raise ValueError(f"{where}: cannot be imported: {type(error).__name__}: {error}") from error
    known = ", ".join(sorted(offered)) or "none is installed"
    raise ValueError(f"{where}: no package offers it under `{GROUP}`; known: {known}")


def _pattern(slot: Any) -> Pattern:
    toward: Side = slot.toward or ("server" if slot.part in ("params", "notification") else "client")
    return Pattern(slot.part, slot.methods, toward, slot.members)


def _is_pattern(value: Any) -> bool:
    return (
        isinstance(value, Pattern)
        and value.part in get_args(Part)
        and value.toward in get_args(Side)
        and isinstance(value.methods, str)
    )


def _is_text(name: Any) -> bool:
    if not isinstance(name, str):
        raise TypeError("names of members are text")
    return True


def _unheard(task: asyncio.Future[Any]) -> None:
    """Take what a hook said too late, so that nobody is told it was never heard."""
    if not task.cancelled():
        task.exception()
