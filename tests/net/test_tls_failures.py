# SPDX-License-Identifier: Apache-2.0
"""Is it known whose TLS handshakes failed, and why? Real handshakes over loopback."""

import asyncio
import contextlib
import datetime
import ipaddress
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ringback.net.limits import ConnectionGate, TransportLimits
from ringback.net.network import Stream
from ringback.net.sockets import RealNetwork
from ringback.net.tls_failures import TlsFailure, TlsFailures, name_in_hello
from ringback.net.tls_stream import TlsStream
from ringback.sip.flow import Address

DAY = datetime.timedelta(days=1)


def certificate(folder: Path, *, name: str = "127.0.0.1", ends: datetime.timedelta = DAY) -> Path:
    """A self-signed certificate and its key in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    try:
        named: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        named = x509.DNSName(name)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 2 * DAY)
        .not_valid_after(now + ends)
        .add_extension(x509.SubjectAlternativeName([named]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / f"{name}-{ends.days}.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return file


async def failures_of(
    file: Path, call: Callable[[Address], Awaitable[object]], *, minimum: ssl.TLSVersion | None = None
) -> list[TlsFailure]:
    """What is known after somebody called a server with this certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    if minimum is not None:
        context.minimum_version = minimum
    gate = ConnectionGate(TransportLimits())
    accepted: list[Stream] = []
    listener = await RealNetwork().listen(
        Address("127.0.0.1", 0), accepted.append, tls=context, gate=gate, handshake_timeout=0.3
    )
    try:
        with contextlib.suppress(OSError):
            opened = await call(listener.local)
            if isinstance(opened, TlsStream):
                opened.abort()
        async with asyncio.timeout(3):
            while not len(gate.tls_failures) and not accepted:
                await asyncio.sleep(0)
        return gate.tls_failures.all()
    finally:
        for stream in accepted:
            stream.abort()
        listener.close()


def by_client(context: ssl.SSLContext, name: str = "127.0.0.1") -> Callable[[Address], Awaitable[object]]:
    return lambda address: RealNetwork().connect(address, tls=context, server_name=name, timeout=2)


def saying(words: bytes) -> Callable[[Address], Awaitable[object]]:
    async def say(address: Address) -> None:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(words)
        await reader.read(1000)
        writer.close()

    return say


def trusting(file: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(file))


def test_a_client_that_knows_our_authority_leaves_no_trace(tmp_path: Path) -> None:
    file = certificate(tmp_path)
    assert asyncio.run(failures_of(file, by_client(trusting(file)))) == []


def test_a_client_says_that_our_certificate_has_expired(tmp_path: Path) -> None:
    file = certificate(tmp_path, ends=-DAY)
    (failure,) = asyncio.run(failures_of(file, by_client(trusting(file))))
    assert (failure.kind, failure.we_called, failure.count) == ("peer says expired", False, 1)
    assert failure.remote.host == "127.0.0.1"


def test_a_client_that_does_not_know_our_authority_says_so(tmp_path: Path) -> None:
    file, other = certificate(tmp_path), certificate(tmp_path, name="other.test")
    (failure,) = asyncio.run(failures_of(file, by_client(trusting(other))))
    assert failure.kind == "peer says unknown authority"


def test_a_client_that_wants_another_name_is_noted_with_that_name(tmp_path: Path) -> None:
    file = certificate(tmp_path, name="pbx.test")
    (failure,) = asyncio.run(failures_of(file, by_client(trusting(file), "sip.test")))
    assert (failure.kind, failure.server_name) == ("peer refuses certificate", "sip.test")


def test_plain_sip_on_the_tls_port_is_noted_with_its_first_line(tmp_path: Path) -> None:
    words = b"REGISTER sip:pbx.test SIP/2.0\r\nVia: SIP/2.0/TCP 10.0.0.9\r\n\r\n"
    (failure,) = asyncio.run(failures_of(certificate(tmp_path), saying(words)))
    assert (failure.kind, failure.first_words) == ("no TLS", "REGISTER sip:pbx.test SIP/2.0")


def test_plain_http_on_the_tls_port_is_no_tls_either(tmp_path: Path) -> None:
    (failure,) = asyncio.run(failures_of(certificate(tmp_path), saying(b"GET / HTTP/1.1\r\n\r\n")))
    assert (failure.kind, failure.first_words) == ("no TLS", "GET / HTTP/1.1")


def test_a_client_that_speaks_an_old_version_only_is_noted(tmp_path: Path) -> None:
    file = certificate(tmp_path)
    context = trusting(file)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    (failure,) = asyncio.run(failures_of(file, by_client(context), minimum=ssl.TLSVersion.TLSv1_3))
    assert failure.kind == "no common version"


def test_who_begins_a_handshake_and_falls_silent_took_too_long(tmp_path: Path) -> None:
    (failure,) = asyncio.run(failures_of(certificate(tmp_path), saying(b"\x16\x03\x01\x02\x00\x01")))
    assert failure.kind == "took too long"


@pytest.mark.parametrize(
    ("ends", "knows", "name", "kind"),
    [(-DAY, True, "127.0.0.1", "expired"), (DAY, False, "127.0.0.1", "unknown authority"), (DAY, True, "a.test", "another name")],
)  # fmt: skip
def test_a_server_we_call_is_judged_by_its_certificate(
    tmp_path: Path, ends: datetime.timedelta, knows: bool, name: str, kind: str
) -> None:
    file = certificate(tmp_path, ends=ends)
    ours = TlsFailures(wall_clock=lambda: 7.0)
    trusted = file if knows else certificate(tmp_path, name="other.test")

    async def call(address: Address) -> None:
        try:
            await by_client(trusting(trusted), name)(address)
        except OSError as error:
            ours.failed(address, name, error)

    asyncio.run(failures_of(file, call))
    (failure,) = ours.all()
    assert (failure.kind, failure.we_called, failure.server_name, failure.last_at) == (kind, True, name, 7.0)


def test_the_same_failure_of_one_peer_is_one_entry_and_the_list_is_bounded() -> None:
    failures = TlsFailures(limit=3)
    for number in [1, 2, 3, 4, 4, 4]:
        failures.refused(
            Address(f"192.0.2.{number}", 5), Address("", 0), ConnectionError("cut off: closed"), b"\x16\x03"
        )
    assert [(each.remote.host, each.count) for each in failures.all()] == [
        ("192.0.2.4", 3), ("192.0.2.3", 1), ("192.0.2.2", 1),
    ]  # fmt: skip


def test_who_only_looks_whether_the_port_is_open_is_not_noted() -> None:
    failures = TlsFailures()
    failures.refused(Address("192.0.2.1", 5), Address("", 0), ConnectionError("cut off: closed"), b"")
    assert failures.all() == []


def test_a_hello_in_pieces_or_of_nonsense_names_nobody() -> None:
    for data in (b"", b"\x16", b"\x16\x03\x01\x02\x00\x01" + b"\xff" * 90, b"\x16" * 40, b"INVITE"):
        assert name_in_hello(data) == ""
