# SPDX-License-Identifier: Apache-2.0
"""Where does the certificate come from when nobody brings one?

From a certificate authority that belongs to the data directory: made once (`ca.pem`, `ca.key`), so that
phones can be told to trust it. It signs a certificate for this server's names and addresses (`server.pem`,
`server.key`), which is made anew when it nears its end or when the names change. ECDSA P-256; keys are
readable by their owner only.
"""

from __future__ import annotations

import datetime
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ringback.server.secret import write_private
from ringback.server.storage.store import StorageError
from ringback.sip.errors import RingbackError

#: The certificate of our own authority, in the data directory.
AUTHORITY = "ca.pem"
CA_LIFETIME = datetime.timedelta(days=3650)
LIFETIME = datetime.timedelta(
    days=397
)  # what telephones and browsers accept from an authority they were told to trust
RENEW_BEFORE = datetime.timedelta(days=30)
BACKDATED = datetime.timedelta(hours=1)  # for peers whose clock is a little late


class CertificateError(RingbackError):
    """A certificate or key cannot be used; the text names the file."""


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """PEM files for `ssl`. `ca` is what phones must trust; None when the certificate was brought by its
    owner.
    """

    certificate: Path
    key: Path
    ca: Path | None = None
    is_new: bool = False


@dataclass(frozen=True, slots=True)
class _Pair:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def local_certificate(directory: Path, names: Sequence[str], *, now: datetime.datetime) -> CertificateFiles:
    """The files of a certificate for `names` (host names and IP addresses, the first is the subject), made
    if needed.
    """
    ca_file, ca_key = directory / AUTHORITY, directory / "ca.key"
    file, key_file = directory / "server.pem", directory / "server.key"
    authority = _usable_authority(_load(ca_file, ca_key), now=now)
    if authority is None:
        authority = _make_authority(now=now)
        _save(authority, ca_file, ca_key)
    current = _load(file, key_file)
    wanted = _unique(names)
    if current is not None and _still_serves(current, authority, wanted, now=now):
        return CertificateFiles(file, key_file, ca_file)
    _save(_make_server(authority, wanted, now=now), file, key_file, chain=authority.certificate)
    return CertificateFiles(file, key_file, ca_file, is_new=True)


def brought_certificate(certificate: Path, key: Path) -> CertificateFiles:
    """The owner's own files, checked now rather than at the first call."""
    files = CertificateFiles(certificate, key)
    server_context(files)
    return files


