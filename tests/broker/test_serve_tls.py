"""TLS towards clients: certificates that are read again, and callers by theirs."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import shutil
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from broker.app import SERVERS
from broker.identity.tokens import thumbprint_of
from broker.reload import Reload
from broker.settings import Settings, SettingsError
from tests.broker.certificate_world import Authority, der, digest, spelled
from tests.broker.conftest import Journal
from tests.broker.http1_world import within
from tests.broker.issuer_world import issuing, sign
from tests.broker.modern_world import ask
from tests.broker.scripted_backend import ACCEPT, DONE, Client, Json, World, read_head, world
from tests.broker.test_callers import seeing

PING = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'


class Secured:
    """A broker that speaks TLS, and the authority behind its certificate and its clients'."""

    def __init__(self, here: World, authority: Authority, folder: Path) -> None:
        self.here = here
        self.authority = authority
        self.folder = folder

    def client(self, pem: Path | None = None) -> Client:
        client = self.here.another()
        client.tls = self.authority.client(pem)
        return client


@contextlib.asynccontextmanager
async def secured(tmp_path: Path, *, mutual: Json | bool = False, **settings: Any) -> AsyncIterator[Secured]:
    authority = Authority(tmp_path)
    tls: Json = {"certificate": authority.server()}
    if mutual is not False:
        tls |= {"client_ca": authority.file, **(mutual if isinstance(mutual, dict) else {})}
    async with world(tls=tls, **settings) as here:
        yield Secured(here, authority, tmp_path)


class Wire:
    """One connection that is kept."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
        self.reader = reader
        self.writer = writer
        self.port = port

    @classmethod
    async def open(cls, client: Client) -> Wire:
        opening = asyncio.open_connection("127.0.0.1", client.port, ssl=client.tls, server_hostname="localhost")
        reader, writer = await within(opening)
        client._writers.append(writer)
        return cls(reader, writer, client.port)

    async def get(self) -> int:
        """The status of a request that nobody is allowed, or that has no session."""
        head = f"POST /mcp HTTP/1.1\r\nHost: localhost:{self.port}\r\nAccept: {ACCEPT}\r\n"
        kind = f"Content-Type: application/json\r\nContent-Length: {len(PING)}\r\n\r\n"
        self.writer.write((head + kind).encode() + PING)
        first, headers = await within(read_head(self.reader))
        await within(self.reader.readexactly(int(headers["content-length"])))
        return int(first.split(" ")[1])

    @property
    def shown(self) -> bytes:
        """The server's certificate."""
        found: bytes = self.writer.get_extra_info("ssl_object").getpeercert(True)
        return found


async def test_clients_are_served_over_tls_and_plain_text_is_not(tmp_path: Path) -> None:
    async with secured(tmp_path) as on:
        assert on.here.broker.url == f"https://127.0.0.1:{on.here.port}"
        client = on.client()
        await client.open()
        assert (await client.call()).json["result"] == DONE
        assert (await ask(client)).status == 200
        own = f"https://localhost:{on.here.port}"
        assert (await client.send("POST", PING, Origin=own)).status == 200
        assert (await client.send("POST", PING, Origin=own.replace("https", "http"))).status == 403
        with pytest.raises((OSError, EOFError, IndexError)):
            await on.here.client.open()


async def test_older_tls_is_refused(tmp_path: Path) -> None:
    async with secured(tmp_path) as on:
        client = on.client()
        assert client.tls is not None
        client.tls.minimum_version = ssl.TLSVersion.TLSv1_2
        client.tls.maximum_version = ssl.TLSVersion.TLSv1_2
        assert await (await Wire.open(client)).get() == 400
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            client.tls.minimum_version = ssl.TLSVersion.TLSv1_1
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            client.tls.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises((OSError, ssl.SSLError)):
            await Wire.open(client)


async def test_a_handshake_that_stalls_is_given_up(tmp_path: Path) -> None:
    async with secured(tmp_path, limits={"head_receipt_s": 0.1}) as on:
        reader, writer = await asyncio.open_connection("127.0.0.1", on.here.port)
        assert await within(reader.read()) == b""
        writer.close()


