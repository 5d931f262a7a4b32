"""Which revision each leg speaks; pure functions.

Towards a client: the revision it asks for if it is served, else the newest served one, as basic/lifecycle prescribes
for a server. Towards a backend: what the operator pinned, else the client's own, so that a server that speaks it
answers natively and nothing has to be translated; a counter-offer is taken.
"""

from __future__ import annotations

from protocol_versions import REVISIONS

SESSION_REVISIONS = tuple(revision.id for revision in REVISIONS if revision.traits.sessions)
"""Revisions with `initialize` and sessions, oldest first."""

AUTO = "auto"


def client_revision(requested: object, served: tuple[str, ...]) -> str:
    """The revision the client is answered in. A version nobody knows gets the newest served one, never an error."""
    if isinstance(requested, str) and requested in served:
        return requested
    return max(served, key=SESSION_REVISIONS.index)


def backend_offer(pin: str, client: str) -> tuple[str, bool]:
    """(revision to offer in `initialize`, whether the operator pinned it)."""
    return (client, False) if pin == AUTO else (pin, True)
