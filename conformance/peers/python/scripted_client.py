"""The scripted client: one SDK session, one feature after another, one JSON line each.

`--url URL [--transport streamable-http|sse]`, or `--command '["argv", ...]'` for a server on a pipe;
`[--features a,b,...] [--call JSON] [--timeout SECONDS]`. Status `ok` ran, `refused` the peer answered a JSON-RPC
error, `unsupported` this SDK has no API for it, `failed` anything else. Exit 0 when all features were tried,
2 when the connection broke.
"""

from __future__ import annotations

import lean  # noqa: F401 - before anything of the SDK

# isort: split

import argparse
import asyncio
import json
import os
import sys
from typing import Any

import anyio
from any_server import ANY_SERVER
from application import Application
from connecting import Place, add_place, place
from features import FEATURES as OLDER_FEATURES
from features import UnsupportedError, WrongAnswerError
from input_features import INPUT_FEATURES
from mcp.client.session import ClientSession
from mcp.shared.exceptions import McpError

TIMEOUT = 10.0  # seconds for one feature; the contract's default
CLOSING = 2.0  # seconds for the DELETE and the streams at the end
FEATURES = {**OLDER_FEATURES, **INPUT_FEATURES, **ANY_SERVER}
ON_REQUEST = ("sampling.get_stream", *INPUT_FEATURES, *ANY_SERVER)  # features that run only when named
# What a send raises once the SDK has given the session up.
BROKEN = (anyio.BrokenResourceError, anyio.ClosedResourceError)


def put(feature: str, status: str, seen: Any = None, error: dict[str, Any] | None = None) -> None:
    """Print one line."""
    line: dict[str, Any] = {"feature": feature, "status": status}
    if seen is not None:
        line["seen"] = seen
    if error is not None:
        line["error"] = error
    print(json.dumps(line), flush=True)


def reason(failure: BaseException) -> str:
    """A failure in one line, looking through exception groups."""
    while isinstance(failure, BaseExceptionGroup) and len(failure.exceptions) == 1:
        failure = failure.exceptions[0]
    if isinstance(failure, BaseExceptionGroup):
        return "; ".join(reason(part) for part in failure.exceptions)
    return " ".join(f"{type(failure).__name__}: {failure}".split())[:500]


async def attempt(app: Application, name: str, bound: float) -> bool:
    """Try one feature and print its line; False when the connection is gone."""
    app.forget()
    try:
        with anyio.fail_after(bound):
            seen = await FEATURES[name](app)
    except UnsupportedError as lack:
        put(name, "unsupported", None, {"message": str(lack)})
    except WrongAnswerError as wrong:
        put(name, "failed", wrong.seen, {"message": str(wrong)})
    except McpError as refusal:
        put(name, "refused", None, {"code": refusal.error.code, "message": refusal.error.message})
    except BROKEN as failure:
        put(name, "failed", None, {"message": f"connection lost: {reason(failure)}"})
        return False
    except TimeoutError:
        put(name, "failed", None, {"message": f"no answer in {bound:g} s"})
    except Exception as failure:
        put(name, "failed", None, {"message": reason(failure)})
    else:
        put(name, "ok", seen)
    return True


class Script:
    """The features still to be tried, so that a broken connection can name those it cost."""

    def __init__(self, names: list[str], timeout: float) -> None:
        self.names = names
        self.timeout = timeout
        self.app = Application()
        self.closing = False

    async def run(self, server: Place) -> None:
        """Open the session, try everything, close; raises when the session ends by itself."""
        self.app.get_tried = not server.get_stream
        async with server.transport() as (read, write, *_):
            async with ClientSession(read, write, **self.app.callbacks()) as session:
                self.app.session = session
                await self._initialize(session)
                while self.names:
                    if not await attempt(self.app, self.names[0], self.timeout):
                        self.names.pop(0)
                        raise ConnectionError("the SDK closed the session")
                    self.names.pop(0)
                self.closing = True
            asyncio.get_running_loop().call_later(CLOSING, self._leave)

    async def _initialize(self, session: ClientSession) -> None:
        with anyio.fail_after(self.timeout):
            result = await session.initialize()
        seen = result.model_dump(by_alias=True, mode="json", exclude_none=True)
        wanted = ("protocolVersion", "serverInfo", "capabilities")
        if "initialize" in self.names:
            self.names.remove("initialize")
        put("initialize", "ok", {name: seen.get(name) for name in wanted})
        self.app.initialized = True

    def _leave(self) -> None:
        self.stray()
        sys.stdout.flush()
        os._exit(0)

    def stray(self) -> None:
        """Print what the SDK handed to the message handler as exceptions."""
        if self.app.errors:
            put("stray", "ok", {"errors": [reason(error) for error in self.app.errors]})
            self.app.errors = []

    def broken(self, failure: BaseException) -> int:
        """Report every feature not tried; returns the exit code."""
        message = f"connection broken: {reason(failure)}"
        if not self.app.initialized:
            refusal = failure
            while isinstance(refusal, BaseExceptionGroup):
                refusal = refusal.exceptions[0]
            if isinstance(refusal, McpError):
                put(
                    "initialize",
                    "refused",
                    None,
                    {"code": refusal.error.code, "message": refusal.error.message},
                )
            else:
                put("initialize", "failed", None, {"message": message})
            self.names = [name for name in self.names if name != "initialize"]
        for name in self.names:
            put(name, "failed", None, {"message": message})
        self.stray()
        return 2


def main() -> None:
    """Parse the command line, run the script, exit."""
    parser = argparse.ArgumentParser()
    add_place(parser)
    parser.add_argument("--features", default=None, help="comma-separated; all by default")
    parser.add_argument("--call", type=json.loads, metavar="JSON", help="name and arguments, for any.call")
    parser.add_argument("--timeout", type=float, default=TIMEOUT)
    options = parser.parse_args()
    names = options.features.split(",") if options.features else [n for n in FEATURES if n not in ON_REQUEST]
    unknown = [name for name in names if name not in FEATURES and name != "initialize"]
    if unknown:
        parser.error(f"unknown features: {', '.join(unknown)}")

    script = Script(names, options.timeout)
    script.app.call = options.call or {}
    try:
        asyncio.run(script.run(place(options)))
    except BaseException as failure:
        if isinstance(failure, KeyboardInterrupt | SystemExit):
            raise
        if not script.closing:
            sys.exit(script.broken(failure))
    script.stray()
