# SPDX-License-Identifier: Apache-2.0
"""What does a STUN message say, and who sent it? RFC 8489, with the attributes of ICE (RFC 8445 section 16).

A message is only what stands before its MESSAGE-INTEGRITY: what follows could have been added by anybody, and
is not read (section 14.5; RELIABILITY row 44).
"""

from __future__ import annotations

import hmac
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum

from ringback.net.stun import COOKIE, HEADER_SIZE, LAST_REQUIRED, is_stun, xor_mapped
from ringback.sip.flow import Address

REQUEST, INDICATION, SUCCESS, ERROR = 0x0001, 0x0011, 0x0101, 0x0111
_HEADER = struct.Struct("!HH4s12s")
_ATTRIBUTE = struct.Struct("!HH")
_INTEGRITY_BYTES = 20
#: Section 14.7: what the checksum is mixed with.
_FINGERPRINT_MASK = 0x5354554E
#: Attributes of one message that are looked at.
MOST_ATTRIBUTES = 32


class Attribute(IntEnum):
    """The attributes we read or write."""

    USERNAME = 0x0006
    MESSAGE_INTEGRITY = 0x0008
    ERROR_CODE = 0x0009
    UNKNOWN_ATTRIBUTES = 0x000A
    XOR_MAPPED_ADDRESS = 0x0020
    PRIORITY = 0x0024
    USE_CANDIDATE = 0x0025
    FINGERPRINT = 0x8028
    ICE_CONTROLLED = 0x8029
    ICE_CONTROLLING = 0x802A


_KNOWN = frozenset(Attribute)


@dataclass(frozen=True, slots=True)
class StunMessage:
    """A message as it came. Believe nothing of it before `is_signed_with`."""

    kind: int
    transaction: bytes
    attributes: dict[int, bytes]
    #: The octets before MESSAGE-INTEGRITY, and its value; None without one.
    signed: bytes | None = field(default=None, repr=False)
    signature: bytes = field(default=b"", repr=False)

    @classmethod
    def parse(cls, data: bytes) -> StunMessage | None:
        """The message; None for what is none, or is broken."""
        if len(data) < HEADER_SIZE or len(data) % 4 or not is_stun(data):
            return None
        kind, size, _, transaction = _HEADER.unpack_from(data)
        if size != len(data) - HEADER_SIZE:
            return None
        attributes: dict[int, bytes] = {}
        at = HEADER_SIZE
        while at < len(data) and len(attributes) < MOST_ATTRIBUTES:
            name, length = _ATTRIBUTE.unpack_from(data, at)
            value = data[at + 4 : at + 4 + length]
            if len(value) != length:
                return None
            if name == Attribute.MESSAGE_INTEGRITY:
                return cls(kind, transaction, attributes, data[:at], value)
            attributes.setdefault(name, value)
            at += 4 + length + -length % 4
        return cls(kind, transaction, attributes)

    def is_signed_with(self, key: bytes) -> bool:
        """True when MESSAGE-INTEGRITY shows that its author knows the key (section 14.5)."""
        if self.signed is None or len(self.signature) != _INTEGRITY_BYTES:
            return False
        return hmac.compare_digest(_signature(self.signed, key), self.signature)

    @property
    def unknown(self) -> list[int]:
        """Attributes that must be understood, and are not (section 6.3.1)."""
        return [name for name in self.attributes if name <= LAST_REQUIRED and name not in _KNOWN]

    def success(self, mapped: Address, key: bytes) -> bytes:
        """The answer to a Binding request that came from `mapped`."""
        value = xor_mapped(mapped, COOKIE + self.transaction)
        return built(SUCCESS, self.transaction, [(Attribute.XOR_MAPPED_ADDRESS, value)], key)

    def error(self, code: int, reason: str, key: bytes | None = None) -> bytes:
        """The refusal; without a key it cannot be signed (section 6.3.4)."""
        value = struct.pack("!HBB", 0, code // 100, code % 100) + reason.encode()
        attributes: list[tuple[int, bytes]] = [(Attribute.ERROR_CODE, value)]
        if code == 420:
            unknown = self.unknown
            attributes.append((Attribute.UNKNOWN_ATTRIBUTES, struct.pack(f"!{len(unknown)}H", *unknown)))
        return built(ERROR, self.transaction, attributes, key)


def built(
    kind: int, transaction: bytes, attributes: Iterable[tuple[int, bytes]], key: bytes | None = None
) -> bytes:
    """A message with its integrity, when there is a key, and its fingerprint."""
    body = b"".join(_attribute(name, value) for name, value in attributes)
    message = _HEADER.pack(kind, len(body), COOKIE, transaction) + body
    if key is not None:
        message += _attribute(Attribute.MESSAGE_INTEGRITY, _signature(message, key))
    checked = _with_length(message, 8)
    checksum = (zlib.crc32(checked) ^ _FINGERPRINT_MASK) & 0xFFFFFFFF
    return checked + _attribute(Attribute.FINGERPRINT, struct.pack("!I", checksum))


def _signature(signed: bytes, key: bytes) -> bytes:
    """HMAC-SHA1 over a message that ends with its MESSAGE-INTEGRITY (section 14.5)."""
    return hmac.digest(key, _with_length(signed, 4 + _INTEGRITY_BYTES), "sha1")


def _with_length(message: bytes, more: int) -> bytes:
    """The same with a length that counts what will follow."""
    return message[:2] + struct.pack("!H", len(message) - HEADER_SIZE + more) + message[4:]


def _attribute(name: int, value: bytes) -> bytes:
    return _ATTRIBUTE.pack(name, len(value)) + value + bytes(-len(value) % 4)
