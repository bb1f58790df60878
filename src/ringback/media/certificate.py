# SPDX-License-Identifier: Apache-2.0
"""Which certificate do we show in DTLS? One of our own making: the description vouches for it (RFC 5763).

It is made once a process, of an elliptic curve: an RSA key would cost a hundred times as much to make.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL

from ringback.sdp.dtls import Fingerprint

#: Both ends look at the fingerprint only; a program may run for years.
_VALIDITY = timedelta(days=3_650)
_CIPHERS = b"ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES:!aNULL:!eNULL"
#: Names of OpenSSL (RFC 5764, 7714) in our order, and what SRTP calls them.
SRTP_PROFILES = {
    b"SRTP_AEAD_AES_128_GCM": "AEAD_AES_128_GCM",
    b"SRTP_AES128_CM_SHA1_80": "AES_CM_128_HMAC_SHA1_80",
}


@dataclass(frozen=True)
class Certificate:
    """A key, the certificate over it, and what OpenSSL needs to use them."""

    key: ec.EllipticCurvePrivateKey = field(repr=False)
    certificate: x509.Certificate = field(repr=False)

    @classmethod
    def make(cls) -> Certificate:
        """A new one."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ringback")])
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + _VALIDITY)
        )
        return cls(key, builder.sign(key, hashes.SHA256()))

    @cached_property
    def fingerprint(self) -> Fingerprint:
        """What a=fingerprint says of it."""
        return fingerprint_of(self.certificate, "sha-256")

    @cached_property
    def context(self) -> SSL.Context:
        """For both roles: making one costs as much as half a handshake."""
        context = SSL.Context(SSL.DTLS_METHOD)
        context.use_certificate(self.certificate)
        context.use_privatekey(self.key)
        context.set_cipher_list(_CIPHERS)
        for option in (
            SSL.OP_NO_TICKET,
            SSL.OP_NO_QUERY_MTU,
            SSL.OP_NO_RENEGOTIATION,
            SSL.OP_COOKIE_EXCHANGE,
        ):
            context.set_options(option or 0)
        # Whom the peer's certificate belongs to is decided by its fingerprint, after the handshake.
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *_: True)
        context.set_tlsext_use_srtp(b":".join(SRTP_PROFILES))
        generate, verify = _cookies(secrets.token_bytes(32))
        context.set_cookie_generate_callback(generate)
        context.set_cookie_verify_callback(verify)
        return context


@lru_cache(maxsize=1)
def certificate_of_this_process() -> Certificate:
    """The one that is shared by all calls."""
    return Certificate.make()


def fingerprint_of(certificate: x509.Certificate, algorithm: str) -> Fingerprint:
    """Its hash by a name of RFC 8122. ValueError for a hash that nobody knows."""
    der = certificate.public_bytes(serialization.Encoding.DER)
    return Fingerprint(algorithm, hashlib.new(algorithm.replace("-", ""), der).digest())


def _cookies(
    secret: bytes,
) -> tuple[Callable[[SSL.Connection], bytes], Callable[[SSL.Connection, bytes], bool]]:
    """A ClientHello must come twice from one address before it costs us anything (RFC 6347 section 4.2.1)."""

    def generate(connection: SSL.Connection) -> bytes:
        source: Any = connection.get_app_data()
        return hmac.digest(secret, repr(tuple(source)).encode(), "sha256")[:16]

    def verify(connection: SSL.Connection, cookie: bytes) -> bool:
        return hmac.compare_digest(generate(connection), cookie)

    return generate, verify
