# SPDX-License-Identifier: Apache-2.0
"""Whose certificate is expected, and who opens the DTLS association? RFC 8122, 5763, 8842, 4145."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice

from ringback.sdp.errors import UnacceptableSession
from ringback.sdp.session import Line, MediaDescription, SessionDescription

#: Fingerprints of one stream that are looked at.
MOST_FINGERPRINTS = 8
#: Octets of a hash. MD2 and MD5 must not be used (RFC 8122 section 5); the strongest comes first.
HASHES = {"sha-512": 64, "sha-384": 48, "sha-256": 32, "sha-224": 28, "sha-1": 20}

_FINGERPRINT = re.compile(
    r"(?P<hash>[A-Za-z0-9-]{1,16}) +(?P<value>[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){0,127}) *"
)


class Setup(StrEnum):
    """Who opens the connection (RFC 4145 section 4), seen from the author of the description."""

    ACTIVE = "active"
    PASSIVE = "passive"
    ACTPASS = "actpass"
    HOLDCONN = "holdconn"


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The hash of a certificate."""

    algorithm: str
    digest: bytes

    @classmethod
    def parse(cls, text: str) -> Fingerprint | None:
        """The value of a=fingerprint; None for an unknown hash. UnacceptableSession when it is malformed."""
        parts = _FINGERPRINT.fullmatch(text)
        if parts is None:
            raise UnacceptableSession("a=fingerprint is malformed", section="RFC 8122 5")
        algorithm = parts["hash"].lower()
        octets = bytes.fromhex(parts["value"].replace(":", ""))
        if algorithm not in HASHES:
            return None
        if len(octets) != HASHES[algorithm]:
            raise UnacceptableSession("a=fingerprint has a wrong length", section="RFC 8122 5")
        return cls(algorithm, octets)

    def __str__(self) -> str:
        """The value of a=fingerprint."""
        return f"{self.algorithm} {self.digest.hex(':').upper()}"


@dataclass(frozen=True, slots=True)
class DtlsDescription:
    """What a description says of DTLS. `fingerprints`: the strongest hash first."""

    fingerprints: tuple[Fingerprint, ...]
    setup: Setup = Setup.ACTPASS
    tls_id: str | None = None

    @property
    def fingerprint(self) -> Fingerprint:
        """The one to verify: of the strongest hash (RFC 8122 section 5)."""
        return self.fingerprints[0]

    def accepts(self, algorithm: str, digest: bytes) -> bool:
        """True when a certificate with this hash is an announced one (RFC 8122 section 5 allows several)."""
        return any(each.algorithm == algorithm and each.digest == digest for each in self.fingerprints)


def answering_setup(offered: Setup) -> Setup:
    """Our part when the offer says `offered`: active if we may choose (RFC 5763 section 5)."""
    if offered is Setup.ACTIVE:
        return Setup.PASSIVE
    return Setup.HOLDCONN if offered is Setup.HOLDCONN else Setup.ACTIVE


def dtls_of(session: SessionDescription, media: MediaDescription) -> DtlsDescription | None:
    """What is said of DTLS for this stream; None without a fingerprint that can be verified."""
    section = media if media.attribute("fingerprint") is not None else session
    looked_at = islice(section.attribute_values("fingerprint"), MOST_FINGERPRINTS)
    known = [each for each in map(Fingerprint.parse, looked_at) if each is not None]
    if not known:
        return None
    known.sort(key=lambda each: -len(each.digest))
    tls_id = media.attribute("tls-id")
    return DtlsDescription(tuple(known), _setup(session, media), tls_id)


def dtls_lines(fingerprint: Fingerprint, setup: Setup) -> tuple[Line, ...]:
    """The a= lines of one stream of ours."""
    return Line("a", f"fingerprint:{fingerprint}"), Line("a", f"setup:{setup}")


def _setup(session: SessionDescription, media: MediaDescription) -> Setup:
    stated = media.attribute("setup")
    stated = session.attribute("setup") if stated is None else stated
    if stated is None:
        return Setup.ACTIVE  # RFC 4145 section 4: what an offer without a=setup means
    try:
        return Setup(stated.strip(" "))
    except ValueError:
        raise UnacceptableSession("a=setup is malformed", section="RFC 4145 4") from None
