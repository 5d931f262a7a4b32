"""A person with a browser, a protected server with its issuer, and the broker on a pipe before it, in one loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from aiohttp import web

from broker.backends.http1 import Pool, make_pool
from broker.backends.http_reach import HttpReach
from broker.backends.session_policy import SessionPolicy
from broker.context import CLIENT_INFO, ServerContext
from broker.demo import server as stateless_sample
from broker.demo import session_server as session_sample
from broker.faces.one_client import OneClient
from broker.hooks.runner import Runner
from broker.identity.principal import LOCAL
from broker.limit_values import DEFAULTS, pool_of, wire_of
from broker.seal import Seal
from broker.signin.credentials import PersonCredentials, signed
from broker.signin.flow import Person
from broker.signin.options import SignInOptions
from broker.signin.store import Store
from broker.watch import Watch
from broker.wheel import Wheel
from protocol_versions import REVISIONS
from tests.broker.http1_world import turn, within
from tests.broker.pipe_world import PipeWorld, Reports
from tests.broker.strict_issuer import StrictIssuer

Json = dict[str, Any]
RESOURCE = "/.well-known/oauth-protected-resource"
NOWHERE = "http://127.0.0.1:1/mcp"


class Door:
    """What stands before a server: it wants a token of the issuer, and knows which scopes an operation needs."""

    def __init__(self, issuer: StrictIssuer) -> None:
        self.issuer = issuer
        self.url = ""
        self.challenge = 'Bearer error="invalid_token", resource_metadata="{metadata}"'
        self.metadata_places: tuple[str, ...] = (f"{RESOURCE}/mcp",)
        self.edit: Callable[[Json], Any] = lambda document: None
        self.needs: Callable[[bytes], set[str]] = lambda body: set()
        self.closed_to_all = False
        self.lines: list[str] = []
        self.refusals: list[int] = []

    def add_to(self, app: web.Application) -> None:
        """Stand before everything of an application but its metadata."""
        app.middlewares.append(self._guard)
        app.router.add_get(RESOURCE, self._metadata)
        app.router.add_get(f"{RESOURCE}/{{path:.*}}", self._metadata)

    async def _metadata(self, request: web.Request) -> web.Response:
        if request.path not in self.metadata_places:
            return web.Response(status=404)
        document: Json = {"resource": self.url, "authorization_servers": [self.issuer.issuer]}
        self.edit(document)
        return web.json_response(document)

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if "well-known" in request.path or request.path in ("/authorize", "/token", "/register"):
            answer: web.StreamResponse = await handler(request)
            return answer
        line = request.headers.get("Authorization", "")
        self.lines.append(line)
        scopes = self.issuer.access.get(line.removeprefix("Bearer "))
        root = self.url.removesuffix("/mcp")
        named = self.challenge.replace("{metadata}", f"{root}{self.metadata_places[0]}" if self.metadata_places else "")
        if scopes is None or self.closed_to_all:
            self.refusals.append(401)
            return web.json_response({"error": "invalid_token"}, status=401, headers={"WWW-Authenticate": named})
        needed = self.needs(await request.read())
        if not needed <= scopes:
            self.refusals.append(403)
            text = f'Bearer error="insufficient_scope", scope="{" ".join(sorted(needed))}"'
            return web.json_response({}, status=403, headers={"WWW-Authenticate": text})
        through: web.StreamResponse = await handler(request)
        return through


class Browser:
    """A person's browser: follows where it is sent. `pages` are the addresses it was given; `after` what came of it."""

    def __init__(self) -> None:
        self.pages: list[str] = []
        self.seen: list[tuple[int, str]] = []
        self.tasks: set[asyncio.Task[None]] = set()

    async def __call__(self, page: str) -> bool:
        self.pages.append(page)
        task = asyncio.ensure_future(self._visit(page))
        self.tasks.add(task)
        return True

    async def _visit(self, page: str) -> None:
        async with aiohttp.ClientSession() as session, session.get(page) as answer:
            self.seen.append((answer.status, await answer.text()))


