"""Where the browser comes back to: one path on 127.0.0.1, open while somebody signs in, good for one answer.

Follows RFC 8252 sections 7.3 and 8.3 (the loopback address, not its name), RFC 6749 section 4.1.2, RFC 9207 section
2.4. Invariants: an answer whose state is not the one that was sent is discarded and changes nothing; of an answer of
another issuer nothing is used or shown, not even its error; the page runs nothing and loads nothing.
"""

from __future__ import annotations

import asyncio
import hmac
from typing import Final, Self

from aiohttp import web

from broker.signin.discovery import Issuer
from broker.signin.errors import SignInError

PATH: Final = "/callback"
MAX_CODE: Final = 8 * 1024
"""Characters of a code; a request line of that length is refused by most servers."""

_ONCE: Final = ("code", "state", "iss", "error")
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Connection": "close",
}
_PAGE: Final = (
    "<!doctype html><html lang=en><meta charset=utf-8><title>Dragoman</title>"
    "<body style='font-family:sans-serif;margin:4em auto;max-width:34em'><h1>{title}</h1><p>{text}</p>"
)


class Loopback:
    """An async context: a listener for one answer. `port` 0 takes any that is free, as does one that is taken with
    `or_any`.
    """

    def __init__(self, state: str, *, port: int = 0, or_any: bool = False) -> None:
        self._state = state
        self._port = port
        self._or_any = or_any
        self._answer: asyncio.Future[dict[str, str]] = asyncio.get_running_loop().create_future()
        self._runner = web.ServerRunner(web.Server(self._handle, access_log=None))
        self.redirect_uri = ""
        self.discarded = 0

    async def __aenter__(self) -> Self:
        """Listen.

        Raises:
            SignInError: the port is taken.
        """
        # By itself: what is cancelled while it begins to listen would go on listening, and nobody could end it.
        listening = asyncio.ensure_future(self._listen())
        try:
            await asyncio.shield(listening)
        except OSError as error:
            await self._runner.cleanup()
            raise SignInError("unreachable", f"port {self._port} of 127.0.0.1 is not free") from error
        except BaseException:
            await asyncio.wait([listening])
            await self._runner.cleanup()
            raise
        self._port = int(self._runner.addresses[0][1])
        self.redirect_uri = f"http://127.0.0.1:{self._port}{PATH}"
        return self

    async def __aexit__(self, *_error: object) -> None:
        """Listen no more; the page that is being sent gets through."""
        await self._runner.cleanup()

    async def code(self, issuer: Issuer, wait_s: float) -> str:
        """The code the browser brings.

        Raises:
            SignInError: it brings none in time, or one that is not to be used.
        """
        try:
            found = await asyncio.wait_for(asyncio.shield(self._answer), wait_s)
        except TimeoutError:
            raise SignInError("timeout", f"nobody signed in within {wait_s:g} s") from None
        return code_of(found, issuer)

    async def _listen(self) -> None:
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        except OSError:
            if not self._or_any:
                raise
            await web.TCPSite(self._runner, "127.0.0.1", 0).start()

    async def _handle(self, request: web.BaseRequest) -> web.Response:
        if request.method != "GET" or request.path != PATH or request.host != f"127.0.0.1:{self._port}":
            return _page(404, "Not found", "There is nothing here.")
        fields = request.query
        if self._answer.done():
            return _page(410, "Over", "This has been answered already.")
        if not hmac.compare_digest(fields.get("state", "").encode(), self._state.encode()) or any(
            len(fields.getall(name, [])) > 1 for name in _ONCE
        ):
            self.discarded += 1
            return _page(400, "Not understood", "This answer does not belong to a sign-in that is going on.")
        self._answer.set_result({name: fields[name] for name in _ONCE if name in fields})
        return _page(200, "Thank you", "You can close this page and go back to where you came from.")


def code_of(found: dict[str, str], issuer: Issuer) -> str:
    """The code of an answer whose state is right.

    Raises:
        SignInError: it is another issuer's, an error, or no answer.
    """
    said = found.get("iss")
    if said != issuer.issuer and (said is not None or issuer.names_itself):
        raise SignInError("wrong-issuer", f"the answer is not one of the issuer {issuer.issuer}")
    if "error" in found:
        error = found["error"]
        known = len(error) <= 64 and error.isascii() and error.replace("_", "").isalnum()
        raise SignInError("denied", f"the issuer {issuer.issuer} refused ({error if known else 'no reason given'})")
    code = found.get("code", "")
    if not code or len(code) > MAX_CODE:
        raise SignInError("answer-unusable", f"the issuer {issuer.issuer} sent no code")
    return code


def _page(status: int, title: str, text: str) -> web.Response:
    return web.Response(
        status=status, text=_PAGE.format(title=title, text=text), content_type="text/html", headers=_HEADERS
    )
