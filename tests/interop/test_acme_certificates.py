# SPDX-License-Identifier: Apache-2.0
"""Does `ringback serve` get its certificate from an ACME authority, and show it without dropping a connection?"""

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from interop_pebble import Pebble
from interop_process import wait_until
from interop_ringback import Ringback

pytestmark = pytest.mark.interop

NAME = "phones.example.test"


@pytest.fixture
def authority(tmp_path: Path) -> Iterator[Pebble]:
    pebble = Pebble(tmp_path / "pebble")
    yield pebble
    pebble.stop()


def connected(address: str) -> ssl.SSLSocket:
    """A TLS connection that believes everything, for looking at what is shown."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    host, _, port = address.rpartition(":")
    return context.wrap_socket(socket.create_connection((host, int(port)), 5), server_hostname=NAME)


def shown(address: str) -> x509.Certificate:
    with connected(address) as connection:
        data = connection.getpeercert(binary_form=True)
    assert data is not None
    return x509.load_der_x509_certificate(data)


def issuer(address: str) -> str:
    return shown(address).issuer.rfc4514_string()


def is_answered(connection: ssl.SSLSocket) -> bool:
    """SIP is spoken on it: OPTIONS and its answer."""
    connection.settimeout(5)
    connection.sendall(
        f"OPTIONS sip:{NAME} SIP/2.0\r\nVia: SIP/2.0/TLS 127.0.0.1:5099;branch=z9hG4bKacme{id(connection)};rport\r\n"
        f"Max-Forwards: 70\r\nFrom: <sip:probe@example.com>;tag=1\r\nTo: <sip:{NAME}>\r\nCall-ID: acme\r\n"
        "CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n".encode()
    )
    return connection.recv(65_536).startswith(b"SIP/2.0 ")


def test_a_certificate_is_fetched_by_http_and_shown_while_old_connections_stay(
    tmp_path: Path, authority: Pebble
):
    server = Ringback(tmp_path / "office", "--http-port", str(authority.http_port), domain=NAME, console=True)
    try:
        assert "Ringback local authority" in issuer(server.tls)
        with connected(server.tls) as before:
            assert is_answered(before)
            server.config.write_text(authority.settings())
            server.run("reload")
            wait_until(
                lambda: "Pebble" in issuer(server.tls), 30, lambda: server.program.output + authority.log
            )
            assert is_answered(before)
        assert "Pebble" in issuer(server.wss)
        names = shown(server.tls).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert NAME in names.get_values_for_type(x509.DNSName)
        assert ", ACME" in server.run("status")
        assert list((server.data / "acme" / "challenges").iterdir()) == []
    finally:
        server.stop()


def test_two_workers_show_the_certificate_that_a_dns_record_won(tmp_path: Path, authority: Pebble):
    config = authority.settings(challenge="dns", dns_hook=str(authority.hook()))
    server = Ringback(tmp_path / "office", "--workers", "2", domain=NAME, config=config)
    try:
        # each connection reaches one of the two: eight in a row hardly meet only one
        wait_until(
            lambda: all("Pebble" in issuer(server.tls) for _ in range(8)),
            30,
            lambda: server.program.output + authority.log,
        )
        before = shown(server.tls).serial_number
        server.stop()
        server.start()
        assert shown(server.tls).serial_number == before
    finally:
        server.stop()


def test_an_authority_that_refuses_is_quoted_and_the_old_certificate_stays(tmp_path: Path, authority: Pebble):
    # nobody listens where the authority looks for the page
    server = Ringback(tmp_path / "office", domain=NAME, config=authority.settings(), console=True)
    try:
        wait_until(
            lambda: "no certificate from the authority" in server.program.output,
            30,
            lambda: server.program.output + authority.log,
        )
        assert f"the authority does not see that {NAME} is ours" in server.program.output
        assert "Ringback local authority" in issuer(server.tls)
        assert "the authority does not see" in server.run("status")
    finally:
        server.stop()
