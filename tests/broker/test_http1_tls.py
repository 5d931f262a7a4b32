"""TLS towards backends: always verified, never fallen back from."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from broker.backends.http1 import Timeouts
from broker.backends.tls import client_context
from tests.broker.http1_world import OK, Clock, backend, exchange, pool_for, post, within

PEMS = Path(__file__).parent / "fixtures" / "tls"
CA = PEMS / "ca.pem"


def server_context(name: str, *, wants_client: bool = False) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(PEMS / f"{name}.pem")
    if wants_client:
        context.load_verify_locations(CA)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_calls_over_tls_share_a_verified_connection(host: str) -> None:
    clock = Clock()
    tls = client_context(ca_file=CA)
    async with backend(server_context("server")) as world, pool_for(world.port, clock, tls=tls, host=host) as pool:
        seen, _ = post(pool)
        peer = await world.accept()
        head, _ = await peer.request()
        assert f"host: {host}:{world.port}\r\n".encode() in head
        assert peer.writer.get_extra_info("ssl_object").version() == "TLSv1.3"
        await peer.write(OK)
        await seen.ended()
        assert (await exchange(pool, peer)).is_done
        assert world.accepted == 1


async def test_a_large_request_and_answer_pass_over_tls() -> None:
    clock = Clock()
    body = bytes(range(256)) * 16 * 1024
    tls = client_context(ca_file=CA)
    async with backend(server_context("server")) as world, pool_for(world.port, clock, tls=tls) as pool:
        seen, _ = post(pool, body)
        peer = await world.accept()
        assert (await peer.request())[1] == body
        await peer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        assert (await seen.ended()).data == body


@pytest.mark.parametrize("certificate", ["expired", "elsewhere"])
async def test_an_expired_or_misnamed_certificate_is_refused_before_anything_is_sent(certificate: str) -> None:
    clock = Clock()
    tls = client_context(ca_file=CA)
    async with backend(server_context(certificate)) as world, pool_for(world.port, clock, tls=tls) as pool:
        seen, _ = post(pool)
        assert await seen.why() == ("tls", "no")
        assert world.accepted == 0


async def test_an_authority_that_is_not_trusted_is_refused() -> None:
    clock = Clock()
    async with backend(server_context("server")) as world, pool_for(world.port, clock, tls=client_context()) as pool:
        assert await post(pool)[0].why() == ("tls", "no")


async def test_plain_text_where_tls_is_expected_is_refused() -> None:
    clock = Clock()
    async with backend() as world, pool_for(world.port, clock, tls=client_context(ca_file=CA)) as pool:
        seen, _ = post(pool)
        peer = await world.accept()
        await peer.write(OK)
        assert await seen.why() == ("tls", "no")


async def test_a_handshake_that_stalls_ends_at_the_connect_deadline() -> None:
    clock = Clock()
    async with backend() as world, pool_for(world.port, clock, tls=client_context(ca_file=CA)) as pool:
        seen, _ = post(pool, timeouts=Timeouts(connect_s=5))
        peer = await world.accept()
        await within(peer.reader.readexactly(5))  # the client's hello is on its way
        clock.advance(5.5)
        assert await seen.why() == ("connect-timeout", "no")
        assert await peer.gone()


async def test_a_client_certificate_is_shown_when_it_is_asked_for() -> None:
    clock = Clock()
    server = server_context("server", wants_client=True)
    tls = client_context(ca_file=CA, cert_file=PEMS / "client.pem")
    async with backend(server) as world, pool_for(world.port, clock, tls=tls) as pool:
        seen, _ = post(pool)
        peer = await world.accept()
        await peer.request()
        subject = peer.writer.get_extra_info("peercert")["subject"]
        assert (("commonName", "client"),) in subject
        await peer.write(OK)
        assert (await seen.ended()).is_done


def test_a_context_verifies_names_and_offers_only_what_the_client_speaks() -> None:
    context = client_context(ca_file=CA)
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize(
    "files",
    [
        {"ca_file": PEMS / "absent.pem"},
        {"ca_file": PEMS / "README.md"},
        {"cert_file": PEMS / "README.md"},
        {"cert_file": CA},
        {"key_file": PEMS / "client.pem"},
    ],
)
def test_files_that_cannot_be_used_are_named_at_once(files: dict[str, Path]) -> None:
    with pytest.raises(ValueError, match=r"certificate"):
        client_context(**files)
