# SPDX-License-Identifier: Apache-2.0
"""Which SRTP keys does a description carry? a=crypto: RFC 4568, with the suites of RFC 6188 and RFC 7714.

A line that cannot be used is skipped (RFC 4568 section 7.1.2), never an error: another line may do. Skipped
are unknown suites, keys of a wrong length, several keys or an MKI (our SRTP has none), keys that would not
outlive a long call, and session parameters that would weaken SRTP or that we do not know.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from ringback.sdp.session import Section

#: Lines of one stream that are looked at (RELIABILITY row 9: floods of them).
MOST_LINES = 16

#: A key that lives for fewer packets might end within a call: 2^20 are 5.8 hours of 50 packets a second.
_SHORTEST_LIFETIME = 2**20
_LINE = re.compile(
    r"(?P<tag>[0-9]{1,9}) +(?P<suite>[A-Za-z0-9_]{1,40}) +(?P<key>[^ ]{1,512})(?P<rest>.{0,512})"
)
_KEY = re.compile(
    r"inline:(?P<key>[A-Za-z0-9+/]{16,128}={0,2})(?:\|(?P<lifetime>[0-9^]{1,20}))?", re.IGNORECASE
)
_LIFETIME = re.compile(r"(?P<power>2\^)?(?P<number>[0-9]{1,20})")


@dataclass(frozen=True, slots=True)
class Suite:
    """A row of the table of SRTP suites: how long its master key and its master salt are."""

    name: str
    key_bytes: int
    salt_bytes: int

    @property
    def secret_bytes(self) -> int:
        """The length of key and salt together, as they stand behind "inline:"."""
        return self.key_bytes + self.salt_bytes


#: In order of preference.
SUITES: dict[str, Suite] = {
    row.name: row
    for row in (
        Suite("AEAD_AES_256_GCM", 32, 12),
        Suite("AEAD_AES_128_GCM", 16, 12),
        Suite("AES_256_CM_HMAC_SHA1_80", 32, 14),
        Suite("AES_CM_128_HMAC_SHA1_80", 16, 14),
        Suite("AES_256_CM_HMAC_SHA1_32", 32, 14),
        Suite("AES_CM_128_HMAC_SHA1_32", 16, 14),
    )
}


@dataclass(frozen=True, slots=True)
class CryptoLine:
    """One a=crypto: `key` is the master key followed by the master salt of what its author sends."""

    tag: int
    suite: str
    key: bytes = field(repr=False)
    parameters: tuple[str, ...] = ()

    @classmethod
    def parse(cls, value: str) -> CryptoLine | None:
        """The line behind "a=crypto:"; None when it cannot be used."""
        parts = _LINE.fullmatch(value)
        suite = parts and SUITES.get(parts["suite"].upper())
        if not parts or not suite:
            return None
        key = _key(parts["key"], suite)
        parameters = tuple(word for word in parts["rest"].split(" ") if word)
        if key is None or not all(_is_harmless(word) for word in parameters):
            return None
        return cls(int(parts["tag"]), suite.name, key, parameters)  # checked: nine digits at most

    def __str__(self) -> str:
        """The value of a=crypto. It holds the key: not for logs."""
        words = [f"{self.tag}", self.suite, f"inline:{b64encode(self.key).decode()}", *self.parameters]
        return " ".join(words)


def crypto_lines(section: Section) -> tuple[CryptoLine, ...]:
    """The usable lines, in their order; of two with the same tag the first (RFC 4568 section 5.1)."""
    usable: dict[int, CryptoLine] = {}
    for value in islice(section.attribute_values("crypto"), MOST_LINES):
        line = CryptoLine.parse(value)
        if line is not None:
            usable.setdefault(line.tag, line)
    return tuple(usable.values())


def answering_crypto(offered: Sequence[CryptoLine], own: Sequence[CryptoLine]) -> CryptoLine | None:
    """Our line that answers `offered`: the first suite we have, under the offered tag (RFC 4568 5.1.2)."""
    for theirs in offered:
        ours = next((line for line in own if line.suite == theirs.suite), None)
        if ours is not None:
            return replace(ours, tag=theirs.tag, parameters=())
    return None


def agreed_crypto(
    own: Sequence[CryptoLine], remote: Sequence[CryptoLine]
) -> tuple[CryptoLine, CryptoLine] | None:
    """Our line and the peer's that belong together, whoever offered; None when no two do.

    Offer and answer agree in tag and suite; the answer holds one line, so the shorter list decides.
    """
    for ours in own:
        for theirs in remote:
            if ours.tag == theirs.tag and ours.suite == theirs.suite:
                return ours, theirs
    return None


def _key(text: str, suite: Suite) -> bytes | None:
    found = _KEY.fullmatch(text)
    if found is None or not _lasts(found["lifetime"]):
        return None
    padded = found["key"].rstrip("=")
    padded += "=" * (-len(padded) % 4)  # some phones leave the padding out
    try:
        key = b64decode(padded, validate=True)
    except binascii.Error:
        return None
    return key if len(key) == suite.secret_bytes else None


def _lasts(lifetime: str | None) -> bool:
    if lifetime is None:
        return True
    found = _LIFETIME.fullmatch(lifetime)
    if found is None:
        return False
    number = int(found["number"])  # checked: twenty digits at most
    if found["power"]:
        return _SHORTEST_LIFETIME.bit_length() - 1 <= number <= 48
    return number >= _SHORTEST_LIFETIME


def _is_harmless(parameter: str) -> bool:
    """WSH only advises; what starts with "-" may be ignored (RFC 4568 sections 6.3.6 and 6.3.7)."""
    return parameter.startswith(("WSH=", "-"))