async def stalled(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection whose handshake does not begin."""
    return await within(asyncio.open_connection("127.0.0.1", port))


async def test_connections_count_from_before_their_handshake(tmp_path: Path) -> None:
    async with secured(tmp_path, limits={"connections": 2, "head_receipt_s": 60}) as on:
        port = on.here.port
        held = [await stalled(port) for _ in range(2)]
        over, writer = await stalled(port)
        assert await within(over.read()) == b""
        writer.close()
        with pytest.raises((ConnectionError, ssl.SSLError)):
            await Wire.open(on.client())
        for _, each in held:
            each.close()
        async with asyncio.timeout(5):
            while True:
                with contextlib.suppress(OSError):
                    wire = await Wire.open(on.client())
                    break
        assert await wire.get() == 400


async def test_handshakes_that_fail_or_stall_give_their_place_back(tmp_path: Path) -> None:
    async with secured(tmp_path, limits={"connections": 1, "head_receipt_s": 0.1}) as on:
        for said in (b"GET / HTTP/1.1\r\n\r\n", b""):
            reader, writer = await stalled(on.here.port)
            writer.write(said)
            with contextlib.suppress(ConnectionError):
                await within(reader.read())
            writer.close()
            async with asyncio.timeout(5):
                while True:
                    with contextlib.suppress(OSError):
                        wire = await Wire.open(on.client())
                        break
            assert await wire.get() == 400
            wire.writer.transport.abort()


async def test_a_broker_that_closes_leaves_no_handshake_behind(tmp_path: Path) -> None:
    async with secured(tmp_path, limits={"head_receipt_s": 60}) as on:
        reader, writer = await stalled(on.here.port)
        await (await Wire.open(on.client())).get()
        await within(on.here.broker.close())
        with contextlib.suppress(ConnectionError):
            assert await within(reader.read()) == b""
        writer.close()
        with pytest.raises(ConnectionRefusedError):
            await stalled(on.here.port)


async def test_a_new_certificate_is_shown_and_open_connections_go_on(tmp_path: Path, journal: Journal) -> None:
    async with secured(tmp_path) as on:
        wire = await Wire.open(on.client())
        before = wire.shown
        assert on.here.broker.tls is not None
        on.authority.server()  # the same files, others in them
        assert (await Wire.open(on.client())).shown == before
        assert on.here.broker.tls.reload()
        assert await wire.get() == 400  # no session: it was understood
        after = (await Wire.open(on.client())).shown
        assert after == der(on.folder / "server.pem") != before
        (on.folder / "server.pem").write_text("garbage", encoding="utf-8")
        assert not on.here.broker.tls.reload()
        assert (await Wire.open(on.client())).shown == after
        assert await wire.get() == 400
        events = [line["event"] for line in journal()]
        assert events.count("certificates applied") == events.count("certificates not applied") == 1


async def test_a_reload_of_the_configuration_reads_certificates_again(tmp_path: Path) -> None:
    async with secured(tmp_path) as on:
        before = (await Wire.open(on.client())).shown
        on.authority.server()
        broker = on.here.broker
        settings = broker.app[SERVERS].settings
        assert Reload(broker.app[SERVERS], lambda: (settings, []), tmp_path / "x", tls=broker.tls).now() is not None
        assert (await Wire.open(on.client())).shown == der(on.folder / "server.pem") != before


# ---- certificates of clients ----------------------------------------------------------------------------------------


async def _refused(client: Client) -> bool:
    """True if the handshake fails: with TLS 1.3 a client sees so when it reads."""
    try:
        await (await Wire.open(client)).get()
    except (OSError, EOFError, IndexError, ssl.SSLError):
        return True
    return False


async def test_a_certificate_is_a_caller_and_no_other_connection_is_served(tmp_path: Path) -> None:
    async with secured(tmp_path, mutual=True) as on:
        hook = seeing(on.here)
        ann, bob = (on.client(on.authority.make(f"{name}.pem", name)) for name in ("ann", "bob"))
        await ann.open()
        assert (await ann.call()).json["result"] == DONE
        assert {info.principal for info in hook.infos} == {f"certificate:{spelled('ann')}"}
        bob.session = ann.session
        assert (await bob.call()).status == 404
        other = Authority(tmp_path, "other")
        for pem in (None, other.make("eve.pem", "ann"), on.authority.make("old.pem", "ann", days=-1)):
            assert await _refused(on.client(pem))


@pytest.mark.parametrize("kind", ["subject", "uri", "dns", "email", "sha256"])
async def test_callers_are_recognised_by_what_the_configuration_says(tmp_path: Path, kind: str) -> None:
    made = Authority(tmp_path)
    pem = made.make(
        "ann.pem",
        "ann",
        x509.UniformResourceIdentifier("spiffe://example/ann"),
        x509.DNSName("ann.example"),
        x509.RFC822Name("ann@example.com"),
    )
    said = {
        "subject": spelled("ann"),
        "uri": "spiffe://example/ann",
        "dns": "ann.example",
        "email": "ann@example.com",
        "sha256": digest(pem),
    }
    tls = {"certificate": made.server(), "client_ca": made.file}
    clients = {"ann": {kind: said[kind], "scopes": ["tools"]}, "zoe": {"dns": "zoe.example"}}
    async with world(tls={**tls, "clients": clients}, backend={"method_scopes": {"tools/*": ["tools"]}}) as here:
        hook = seeing(here)
        on = Secured(here, made, tmp_path)
        ann = on.client(pem)
        await ann.open()
        assert (await ann.call()).json["result"] == DONE
        assert {info.principal for info in hook.infos} == {"certificate:ann"}
        # Nearly the same names are nobody's.
        near = made.make(
            "near.pem",
            "ANN",
            x509.UniformResourceIdentifier("spiffe://example/ann/x"),
            x509.DNSName("x.ann.example"),
            x509.RFC822Name("Ann@example.com"),
        )
        stranger = on.client(near)
        assert (await stranger.send("POST", PING)).status == 401
        zoe = on.client(made.make("zoe.pem", "zoe", x509.DNSName("zoe.example")))
        await zoe.open()
        assert (await zoe.call()).status == 403


async def test_where_certificates_may_be_shown_others_need_another_credential(tmp_path: Path) -> None:
    keys = {"key": hashlib.sha256(b"dgm_k").hexdigest()}
    async with secured(tmp_path, mutual={"client_certificates": "optional"}, keys=keys) as on:
        assert (await on.client().send("POST", PING)).status == 401
        keyed = on.client()
        keyed.headers = {"Authorization": "Bearer dgm_k"}
        await keyed.open()
        shown = on.client(on.authority.make("ann.pem", "ann"))
        await shown.open()
        # A credential that fails is not made good by a certificate.
        assert (await shown.send("POST", PING, Authorization="Bearer wrong")).status == 401


async def test_known_heads_do_not_carry_one_connections_caller_to_another(tmp_path: Path) -> None:
    async with secured(tmp_path, mutual={"client_certificates": "optional"}, anonymous="allow") as on:
        hook = seeing(on.here)
        ann, bob = (on.client(on.authority.make(f"{name}.pem", name)) for name in ("ann", "bob"))
        for client in (ann, bob, on.client(), ann):
            assert (await ask(client)).status == 200
        names = [caller.principal for caller in hook.callers()][::2]
        assert names == [f"certificate:{spelled('ann')}", f"certificate:{spelled('bob')}", "local", names[0]]


async def test_a_token_that_is_bound_to_a_certificate_needs_that_one(tmp_path: Path) -> None:
    async with issuing() as issuer, secured(tmp_path, mutual=True, issuers=[{"issuer": issuer.url}]) as on:
        ann, bob = (on.authority.make(f"{name}.pem", name) for name in ("ann", "bob"))
        bound = {"cnf": {"x5t#S256": thumbprint_of(der(ann))}}
        token = sign(issuer.claims(aud=f"https://127.0.0.1:{on.here.port}/mcp", **bound))
        for pem, status in ((ann, 200), (bob, 401), (ann, 200)):
            client = on.client(pem)
            client.headers = {"Authorization": f"Bearer {token}"}
            assert (await ask(client)).status == status
        client.path = "/.well-known/oauth-protected-resource/mcp"
        assert (await client.send("GET")).json["tls_client_certificate_bound_access_tokens"] is True


async def test_an_authority_that_is_replaced_admits_nobody_at_the_next_handshake(tmp_path: Path) -> None:
    async with secured(tmp_path, mutual=True) as on:
        ann = on.client(on.authority.make("ann.pem", "ann"))
        await ann.open()
        other = Authority(tmp_path, "other")
        new = other.make("new.pem", "ann")
        assert await _refused(on.client(new))
        shutil.copy(on.authority.file, tmp_path / "kept.pem")
        shutil.copy(other.file, on.authority.file)
        assert on.here.broker.tls is not None
        assert on.here.broker.tls.reload()
        assert await _refused(ann)
        shutil.copy(tmp_path / "kept.pem", on.authority.file)
        assert not await _refused(on.client(new))


async def test_a_certificate_that_ends_on_an_open_connection_is_good_no_more(tmp_path: Path) -> None:
    async with secured(tmp_path, mutual=True) as on:
        wire = await Wire.open(on.client(on.authority.make("ann.pem", "ann")))
        assert await wire.get() == 400
        on.here.broker.app[SERVERS].identities.wall = lambda: time.time() + 200_000
        assert await wire.get() == 401


@pytest.mark.parametrize(
    "tls",
    [
        {},
        {"certificate": "/nowhere.pem"},
        {"certificate": __file__, "clients": {"a": {"dns": "x"}}},
        {"certificate": __file__, "client_ca": __file__, "clients": {"a": {}}},
        {"certificate": __file__, "client_ca": __file__, "clients": {"a": {"dns": "x", "uri": "y"}}},
        {"certificate": __file__, "client_ca": __file__, "clients": {"a": {"sha256": "x"}}},
    ],
)
def test_a_configuration_that_says_too_little_or_too_much_is_refused(tls: Any) -> None:
    with pytest.raises(SettingsError):
        Settings.for_proxy("http://127.0.0.1:9/mcp", tls=tls)
