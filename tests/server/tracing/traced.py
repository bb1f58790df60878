# SPDX-License-Identifier: Apache-2.0
"""Messages for tests of the trace, and a driver that is nothing but a tap."""

import mmap
from collections.abc import Sequence

from ringback.kernel import Tape
from ringback.net.driver import Tap
from ringback.server.tracing.chunk import Chunk, Kept, chunk_from
from ringback.server.tracing.memory import Piece
from ringback.server.tracing.message import Message, message_dict
from ringback.sip.flow import Address, Flow, Transport

SERVER = Address("192.0.2.1", 5060)
ANNA = Flow(Transport.UDP, SERVER, Address("192.0.2.9", 5060))
BEN = Flow(Transport.UDP, SERVER, Address("192.0.2.10", 5060))
#: Behind TLS, by IPv6.
CAROL = Flow(Transport.TLS, Address("2001:db8::1", 5061), Address("2001:db8::9", 40_000), 7)
BEGAN = 1_700_000_000.0

OFFER = (
    "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8 0\r\n"
)


def sip(
    start: str, cseq: str = "1 INVITE", *, call_id: str = "c1", tag: str = "", more: str = "", body: str = ""
) -> bytes:
    """A message from 101 to 102."""
    if not start.startswith("SIP/2.0"):
        start += " sip:102@example.com SIP/2.0"
    to = f"<sip:102@example.com>{';tag=' + tag if tag else ''}"
    return (
        f"{start}\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1\r\nFrom: Anna <sip:101@example.com>;tag=a\r\n"
        f"To: {to}\r\nCall-ID: {call_id}\r\nCSeq: {cseq}\r\n{more}Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


INVITE = sip("INVITE", body=OFFER)


def chunk_of(
    *batches: tuple[float, bool, Sequence[tuple[bytes, Flow]]], first: int = 0, wall: float = 0.0
) -> Chunk:
    """A chunk in a piece of its own: (time, sent, messages)."""
    piece = Piece(mmap.mmap(-1, 1_000_000), lambda octets: None)
    tape = Tape(lambda: None, lambda size: None, most=1000)
    tape.load(piece.octets)
    for at, sent, batch in batches:
        tape.take(sent, batch, at)
    chunk = chunk_from(tape, piece, first=first, wall=wall)
    assert chunk is not None
    return chunk


def seen(*steps: tuple[float, bool, bytes, Flow]) -> list[Message]:
    """Messages as the verbs give them: (seconds, sent by the server, octets, flow)."""
    return [message_dict(Kept(BEGAN + at, sent, flow, data)) for at, sent, data, flow in steps]


class Driver:
    """What a recorder knows of a driver."""

    tap: Tap | None = None
