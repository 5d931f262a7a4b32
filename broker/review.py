"""Open calls that policy refuses since it has changed: each ends with an error here, and is cancelled at its backend.

What a call did until then it did while it was allowed. Every gate looks at its own calls when the hooks of its server
change, so that nothing waits for the next message; only arguments are not looked at again, because nobody keeps them.
Where there was nothing to judge by when a call began, a gate knows nothing of it: then its edge is asked what is open.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

from msgspec import UNSET

from broker.gate_edge import TARGET, Edge, text_of
from broker.hooks.base import CallInfo
from broker.hooks.runner import Runner
from protocol_versions import jsonrpc
from protocol_versions.jsonrpc import Frame
from translators.machine import ToServer
from translators.reply import broken, notify


def refused(
    edge: Edge,
    hooks: Runner,
    infos: MutableMapping[int, CallInfo],
    info_of: Callable[[int, str, str | None], CallInfo],
) -> list[int]:
    """End the calls that are refused now; their numbers. What `infos` lacks is added."""
    for call, method, target in begun(edge) if hooks.hooks else ():
        if call not in infos:
            infos[call] = info_of(call, method, target)
    ended = []
    for call, info in tuple(infos.items()):
        verdict = hooks.review(info)
        if verdict is None or not edge.is_open(call):
            continue
        ended.append(call)
        edge.watch.denied(edge, call, "result", info.method, verdict.reason)
        _cancel(edge, call)
        edge.from_backend(call, broken(call, "denied", code=verdict.code, message=verdict.message), "broker")
    return ended


def begun(edge: Edge) -> Iterator[tuple[int, str, str | None]]:
    """Every open call of an edge: its number there, its method, and the name that it is about."""
    from broker.backends.virtual_session import VirtualSession
    from broker.faces.stateless_call import StatelessCall
    from broker.relay import Relay

    if isinstance(edge, Relay):
        for number, call in edge.talk.book.calls.items():
            sent = b"" if edge.backend is None or call.method not in TARGET else edge.backend.sent(number)
            yield number, call.method, _target(sent)
    elif isinstance(edge, VirtualSession):
        for leg, number in edge.talk.legs.items():
            bridge = edge.talk.bridges.get(number)
            if bridge is not None:
                yield leg, bridge.method, _named(Frame(method=bridge.method, params=bridge.params))
    elif isinstance(edge, StatelessCall) and edge.open:
        yield edge.number, edge.method, _named(Frame(method=edge.method, params=dict(edge.modern.params)))


def _target(sent: bytes) -> str | None:
    try:
        return _named(jsonrpc.decode_backend(sent)) if sent else None
    except jsonrpc.Refused:
        return None


def _named(frame: Frame) -> str | None:
    member = TARGET.get(frame.method) if frame.method is not UNSET else None
    return None if member is None else text_of(frame, member)


def review(hooks: Runner) -> None:
    """The hooks of a server have changed: every gate that judges by them looks at its open calls."""
    for gate in tuple(hooks.gates):
        gate.review()


def _cancel(edge: Any, call: int) -> None:
    """Tell the backend to stop: in a message where there are sessions, by closing the call's connection else."""
    # Not above: an edge has a gate, and a gate looks here.
    from broker.backends.virtual_session import VirtualSession
    from broker.relay import Relay

    if isinstance(edge, Relay):
        assert edge.backend is not None
        edge.to_backend(ToServer(0, notify("notifications/cancelled", {"requestId": call})))
        edge.backend.abort(call)
    elif isinstance(edge, VirtualSession):
        if edge.http is not None and (edge.hub is None or not edge.hub.leave(edge, call)):
            edge.http.abort(call)
    else:
        edge.relay.legs.abort(call)