def server_context(files: CertificateFiles) -> ssl.SSLContext:
    """A context for listening: TLS 1.2 or newer (RFC 9325), no client certificate asked for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    load_into(context, files)
    return context


def load_into(context: ssl.SSLContext, files: CertificateFiles) -> None:
    """Use these files from now on. Open connections keep what they have; bad files change nothing."""
    trial = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for target in (trial, context):
        try:
            target.load_cert_chain(files.certificate, files.key, password=_no_password)
        except FileNotFoundError as error:
            missing = files.key if files.certificate.exists() else files.certificate
            raise CertificateError(f"{missing} is not there") from error
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
            raise CertificateError(
                f"{files.certificate} and {files.key} cannot be used as a certificate and its key: {reason}"
            ) from error


def expiry(file: Path) -> datetime.datetime:
    """When the first certificate in a PEM file ends."""
    return _read(file).not_valid_after_utc


def described(file: Path) -> dict[str, object]:
    """For people: whose the first certificate of a PEM file is, for which names, until when (seconds since
    1970).
    """
    certificate = _read(file)
    return {
        "subject": certificate.subject.rfc4514_string(),
        "issuer": certificate.issuer.rfc4514_string(),
        "names": names_in(certificate),
        "expires_at": certificate.not_valid_after_utc.timestamp(),
    }


def fingerprint(certificate: x509.Certificate) -> str:
    """Its SHA-256 as browsers print it: pairs of digits with colons."""
    return certificate.fingerprint(hashes.SHA256()).hex(":").upper()


def fingerprint_of(file: Path) -> str:
    """The fingerprint of the first certificate in a PEM file; empty when it cannot be read."""
    try:
        return fingerprint(x509.load_pem_x509_certificate(file.read_bytes()))
    except (OSError, ValueError):
        return ""


def names_in(certificate: x509.Certificate) -> list[str]:
    """The names and addresses it is for."""
    try:
        entries = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [str(entry.value) for entry in entries]


def _read(file: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(file.read_bytes())
    except (OSError, ValueError) as error:
        raise CertificateError(f"{file} cannot be read: {error}") from error


def _no_password() -> str:
    """Instead of asking on the terminal, which a service has not."""
    raise ValueError("the key is encrypted; a server needs one without a password")


def _usable_authority(authority: _Pair | None, *, now: datetime.datetime) -> _Pair | None:
    """An authority must outlive what it signs."""
    if authority is None or authority.certificate.not_valid_after_utc < now + LIFETIME:
        return None
    return authority


def _still_serves(current: _Pair, authority: _Pair, names: Sequence[str], *, now: datetime.datetime) -> bool:
    certificate = current.certificate
    try:
        certificate.verify_directly_issued_by(authority.certificate)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return certificate.not_valid_after_utc - now > RENEW_BEFORE and set(names) <= set(names_in(certificate))


def _make_authority(*, now: datetime.datetime) -> _Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Ringback"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"Ringback local authority {now:%Y-%m-%d}"),
        ]
    )
    usage = _key_usage(signs_certificates=True)
    builder = _builder(name, name, key.public_key(), now=now, lifetime=CA_LIFETIME)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(usage, critical=True)
    return _Pair(builder.sign(key, hashes.SHA256()), key)


def _make_server(authority: _Pair, names: Sequence[str], *, now: datetime.datetime) -> _Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    builder = _builder(subject, authority.certificate.subject, key.public_key(), now=now, lifetime=LIFETIME)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_key_usage(signs_certificates=False), critical=True)
    builder = builder.add_extension(
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
        critical=False,
    )
    builder = builder.add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), critical=False
    )
    builder = builder.add_extension(x509.SubjectAlternativeName(_general_names(names)), critical=False)
    return _Pair(builder.sign(authority.key, hashes.SHA256()), key)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    *,
    now: datetime.datetime,
    lifetime: datetime.timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + lifetime)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_names(names: Sequence[str]) -> list[x509.GeneralName]:
    """Addresses as addresses, names as names (RFC 5922 7.1 wants the domain among them)."""
    entries: list[x509.GeneralName] = []
    for name in names:
        try:
            entries.append(x509.IPAddress(ip_address(name)))
        except ValueError:
            entries.append(x509.DNSName(name))
    return entries


def _unique(names: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(name.lower() for name in names if name and name.isascii()))


def _load(file: Path, key_file: Path) -> _Pair | None:
    """A pair from disk; None when it is missing, damaged, or the key belongs to another certificate."""
    try:
        certificate = x509.load_pem_x509_certificate(file.read_bytes())
        key = serialization.load_pem_private_key(key_file.read_bytes(), password=None)
    except (OSError, ValueError, TypeError):
        return None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        return None
    return _Pair(certificate, key)


def _save(pair: _Pair, file: Path, key_file: Path, *, chain: x509.Certificate | None = None) -> None:
    """The key first: a certificate without its key would be found damaged and made again."""
    pem = serialization.Encoding.PEM
    key = pair.key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    certificates = [pair.certificate, *([chain] if chain is not None else [])]
    write_private(key_file, key)
    write_private(file, b"".join(certificate.public_bytes(pem) for certificate in certificates))
    try:
        file.chmod(0o644)
    except OSError as error:
        raise StorageError(f"{file}: {error.strerror or error}") from error
