# SPDX-License-Identifier: Apache-2.0
"""How does a request inside a dialog find the connection its dialog began on? Flow tokens: RFC 5626
section 5.3.

Phones behind NAT, browsers and most TLS clients cannot be connected to; what reaches them is the flow
they made. So the Record-Route we add names the flows of both sides in its user part, sealed with our key.
The seal covers the Call-ID and the caller's tag: a token opens the way inside its own dialog only, and
tells who of the two is calling. Each side also names the registration it belongs to, for the day the
connection was replaced.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress
import struct
from collections.abc import Callable
from dataclasses import dataclass

from ringback.sip.flow import Address, Flow, Transport

VERSION = 1
SEAL_SIZE = 12  # 96 bits
HANDLE_SIZE = 8
TRANSPORTS = (Transport.UDP, Transport.TCP, Transport.TLS, Transport.WS, Transport.WSS)

#: The longest text looked at: two IPv6 sides with everything take 200 characters.
TOKEN_LIMIT = 256

#: Gives a flow that was written down its Via back: who we are on it can have changed.
Restore = Callable[[Flow], Flow]


@dataclass(frozen=True, slots=True)
class Side:
    """One neighbour of ours in a dialog. `flow` is None when it was found by its URI; `handle` names a
    binding.
    """

    flow: Flow | None = None
    handle: bytes = b""


@dataclass(frozen=True, slots=True)
class DialogFlows:
    """What a token says about the request that brought it."""

    caller: Side
    callee: Side
    is_from_caller: bool

    @property
    def onward(self) -> Side:
        """The neighbour this request goes to."""
        return self.callee if self.is_from_caller else self.caller


class FlowTokens:
    """Makes tokens and reads those it made, also after a restart with the same secret."""

    __slots__ = ("_key", "_restore")

    def __init__(self, secret: bytes, *, restore: Restore = lambda flow: flow) -> None:
        self._key = hmac.digest(secret, b"flow tokens", "sha256")
        self._restore = restore

    def make(self, caller: Side, callee: Side, *, call_id: str, caller_tag: str) -> str:
        """A token for the Record-Route of a request from `caller` to `callee`."""
        data = bytes((VERSION,)) + _packed(caller) + _packed(callee)
        return _text(data + self._seal(data, call_id, caller_tag))

    def read(self, token: str, *, call_id: str, from_tag: str, to_tag: str) -> DialogFlows | None:
        """What the token says; None if it was not made here for this dialog."""
        data = _bytes(token)
        if len(data) <= SEAL_SIZE + 1 or data[0] != VERSION:
            return None
        data, seal = data[:-SEAL_SIZE], data[-SEAL_SIZE:]
        is_from_caller = hmac.compare_digest(seal, self._seal(data, call_id, from_tag))
        if not is_from_caller and not hmac.compare_digest(seal, self._seal(data, call_id, to_tag)):
            return None
        caller, rest = _unpacked(data[1:])
        callee, _ = _unpacked(rest)
        return DialogFlows(self._restored(caller), self._restored(callee), is_from_caller)

    def _restored(self, side: Side) -> Side:
        return side if side.flow is None else Side(self._restore(side.flow), side.handle)

    def _seal(self, data: bytes, call_id: str, tag: str) -> bytes:
        parts = (call_id.encode("utf-8", "surrogateescape"), tag.encode("utf-8", "surrogateescape"))
        text = b"".join(struct.pack("!I", len(part)) + part for part in (data, *parts))
        return hmac.digest(self._key, text, "sha256")[:SEAL_SIZE]


def _packed(side: Side) -> bytes:
    """One byte of flags (transport + 1, or 0 without a flow; 8: IPv6; 16: a handle), then what they
    announce.
    """
    flags = 16 if side.handle else 0
    body = b""
    if side.flow is not None:
        flow = side.flow
        flags |= TRANSPORTS.index(flow.transport) + 1
        local, remote = ipaddress.ip_address(flow.local.host), ipaddress.ip_address(flow.remote.host)
        flags |= 8 if 6 in (local.version, remote.version) else 0
        body = _address(flow.local, wide=bool(flags & 8)) + _address(flow.remote, wide=bool(flags & 8))
        body += struct.pack("!I", flow.connection & 0xFFFFFFFF)
    return bytes((flags,)) + body + side.handle


def _unpacked(data: bytes) -> tuple[Side, bytes]:
    """The side at the start of sealed data, and what follows it."""
    flags, at, flow = data[0], 1, None
    if flags & 7:
        wide = bool(flags & 8)
        size = 18 if wide else 6
        local, remote = _read_address(data[at : at + size]), _read_address(data[at + size : at + 2 * size])
        (connection,) = struct.unpack_from("!I", data, at + 2 * size)
        flow = Flow(TRANSPORTS[(flags & 7) - 1], local, remote, connection)
        at += 2 * size + 4
    handle = data[at : at + HANDLE_SIZE] if flags & 16 else b""
    return Side(flow, handle), data[at + len(handle) :]


def _address(address: Address, *, wide: bool) -> bytes:
    host = ipaddress.ip_address(address.host)
    if wide and host.version == 4:
        host = ipaddress.ip_address(f"::ffff:{host}")
    return host.packed + struct.pack("!H", address.port)


def _read_address(data: bytes) -> Address:
    host = ipaddress.ip_address(data[:-2])
    mapped = getattr(host, "ipv4_mapped", None)
    return Address(str(mapped or host), int.from_bytes(data[-2:], "big"))


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _bytes(token: str) -> bytes:
    if len(token) > TOKEN_LIMIT or not token.isascii():
        return b""
    try:
        return base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""