class SignInWorld(PipeWorld):
    """The broker's half: a client on a pipe, before the server behind the door."""

    def __init__(self, url: str, store: Store, who: Person, options: SignInOptions, **more: Any) -> None:
        self.reports = Reports()
        self.said: list[Json] = []
        self._changed = asyncio.Event()
        self.reasons: list[str] = []
        self.pages = who.browse
        limits = msgspec.structs.replace(DEFAULTS, **more.pop("limits", {}))
        wheel = Wheel()

        def pool_for(address: str) -> Pool:
            return make_pool(address, wheel=wheel, limits=pool_of(limits))

        pool, further = signed(
            url, pool_for(url), pool_for, options, limits, store=store, who=who, report=self.reasons.append, **more
        )
        self.http = HttpReach(url, pool, further, wire_of(limits), CLIENT_INFO, wheel, limits=limits)
        self.credentials: PersonCredentials = pool.credentials  # type: ignore[attr-defined]
        self.context = ServerContext(
            "protected",
            reach=self.http,
            revision="auto",
            face="mirror",
            compare_lists=True,
            bridge=SessionPolicy.defaults(limits),
            revisions=tuple(each.id for each in REVISIONS),
            limits=limits,
            wheel=wheel,
            hooks=Runner((), wire_of(limits)),
            watch=Watch(self.reports, None, limits.stream_queue_bytes),
            wire=wire_of(limits),
            seal=Seal(),
        )
        self.face = OneClient(self.context, LOCAL, self._write)

    async def end(self) -> None:
        """Nothing of it is left."""
        self.face.close()
        await self.http.close()
        self.context.wheel.close()

    async def tools(self, number: int = 1) -> list[str]:
        """The names of the server's tools."""
        answer = await self.ask(number, "tools/list")
        return [tool["name"] for tool in answer["result"]["tools"]]


class Setting:
    """Everything on the other side of the broker, and the broker's own folder."""

    def __init__(self, folder: Path, issuer: StrictIssuer, door: Door, stack: AsyncExitStack) -> None:
        self.store = Store(folder / "signin")
        self.issuer = issuer
        self.door = door
        self.browser = Browser()
        self.said: list[str] = []
        self.faultless = True
        self._stack = stack

    @property
    def url(self) -> str:
        return self.door.url

    def who(self, *, wait_s: float = 5.0, browse: Any = "browser", watched: bool = False) -> Person:
        """The person; `browse=None`: without a browser."""
        return Person(self.said.append, self.browser if browse == "browser" else browse, watched, wait_s)

    async def broker(
        self, *, options: SignInOptions | None = None, who: Person | None = None, **more: Any
    ) -> SignInWorld:
        """A broker of this person; ended with everything else."""
        here = SignInWorld(self.url, self.store, who or self.who(), options or SignInOptions(), **more)
        self._stack.push_async_callback(here.end)
        return here


async def served(app: web.Application, stack: AsyncExitStack) -> str:
    """The address of an application that is up until the stack is closed."""
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    stack.push_async_callback(_down, runner)
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return f"http://127.0.0.1:{runner.addresses[0][1]}"


async def _down(runner: web.AppRunner) -> None:
    """Close what is served. What was accepted just now is no connection that `cleanup` closes for two turns."""
    for site in list(runner.sites):
        await site.stop()
    for _ in range(4):
        await turn()
    await runner.cleanup()


@asynccontextmanager
async def setting(
    folder: Path, revision: str = "2025-11-25", *, path: str = "", same_origin: bool = False, app: Any = None
) -> AsyncIterator[Setting]:
    """A protected server of that revision, its issuer (at a path, or at the server's own origin), and a person."""
    samples = {"2025-11-25": session_sample, "2026-07-28": stateless_sample}
    async with AsyncExitStack() as stack:
        issuer = StrictIssuer(path)
        server = app if app is not None else samples[revision].sample_app()
        door = Door(issuer)
        door.add_to(server)
        if same_origin:
            issuer.add_to(server)
        else:
            apart = web.Application()
            issuer.add_to(apart)
            issuer.base = await served(apart, stack)
        door.url = f"{await served(server, stack)}/mcp"
        if same_origin:
            issuer.base = door.url.removesuffix("/mcp")
        issuer.resource = door.url
        here = Setting(folder, issuer, door, stack)
        yield here
        if here.browser.tasks:
            await within(asyncio.wait(here.browser.tasks))
        if here.faultless:
            assert issuer.faults == []
