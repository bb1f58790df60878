# SPDX-License-Identifier: Apache-2.0
"""How does a request inside a dialog find the connection its dialog began on? Flow tokens: RFC 5626
section 5.3.

Phones behind NAT, browsers and most TLS clients cannot be connected to; what reaches them is the flow
they made. So the Record-Route we add names the flows of both sides in its user part, sealed with our key.
The seal covers the Call-ID and the caller's tag: a token opens the way inside its own dialog only, and
tells who of the two is calling. Each side also names the registration it belongs to, for the day the
connection was replaced.

A token is made for every call and read for every request in one: 1.9 and 2.1 us. Keyed BLAKE2 seals in a
third of the time of HMAC-SHA-256, and flows are packed and unpacked once while they are remembered. So are
the tokens that were made last: what we wrote ourselves, letter by letter, needs no seal (0.6 us).
"""

from __future__ import annotations

import binascii
from collections.abc import Callable
from functools import lru_cache, partial
from hashlib import blake2b
from hmac import compare_digest
from ipaddress import IPv6Address
from socket import inet_aton

from ringback.sip.flow import Address, Flow, Transport

VERSION = 2
SEAL_SIZE = 12  # 96 bits
HANDLE_SIZE = 8
TRANSPORTS = (Transport.UDP, Transport.TCP, Transport.TLS, Transport.WS, Transport.WSS)

#: The longest text looked at: two IPv6 sides with everything take 160 characters.
TOKEN_LIMIT = 256

#: What the first half of an IPv4 address between IPv6 ones is (RFC 4291 2.5.5.2).
IPV4_MAPPED = bytes(10) + b"\xff\xff"

#: Flows that are remembered, packed and unpacked, and tokens, twice as many at most: half a kilobyte each.
REMEMBERED = 4096
#: Tokens of calls with longer names than nearly all have are not worth the room.
SHORT = 256

#: The second byte of a token: which sides have a handle.
CALLER_HAS_HANDLE, CALLEE_HAS_HANDLE = 1, 2
_STARTS = tuple(bytes((VERSION, handles)) for handles in range(4))

#: The first byte of a packed flow: transport + 1 (0: no flow), and what follows.
TRANSPORT_BITS, IS_WIDE, HAS_CONNECTION = 7, 8, 16
NO_FLOW = b"\0"

_TO_URL = bytes.maketrans(b"+/", b"-_")
_FROM_URL = bytes.maketrans(b"-_", b"+/")

#: Gives a flow that was written down its Via back: who we are on it can have changed.
Restore = Callable[[Flow], Flow]

#: One neighbour of ours in a dialog: its flow, None when it was found by its URI, and the handle of its
#: binding or nothing. A plain pair: two with names would be a fifth of what a token costs.
Side = tuple[Flow | None, bytes]


