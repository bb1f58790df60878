# SPDX-License-Identifier: Apache-2.0
"""The certificate of a server: made, kept, renewed, brought, refused."""

import contextlib
import datetime
import ssl
import stat
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509

from ringback.server.certificate_upkeep import CertificateUpkeep
from ringback.server.certificates import (
    CertificateError,
    CertificateFiles,
    brought_certificate,
    local_certificate,
    server_context,
)

NAMES = ("Example.com", "192.0.2.7", "2001:db8::7", "localhost", "example.com", "")
NOW = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
DAY = datetime.timedelta(days=1)


def read(file: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(file.read_bytes())


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> x509.Certificate:
    """Both ends in memory, no socket; the certificate the client saw and accepted."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname=name),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for end in (*ends, *ends, *ends):
        with contextlib.suppress(ssl.SSLWantReadError):
            end.do_handshake()
    der = ends[0].getpeercert(binary_form=True)
    assert der is not None
    return x509.load_der_x509_certificate(der)


def trusting(files: CertificateFiles) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=files.ca)


def test_the_first_certificate_names_the_server_and_is_trusted_through_its_authority(tmp_path: Path) -> None:
    files = local_certificate(tmp_path, NAMES, now=NOW)
    names = read(files.certificate).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert files.is_new
    assert names.get_values_for_type(x509.DNSName) == ["example.com", "localhost"]
    assert names.get_values_for_type(x509.IPAddress) == [ip_address("192.0.2.7"), ip_address("2001:db8::7")]
    for name in ("example.com", "192.0.2.7", "2001:db8::7"):
        seen = handshake(server_context(files), trusting(files), name)
        assert seen == read(files.certificate)


def test_keys_are_for_their_owner_only(tmp_path: Path) -> None:
    local_certificate(tmp_path, NAMES, now=NOW)
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
    assert modes == {"ca.key": 0o600, "server.key": 0o600, "ca.pem": 0o644, "server.pem": 0o644}


def test_the_certificate_is_kept_while_it_is_good(tmp_path: Path) -> None:
    first = local_certificate(tmp_path, NAMES, now=NOW)
    before = first.certificate.read_bytes()
    second = local_certificate(tmp_path, ["localhost", "example.com"], now=NOW + 300 * DAY)
    assert not second.is_new
    assert second.certificate.read_bytes() == before


@pytest.mark.parametrize("change", ["new name", "near its end", "key lost", "damaged", "other authority"])
def test_the_certificate_is_made_anew_when_it_must_be_and_the_authority_stays(
    tmp_path: Path, change: str
) -> None:
    files = local_certificate(tmp_path, NAMES, now=NOW)
    authority, before = read(tmp_path / "ca.pem"), files.certificate.read_bytes()
    names, now = NAMES, NOW
    if change == "new name":
        names = (*NAMES, "other.example")
    elif change == "near its end":
        now = NOW + 368 * DAY
    elif change == "key lost":
        files.key.unlink()
    elif change == "damaged":
        files.certificate.write_bytes(before[:200])
    else:
        (tmp_path / "ca.key").unlink()
    again = local_certificate(tmp_path, names, now=now)
    assert again.is_new
    assert again.certificate.read_bytes() != before
    assert (read(tmp_path / "ca.pem") == authority) == (change != "other authority")
    read(again.certificate).verify_directly_issued_by(read(tmp_path / "ca.pem"))


def test_old_versions_of_tls_are_refused(tmp_path: Path) -> None:
    files = local_certificate(tmp_path, NAMES, now=NOW)
    old = trusting(files)
    with pytest.warns(DeprecationWarning, match="deprecated"):
        old.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.warns(DeprecationWarning, match="deprecated"):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError):
        handshake(server_context(files), old, "example.com")


def test_a_certificate_that_was_brought_is_checked_at_once(tmp_path: Path) -> None:
    files = local_certificate(tmp_path, NAMES, now=NOW)
    assert brought_certificate(files.certificate, files.key).ca is None
    (tmp_path / "bad.pem").write_text("nothing")
    for certificate, key, complaint in (
        (tmp_path / "none.pem", files.key, "none.pem is not there"),
        (files.certificate, tmp_path / "none.key", "none.key is not there"),
        (files.certificate, tmp_path / "ca.key", "cannot be used as a certificate and its key"),
        (tmp_path / "bad.pem", files.key, "cannot be used as a certificate and its key"),
    ):
        with pytest.raises(CertificateError, match=complaint):
            brought_certificate(certificate, key)


def test_a_renewed_certificate_is_shown_to_new_connections_and_a_bad_one_changes_nothing(
    tmp_path: Path,
) -> None:
    files = local_certificate(tmp_path, NAMES, now=NOW)
    context = server_context(files)
    clock = [NOW]
    upkeep = CertificateUpkeep(
        context, find=lambda: local_certificate(tmp_path, NAMES, now=clock[0]), clock=lambda: clock[0]
    )
    first = handshake(context, trusting(files), "example.com")
    assert not upkeep.look()
    clock[0] += 380 * DAY
    assert upkeep.look()
    relaxed = trusting(files)
    relaxed.check_hostname, relaxed.verify_mode = False, ssl.CERT_NONE  # it begins in the future
    second = handshake(context, relaxed, "example.com")
    assert second.serial_number != first.serial_number
    brought = CertificateUpkeep(
        context, find=lambda: CertificateFiles(files.certificate, files.key), clock=lambda: clock[0]
    )
    files.certificate.write_text("damaged")
    assert not brought.look()
    assert handshake(context, relaxed, "example.com") == second


def test_the_end_of_a_brought_certificate_is_announced_once_a_day(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = local_certificate(tmp_path, NAMES, now=NOW)
    clock = [NOW + 390 * DAY]
    upkeep = CertificateUpkeep(server_context(files), find=lambda: files, clock=lambda: clock[0])
    for _ in range(3):
        assert not upkeep.look()
    clock[0] += DAY
    assert not upkeep.look()
    assert [f"ends on {(NOW + 397 * DAY).date()}" in record.message for record in caplog.records] == [
        True,
        True,
    ]
