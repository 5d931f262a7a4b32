"""The modern scripted client: one SDK `Client` pinned to 2026-07-28, one feature after another, one line each.

`--url URL [--sign-in SCOPES]`, or `--command '["argv", ...]'` for a server on a pipe;
`[--features a,b,...] [--timeout SECONDS]`; statuses and exit codes are `scripted_client`'s. There is no session:
`initialize` is a `server/discover`, and a refusal of it leaves the other features untried.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import warnings
from typing import Any

import anyio
import mcp.types as types
from any_server import ANY_SERVER
from features import UnsupportedError, WrongAnswerError
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters
from mcp.shared.exceptions import MCPError
from modern_application import ModernApplication
from modern_features import FEATURES as OWN_FEATURES
from modern_features import ON_REQUEST as OWN_ON_REQUEST

REVISION = "2026-07-28"
TIMEOUT = 10.0  # seconds for one feature
FEATURES = {**OWN_FEATURES, **ANY_SERVER}
ON_REQUEST = (*OWN_ON_REQUEST, *ANY_SERVER)


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
    if isinstance(failure, BaseExceptionGroup):
        return "; ".join(reason(part) for part in failure.exceptions)
    return " ".join(f"{type(failure).__name__}: {failure}".split())[:500]


async def discover(client: Client) -> dict[str, Any]:
    """Ask the server what it is (a pinned client does not) and adopt the answer."""
    raw = await client.session.send_discover(REVISION)
    client.session.adopt(types.DiscoverResult.model_validate(raw))
    info = client.server_info
    return {
        "protocolVersion": client.protocol_version,
        "serverInfo": info and info.model_dump(by_alias=True, mode="json", exclude_none=True),
        "capabilities": client.server_capabilities.model_dump(by_alias=True, mode="json", exclude_none=True),
    }


async def attempt(app: ModernApplication, name: str, bound: float) -> bool:
    """Try one feature and print its line; False when there is no server to go on with."""
    app.forget()
    try:
        with anyio.fail_after(bound):
            seen = await (discover(app.session) if name == "initialize" else FEATURES[name](app))
    except UnsupportedError as lack:
        put(name, "unsupported", None, {"message": str(lack)})
    except WrongAnswerError as wrong:
        put(name, "failed", wrong.seen, {"message": str(wrong)})
    except MCPError as refusal:
        put(name, "refused", None, {"code": refusal.code, "message": refusal.message})
        return name != "initialize"
    except TimeoutError:
        put(name, "failed", None, {"message": f"no answer in {bound:g} s"})
        return name != "initialize"
    except Exception as failure:
        put(name, "failed", None, {"message": reason(failure)})
        return name != "initialize"
    else:
        put(name, "ok", seen)
    return True


async def run(server: Any, names: list[str], bound: float, call: dict[str, Any]) -> int:
    """Discover, try every feature; returns the exit code."""
    app = ModernApplication()
    app.call = call
    left = ["initialize", *(name for name in names if name != "initialize")]
    why = "server/discover was not answered"
    try:
        async with Client(server, mode=REVISION, **app.callbacks()) as client:
            app.session = client
            while left:
                answered = await attempt(app, left[0], bound)
                left.pop(0)
                if not answered:
                    break
    except Exception as failure:  # a request that cannot be sent ends the whole client, not itself alone
        why = f"connection broken: {reason(failure)}"
    for name in left:
        put(name, "failed", None, {"message": why})
    if app.errors:
        put("stray", "ok", {"errors": [reason(error) for error in app.errors]})
    return 2 if left else 0


def main() -> None:
    """Parse the command line, run the script, exit."""
    parser = argparse.ArgumentParser()
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--url")
    where.add_argument("--command", type=json.loads, metavar="JSON", help="argv of a server on a pipe")
    parser.add_argument("--sign-in", metavar="SCOPES", help="sign in when asked to")
    parser.add_argument("--features", default=None, help="comma-separated; all by default")
    parser.add_argument("--call", type=json.loads, metavar="JSON", help="name and arguments, for any.call")
    parser.add_argument("--timeout", type=float, default=TIMEOUT)
    options = parser.parse_args()
    names = options.features.split(",") if options.features else [n for n in FEATURES if n not in ON_REQUEST]
    unknown = [name for name in names if name not in FEATURES and name != "initialize"]
    if unknown:
        parser.error(f"unknown features: {', '.join(unknown)}")
    warnings.simplefilter("ignore")  # the SDK warns of what the revision deprecates
    server = options.url
    if options.sign_in is not None:
        from mcp.client.streamable_http import streamable_http_client
        from mcp.shared._httpx_utils import create_mcp_http_client
        from signing_in import sign_in

        http = create_mcp_http_client(auth=sign_in(options.url, options.sign_in))
        server = streamable_http_client(options.url, http_client=http)
    if options.command:
        # The whole environment: package runners find their caches there.
        server = StdioServerParameters(command=options.command[0], args=options.command[1:], env=dict(os.environ))
    sys.exit(asyncio.run(run(server, names, options.timeout, options.call or {})))
