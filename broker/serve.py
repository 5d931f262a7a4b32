"""Running the broker: listening with deadlines, saying that it is ready, and ending without losing calls.

aiohttp has no deadline for the receipt of a request; ours are armed where a connection begins and where a
request's head begins. Invariants: every connection is either idle for a bounded time, sending a request for a
bounded time, or being answered; after the first SIGTERM or SIGINT nothing new is accepted, calls in flight may
finish within the grace, and a second signal ends them at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import socket
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final, cast

from aiohttp import http_parser, web
from aiohttp.web_protocol import RequestHandler
from aiohttp.web_server import Server

from broker import garbage, telemetry
from broker.ending import on_signals
from broker.serve_connection import Connection, Door, Unsigned
from broker.serve_greeting import Greeting
from broker.serve_tls import ServerTls

if TYPE_CHECKING:
    from broker.settings import Limits, Settings

BACKLOG: Final = 1024  # connections the kernel holds while the loop is busy; nginx asks for 511, Go for SOMAXCONN
SPARE_FILES: Final = 256  # descriptors for files, pipes and the interpreter, beside those of connections

CreateApp = Callable[["Settings", int], web.Application]
"""`(settings, the port that was bound) -> the application`."""


class CannotServe(RuntimeError):  # noqa: N818 (an outcome of the start, named as the caller reads it)
    """The broker cannot start here. `bind` is True if the address is the reason."""

    def __init__(self, message: str, *, bind: bool = False) -> None:
        super().__init__(message)
        self.bind = bind


def check_runtime() -> None:
    """Refuse an interpreter where requests would be parsed by aiohttp's Python fallback.

    Raises:
        CannotServe: the C parser is missing; the fallback has a history of request smuggling (CVE-2025-69224).
    """
    if http_parser.HttpRequestParser is http_parser.HttpRequestParserPy:
        raise CannotServe(
            "aiohttp runs on its pure-Python HTTP parser here (no wheel for this platform, or AIOHTTP_NO_EXTENSIONS "
            "is set); the broker needs the C parser"
        )


def bind(host: str, port: int) -> socket.socket:
    """A listening TCP socket.

    Raises:
        CannotServe: the address is in use, not ours, or not allowed.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if sys.platform == "win32":  # there REUSEADDR would let two programs have one port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        reason = "it is in use" if error.errno == errno.EADDRINUSE else error.strerror
        raise CannotServe(f"cannot listen on {host} port {port}: {reason}", bind=True) from error
    listener.setblocking(False)
    return listener


class Running:
    """A broker that listens. `close()` ends it; `url` is where it is."""

    def __init__(
        self,
        runner: web.AppRunner,
        listener: asyncio.Server | Greeting,
        settings: Settings,
        port: int,
        tls: ServerTls | None,
    ) -> None:
        host = settings.host
        self.port, self.tls = port, tls
        self.url = f"{settings.scheme}://{f'[{host}]' if ':' in host else host}:{port}"
        self._runner = runner
        self._listener = listener

    @property
    def app(self) -> web.Application:
        """What is served."""
        return self._runner.app

    async def close(self, *, grace_s: float = 0.0, hurry: asyncio.Event | None = None) -> bool:
        """Stop accepting, let requests finish for `grace_s` or until `hurry`, then close everything.

        Returns True if nothing was cut off. Harmless when repeated.
        """
        self._listener.close()
        server = self._runner.server
        if server is None:
            return True
        _wind_down(self._runner.app)
        server.pre_shutdown()  # idle connections close now, busy ones after their answer
        clean = await _drained(server, grace_s, hurry)
        # What is left has used up its grace: streams and calls end now.
        self._runner._shutdown_timeout = 0.1
        await self._runner.cleanup()
        return clean


def _wind_down(app: web.Application) -> None:
    """End what would otherwise last until its client goes."""
    from broker.app import WIND_DOWN

    for end in app.get(WIND_DOWN, ()):
        end()


def _calling(connection: RequestHandler) -> bool:
    return isinstance(connection, Connection) and connection.answering


async def _drained(server: Server, grace_s: float, hurry: asyncio.Event | None) -> bool:
    deadline = asyncio.get_running_loop().time() + grace_s
    while any(_calling(connection) for connection in server.connections):
        left = deadline - asyncio.get_running_loop().time()
        if left <= 0 or (hurry is not None and hurry.is_set()):
            return False
        await asyncio.sleep(min(left, 0.02))
    return True


