"""Open calls that policy refuses since it has changed: each ends with an error here, and is cancelled at its backend.

What a call did until then it did while it was allowed. Every gate looks at its own calls when the hooks of its server
change, so that nothing waits for the next message; only arguments are not looked at again, because nobody keeps them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from broker.gate_edge import Edge
from broker.hooks.base import CallInfo
from broker.hooks.runner import Runner
from translators.machine import ToServer
from translators.reply import broken, notify


def refused(edge: Edge, hooks: Runner, infos: Mapping[int, CallInfo]) -> list[int]:
    """End the calls that are refused now; their numbers."""
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
