"""Whether a server wants somebody to sign in: what it says to a request that does nothing.

Servers of every revision judge credentials before they look at a message; those of the HTTP+SSE pair take no POST at
their address, and are asked by opening the stream.
"""

from __future__ import annotations

from broker.context import CLIENT_INFO
from broker.era_question import METHOD, new_id, question
from broker.era_signs import MODERN
from broker.signin.challenge import Challenge, read
from broker.signin.fetch import Fetcher
from broker.signin.grant import Grant
from protocol_versions import jsonrpc

REFUSED = (401, 403)


async def challenge_of(url: str, fetch: Fetcher, grant: Grant | None = None) -> Challenge | None:
    """What a server demands; None if it answers as it is, with the token of `grant` if one is given.

    Raises:
        SignInError: it cannot be reached.
    """
    shown = {"Authorization": f"Bearer {grant.access_token}"} if grant is not None else {}
    message = jsonrpc.encode(question(new_id(), MODERN[-1], CLIENT_INFO))
    headers = {
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": MODERN[-1],
        "Mcp-Method": METHOD,
        **shown,
    }
    answer = await fetch.post_json(url, message, headers)
    if answer.status in (404, 405):
        answer = await fetch.get(url, {"Accept": "text/event-stream", **shown})
    return read(answer.challenge) if answer.status in REFUSED else None