async def start(settings: Settings, create: CreateApp) -> Running:
    """Listen and answer; returns when the port accepts.

    Raises:
        CannotServe: see `bind` and `check_runtime`.
        ValueError: the files of `tls` cannot be used.
    """
    from broker.app import SERVERS

    check_runtime()
    limits = settings.limits
    tls = None if settings.tls is None else ServerTls(settings.tls)
    loop = asyncio.get_running_loop()
    listener = bind(settings.host, settings.port)
    port: int = listener.getsockname()[1]
    try:
        app = create(settings, port)
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True)
        await runner.setup()
    except BaseException:
        listener.close()
        raise
    server = runner.server
    assert server is not None
    server.request_factory = functools.partial(app._make_request, _cls=Unsigned)
    _shorten(server, app)
    door = Door(limits, loop, app[SERVERS].audit if SERVERS in app else None)
    options: dict[str, Any] = {
        "loop": loop,
        "access_log": None,
        "keepalive_timeout": limits.keep_alive_s,
        "lingering_time": limits.linger_s,
        "max_line_size": limits.header_bytes,
        "max_field_size": limits.header_bytes,
        "max_headers": limits.header_count,
        "auto_decompress": False,
    }
    make = functools.partial(Connection, server, door, **options)
    running: asyncio.Server | Greeting
    if tls is not None:
        running = Greeting(listener, door, make, tls.options(limits))
    else:
        running = await loop.create_server(make, sock=listener, backlog=BACKLOG)
    return Running(runner, running, settings, port, tls)


def _shorten(server: web.Server, app: web.Application) -> None:
    """Let POSTs to an endpoint reach its handler without the router, which costs a tenth of a small call.

    Not where answers need the application's signals (CORS), nor for requests that wait for 100 Continue.
    """
    from broker.app import POSTS

    posts = app.get(POSTS)
    if posts is None or app.on_response_prepare:
        return
    usual = server.request_handler

    def handle(request: web.BaseRequest) -> Awaitable[web.StreamResponse]:
        connection = request.protocol
        handed = connection.handed if type(connection) is Connection else None
        if handed is not None:
            return handed.usual(cast("web.Request", request))
        post = posts.get(request._message.path) if request.method == "POST" else None
        if post is None or "Expect" in request.headers:
            return usual(request)
        return post(cast("web.Request", request))

    server.request_handler = handle


Beside = Callable[[Running], Coroutine[Any, Any, None]]
"""What goes on as long as the broker serves, and is cancelled then."""


async def run(
    settings: Settings, create: CreateApp, ready: Callable[[Running], None], beside: Beside | None = None
) -> bool:
    """Serve until SIGTERM or SIGINT; True if every call in flight could finish.

    Raises:
        CannotServe: it cannot start.
    """
    stop, hurry = asyncio.Event(), asyncio.Event()

    def signalled() -> None:
        (hurry if stop.is_set() else stop).set()

    undo = on_signals(signalled)
    listener = None
    try:
        if settings.status.port is not None:  # a port that is taken is found out before anybody is told of anything
            listener = bind(settings.status.host, settings.status.port)
        broker = await start(settings, create)
        garbage.started()
        going = asyncio.ensure_future(beside(broker)) if beside is not None else None
        await asyncio.sleep(0)  # it hears signals before anybody is told that there is a process to send them to
        ready(broker)
        status = None
        if listener is not None:
            from broker.app import FACES, SERVERS
            from broker.revocations import revocations_of
            from broker.status import Status

            faces, servers = broker.app[FACES], broker.app[SERVERS]
            admin = revocations_of(settings.status.admin_key, servers.lapses.revoke)
            port = Status(lambda: faces, lambda: not stop.is_set(), servers.meter, admin)
            status = await port.listen(listener, settings)
        await stop.wait()
        if going is not None:
            going.cancel()
            await asyncio.wait([going])
        telemetry.log("info", "stopping", grace_s=settings.limits.drain_s)
        clean = await broker.close(grace_s=settings.limits.drain_s, hurry=hurry)
        if status is not None:
            await status.cleanup()
        telemetry.flush()
        telemetry.log("info", "stopped", clean=clean)
        return clean
    finally:
        undo()
        if listener is not None:
            listener.close()


def new_loop() -> asyncio.AbstractEventLoop:
    """uvloop's event loop where there is one, else asyncio's."""
    with contextlib.suppress(ImportError):
        import uvloop

        loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
        return loop
    return asyncio.new_event_loop()


def raise_file_limit(limits: Limits) -> None:
    """Ask for the open files that clients and one backend may need, as far as the system allows; say if it is less."""
    if sys.platform == "win32":
        return
    import resource

    wanted = limits.connections + limits.pool_connections + limits.pool_streams + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    reachable = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (reachable, hard))
        soft = reachable
    if soft < wanted:
        telemetry.log("warning", "few file descriptors", limit=soft, wanted=wanted)
