# SPDX-License-Identifier: Apache-2.0
"""Whose TLS handshakes failed, and why? A short list, so that people learn it without a packet capture.

One entry for each peer and kind of failure, with a count; the oldest make room. What is kept of a peer that
spoke no TLS at all is its first line.
"""

import ssl
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from ringback.sip.flow import Address

LIMIT = 200
#: Of what a peer said that is no TLS; as much as shows what it is.
FIRST_WORDS = 80
#: The largest ClientHello that is looked at for the name in it (the usual ones have 250 to 1800 octets).
LARGEST_HELLO = 16_384

HANDSHAKE, CLIENT_HELLO, SERVER_NAME = 0x16, 0x01, 0x0000

#: By the reason that OpenSSL gives. An alert is what the peer thinks of our certificate.
KINDS = {
    "ALERT_CERTIFICATE_EXPIRED": "peer says expired",
    "ALERT_UNKNOWN_CA": "peer says unknown authority",
    "ALERT_CERTIFICATE_UNKNOWN": "peer refuses certificate",
    "ALERT_BAD_CERTIFICATE": "peer refuses certificate",
    "ALERT_UNSUPPORTED_CERTIFICATE": "peer refuses certificate",
    "ALERT_UNRECOGNIZED_NAME": "peer refuses certificate",
    "ALERT_ACCESS_DENIED": "peer refuses certificate",
    "ALERT_PROTOCOL_VERSION": "no common version",
    "ALERT_HANDSHAKE_FAILURE": "no common version",
    "UNSUPPORTED_PROTOCOL": "no common version",
    "VERSION_TOO_LOW": "no common version",
    "NO_SHARED_CIPHER": "no common version",
    "NO_SUITABLE_SIGNATURE_ALGORITHM": "no common version",
    "HTTP_REQUEST": "no TLS",
    "WRONG_VERSION_NUMBER": "no TLS",
    "HTTPS_PROXY_REQUEST": "no TLS",
}

#: What our own check of a peer's certificate says (X509_V_ERR_... in x509_vfy.h).
VERIFY_CODES = {
    9: "not yet valid",
    10: "expired",
    18: "unknown authority",
    19: "unknown authority",
    20: "unknown authority",
    21: "unknown authority",
    62: "another name",
    64: "another name",
}


@dataclass(slots=True)
class TlsFailure:
    """One way in which one peer fails. `we_called`: we opened the connection and judged its certificate."""

    remote: Address
    local: Address
    kind: str
    detail: str
    we_called: bool = False
    server_name: str = ""
    """Whom the client wanted to reach."""
    first_words: str = ""
    first_at: float = 0.0
    last_at: float = 0.0
    count: int = 0

    def described(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "remote": str(self.remote), "local": str(self.local)}


class TlsFailures:
    """The list of one process."""

    def __init__(self, *, limit: int = LIMIT, wall_clock: Callable[[], float] = time.time) -> None:
        self._limit = limit
        self._wall_clock = wall_clock
        self._known: dict[tuple[str, str, bool, str], TlsFailure] = {}

    def __len__(self) -> int:
        return len(self._known)

    def all(self) -> list[TlsFailure]:
        """The latest first."""
        return list(self._known.values())[::-1]

    def refused(self, remote: Address, local: Address, error: OSError, first: bytes) -> None:
        """Somebody who called us failed. `first` are the first octets it sent."""
        kind, words = kind_of(error), ""
        if kind == "hung up" and not first:
            return  # somebody looks whether the port is open
        if first and first[0] != HANDSHAKE:
            kind = "no TLS"
            words = first.splitlines()[0][:FIRST_WORDS].decode("ascii", "replace") if first.strip() else ""
        name = name_in_hello(first)
        self._note(TlsFailure(remote, local, kind, _detail(error), False, name, words))

    def failed(self, remote: Address, server_name: str, error: OSError) -> None:
        """Somebody we called failed, or its certificate does not please us."""
        self._note(TlsFailure(remote, Address("", 0), kind_of(error), _detail(error), True, server_name))

    def _note(self, failure: TlsFailure) -> None:
        now = self._wall_clock()
        key = (failure.remote.host, failure.kind, failure.we_called, failure.server_name)
        known = self._known.pop(key, None)
        failure.first_at = now if known is None else known.first_at
        failure.count = 1 if known is None else known.count + 1
        failure.last_at = now
        if len(self._known) >= self._limit:
            del self._known[next(iter(self._known))]
        self._known[key] = failure


def kind_of(error: OSError) -> str:
    """Why, in one of a few words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return VERIFY_CODES.get(error.verify_code, "certificate refused")
    if isinstance(error, ssl.SSLError):
        reason = error.reason or ""
        return next((kind for part, kind in KINDS.items() if part in reason), "other")
    return "took too long" if "aborted" in str(error) else "hung up"


def is_of_tls(error: OSError) -> bool:
    """True for what went wrong in the handshake rather than on the way."""
    return isinstance(error, ssl.SSLError) or "handshake" in str(error)


def name_in_hello(data: bytes) -> str:
    """The server name in a ClientHello (RFC 6066 3), "" where there is none or it came in pieces."""
    if len(data) > LARGEST_HELLO or data[:1] != bytes([HANDSHAKE]) or data[5:6] != bytes([CLIENT_HELLO]):
        return ""
    at = 9 + 2 + 32  # record and handshake headers, version, random
    for width in (1, 2, 1):  # session id, cipher suites, compression methods
        at += width + int.from_bytes(data[at : at + width], "big")
    end = at + 2 + int.from_bytes(data[at : at + 2], "big")
    at += 2
    while at + 4 <= min(end, len(data)):
        kind, size = int.from_bytes(data[at : at + 2], "big"), int.from_bytes(data[at + 2 : at + 4], "big")
        if kind == SERVER_NAME:
            name = data[at + 9 : at + 4 + size].decode("ascii", "replace")
            return name if name.isprintable() else ""
        at += 4 + size
    return ""


def _detail(error: OSError) -> str:
    text = error.reason if isinstance(error, ssl.SSLError) and error.reason else str(error)
    return text.replace("_", " ").lower()[:200]
