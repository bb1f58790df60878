# SPDX-License-Identifier: Apache-2.0
"""What does a phone get that asks a SIP port for its address? RFC 8489, as much as RFC 5626 section 8 needs.

A phone that uses outbound over UDP keeps its NAT mapping open with STUN Binding requests to the port it
registered at, and takes a flow without answers for dead (RFC 5626 section 4.4.2). The answer says where the
request came from, so that the phone also sees when its mapping has changed.
"""

import ipaddress
import struct
from collections.abc import Iterator

from ringback.sip.flow import Address

#: RFC 8489 section 5: the magic cookie of every STUN message.
COOKIE = b"\x21\x12\xa4\x42"
HEADER_SIZE = 20
BINDING_REQUEST, BINDING_RESPONSE = 0x0001, 0x0101
XOR_MAPPED_ADDRESS = 0x0020
#: Section 14: attributes up to here must be understood. We understand none, and need none to answer.
LAST_REQUIRED = 0x7FFF


def is_stun(data: bytes) -> bool:
    """True for what is STUN and not SIP: no SIP message begins with a control character (section 5)."""
    return len(data) > 4 and data[0] < 4 and data[4:8] == COOKIE


def binding_response(data: bytes, source: Address) -> bytes | None:
    """The answer to a Binding request from `source`; None for all else, and when more is asked for."""
    if len(data) < HEADER_SIZE or not is_stun(data):
        return None
    kind, size = struct.unpack_from("!HH", data)
    if kind != BINDING_REQUEST or size != len(data) - HEADER_SIZE:
        return None
    if any(attribute <= LAST_REQUIRED for attribute in _attributes(data[HEADER_SIZE:])):
        return None
    value = xor_mapped(source, data[4:HEADER_SIZE])
    attribute = struct.pack("!HH", XOR_MAPPED_ADDRESS, len(value)) + value
    return struct.pack("!HH", BINDING_RESPONSE, len(attribute)) + data[4:HEADER_SIZE] + attribute


def _attributes(data: bytes) -> Iterator[int]:
    """Section 14: the types, each followed by a length and a value that is filled up to four bytes."""
    at = 0
    while at + 4 <= len(data):
        kind, size = struct.unpack_from("!HH", data, at)
        yield kind
        at += 4 + size + -size % 4


def xor_mapped(source: Address, mask: bytes) -> bytes:
    """Section 14.2: disguised, since some NATs rewrite addresses wherever they see them."""
    host = ipaddress.ip_address(source.host)
    plain = struct.pack("!H", source.port)
    port = bytes(a ^ b for a, b in zip(plain, mask, strict=False))
    address = bytes(a ^ b for a, b in zip(host.packed, mask, strict=False))
    return bytes((0, 1 if host.version == 4 else 2)) + port + address