class FlowTokens:
    """Makes tokens and reads those it made, also after a restart with the same secret."""

    __slots__ = ("_before", "_flow_of", "_made", "_seals")

    def __init__(self, secret: bytes, *, restore: Restore = lambda flow: flow) -> None:
        key = blake2b(secret, person=b"flow tokens").digest()
        self._seals = blake2b(key=key, digest_size=SEAL_SIZE)
        self._flow_of = lru_cache(REMEMBERED)(partial(_flow, restore))
        #: What is in the tokens that were made last, and in those before: both sides, Call-ID, caller's tag.
        self._made: dict[str, tuple[Side, Side, str, str]] = {}
        self._before: dict[str, tuple[Side, Side, str, str]] = {}

    def make(self, caller: Side, callee: Side, call_id: str, caller_tag: str) -> str:
        """A token for the Record-Route of a request from `caller` to `callee`."""
        (calling, calling_handle), (called, called_handle) = caller, callee
        start = _STARTS[(1 if calling_handle else 0) | (2 if called_handle else 0)]
        sides = start + _packed(calling) + calling_handle + _packed(called) + called_handle
        sealed = sides + self._seal(sides, call_id, caller_tag)
        token = binascii.b2a_base64(sealed, newline=False).rstrip(b"=").translate(_TO_URL).decode("ascii")
        if len(call_id) + len(caller_tag) <= SHORT:
            if len(self._made) >= REMEMBERED:
                self._made, self._before = {}, self._made
            self._made[token] = caller, callee, call_id, caller_tag
        return token

    def read(self, token: str, call_id: str, from_tag: str, to_tag: str) -> Side | None:
        """The side that a request with this token goes to; None if it was not made here for its dialog."""
        made = self._made.get(token) or self._before.get(token)
        if made is not None and made[2] == call_id and made[3] in (from_tag, to_tag):
            return made[1] if made[3] == from_tag else made[0]
        sealed = _bytes(token)
        if len(sealed) <= SEAL_SIZE + 2 or sealed[0] != VERSION:
            return None
        sides, seal = sealed[:-SEAL_SIZE], sealed[-SEAL_SIZE:]
        is_from_caller = compare_digest(seal, self._seal(sides, call_id, from_tag))
        if not is_from_caller and not compare_digest(seal, self._seal(sides, call_id, to_tag)):
            return None
        caller, callee = self._unpacked(sides)
        return callee if is_from_caller else caller

    def _unpacked(self, sides: bytes) -> tuple[Side, Side]:
        """The inverse of what `make` packs."""
        handles, found, start = sides[1], [], 2
        for has_handle in (CALLER_HAS_HANDLE, CALLEE_HAS_HANDLE):
            end = start + _FLOW_SIZES[sides[start]]
            flow = self._flow_of(sides[start:end])
            start = end + HANDLE_SIZE if handles & has_handle else end
            found.append((flow, sides[end:start]))
        return found[0], found[1]

    def _seal(self, sides: bytes, call_id: str, tag: str) -> bytes:
        """Lengths in front keep the parts apart."""
        names = f"{len(sides)} {len(call_id)} {call_id}{tag}".encode("utf-8", "surrogateescape")
        seal = self._seals.copy()
        seal.update(names + sides)
        return seal.digest()


@lru_cache(REMEMBERED)
def _packed(flow: Flow | None) -> bytes:
    """One byte of flags, our address, the peer's, and the number of the connection if there is one."""
    if flow is None:
        return NO_FLOW
    is_wide = ":" in flow.local.host or ":" in flow.remote.host
    flags = TRANSPORTS.index(flow.transport) + 1 | (IS_WIDE if is_wide else 0)
    addresses = _address(flow.local, is_wide=is_wide) + _address(flow.remote, is_wide=is_wide)
    if not flow.connection:
        return bytes((flags,)) + addresses
    return bytes((flags | HAS_CONNECTION,)) + addresses + flow.connection.to_bytes(8, "big")


def _flow_size(flags: int) -> int:
    if not flags & TRANSPORT_BITS:
        return 1
    return (37 if flags & IS_WIDE else 13) + (8 if flags & HAS_CONNECTION else 0)


_FLOW_SIZES = tuple(map(_flow_size, range(256)))


def _flow(restore: Restore, packed: bytes) -> Flow | None:
    """The inverse of `_packed`."""
    flags = packed[0]
    if not flags & TRANSPORT_BITS:
        return None
    size = 18 if flags & IS_WIDE else 6
    local, remote, number = packed[1 : size + 1], packed[size + 1 : 2 * size + 1], packed[2 * size + 1 :]
    transport = TRANSPORTS[(flags & TRANSPORT_BITS) - 1]
    connection = int.from_bytes(number, "big")
    return restore(Flow(transport, _read_address(local), _read_address(remote), connection))


def _address(address: Address, *, is_wide: bool) -> bytes:
    if ":" in address.host:
        host = IPv6Address(address.host).packed
    else:
        host = (IPV4_MAPPED if is_wide else b"") + inet_aton(address.host)
    return host + address.port.to_bytes(2, "big")


def _read_address(packed: bytes) -> Address:
    host, port = packed[:-2].removeprefix(IPV4_MAPPED), int.from_bytes(packed[-2:], "big")
    return Address(".".join(map(str, host)) if len(host) == 4 else str(IPv6Address(host)), port)


def _bytes(token: str) -> bytes:
    if len(token) > TOKEN_LIMIT:
        return b""
    try:
        text = token.encode("ascii").translate(_FROM_URL)
        return binascii.a2b_base64(text + b"=" * (-len(text) % 4), strict_mode=True)
    except ValueError:  # not ASCII, or not base64
        return b""
