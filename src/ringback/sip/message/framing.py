# SPDX-License-Identifier: Apache-2.0
"""Where does one message end and the next begin on a stream (RFC 3261 18.3, RFC 5626 3.5.1)?"""

import re
from enum import Enum

from ringback.kernel import split_head
from ringback.sip.errors import MalformedMessage, PeerError
from ringback.sip.message.fields import canonical
from ringback.sip.message.numbers import decimal

MAX_MESSAGE = 65536

#: The usual case: one Content-Length on one line. Anything else goes the long way.
_LENGTH = re.compile(rb"\r\n(?:content-length|l)[ \t]*+:[ \t]*+([0-9]*+)(?=(\r\n[^ \t])?)", re.IGNORECASE)
#: What is a number, but larger than any message, is refused as too large and not as malformed.
_ANY_LENGTH = 10**24
_END = b"\r\n\r\n"


class Ping(Enum):
    """Keep-alives between messages (RFC 5626 3.5.1)."""

    PING = "double CRLF: answer with one CRLF"
    PONG = "single CRLF: the peer is alive"


Frame = bytes | Ping


class FramingError(MalformedMessage):
    """From here on the stream cannot be cut into messages. Answer if possible, then close.

    `data` is the offending head (with its empty line if it came that far): `parse_message` makes of it
    what can be made. `frames` are the messages complete before it.
    """

    def __init__(
        self, detail: str, data: bytes, *, status: int = 400, section: str = "RFC 3261 18.3"
    ) -> None:
        super().__init__(detail, status=status, section=section)
        self.data = data
        self.frames: list[Frame] = []


class StreamFramer:
    """Cuts what comes in on one connection. It looks at each byte once, however they are split."""

    __slots__ = ("_after_single", "_buffer", "_error", "_limit", "_need", "_pong_due", "_scanned")

    def __init__(self, limit: int = MAX_MESSAGE) -> None:
        self._limit = limit
        self._buffer = bytearray()
        self._scanned = 0  # no end of the head starts before this
        self._need = 0  # length of the message whose head is complete; 0: none is
        self._after_single = False  # the last thing seen was a CRLF already reported as PONG
        self._pong_due = False
        self._error: FramingError | None = None

    def expect_pong(self) -> None:
        """We sent a ping: the next lone CRLF answers it, and is not the first half of a ping."""
        self._pong_due = True
        self._after_single = False

    @property
    def pending(self) -> int:
        """How many bytes wait for the rest of their message: for the limits on slow senders."""
        return len(self._buffer)

    def unfinished(self) -> bytes:
        """Those bytes: what a silent sender left behind may still be answered with 400."""
        return bytes(self._buffer)

    def feed(self, data: bytes) -> list[Frame]:
        """Take in bytes, give out what is complete. FramingError ends the stream for good."""
        if self._error is not None:
            raise self._error
        self._buffer += data
        frames: list[Frame] = []
        try:
            while (frame := self._next()) is not None:
                frames.append(frame)
        except FramingError as error:
            error.frames = frames
            self._error = error
            self._buffer.clear()
            raise
        return frames

    def _next(self) -> Frame | None:
        if self._need == 0:
            if self._buffer[:1] == b"\r" and (ping := self._next_ping()) is not None:
                return ping
            if not self._find_head():
                return None
        if len(self._buffer) < self._need:
            return None
        frame = bytes(self._buffer[: self._need])
        del self._buffer[: self._need]
        self._need = self._scanned = 0
        return frame

    def _next_ping(self) -> Ping | None:
        """Two CRLFs are a ping, also when the first one was alone when it came and was taken for a pong."""
        if self._buffer[:2] != b"\r\n":
            return None
        is_double = self._buffer[2:4] == b"\r\n"
        del self._buffer[: 4 if is_double else 2]
        if self._pong_due and not is_double:
            self._pong_due = False
            return Ping.PONG
        is_ping = is_double or self._after_single
        self._after_single = not is_ping
        return Ping.PING if is_ping else Ping.PONG

    def _find_head(self) -> bool:
        if not self._buffer:
            return False
        end = self._buffer.find(_END, self._scanned)
        if end < 0:
            self._scanned = max(0, len(self._buffer) - 3)
            if len(self._buffer) > self._limit:
                raise FramingError("head too large", bytes(self._buffer[: self._limit]), status=513)
            return False
        self._after_single = False
        head = bytes(self._buffer[: end + 4])
        self._need = len(head) + self._body_length(head)
        return True

    def _body_length(self, head: bytes) -> int:
        """The Content-Length; none at all is 0, as in a message without a body (20.14)."""
        found = _LENGTH.findall(head)
        if not found:
            return 0
        is_plain = len(found) == 1 and found[0][1]
        length = self._checked_length(head, [found[0][0]] if is_plain else _lengths(head))
        if len(head) + length > self._limit:
            raise FramingError("message too large", head, status=513)
        return length

    def _checked_length(self, head: bytes, values: list[bytes]) -> int:
        if len(values) != 1:
            raise FramingError("Content-Length appears twice", head)
        try:
            return decimal(values[0], limit=_ANY_LENGTH)
        except PeerError:
            raise FramingError("malformed Content-Length", head) from None


def _lengths(head: bytes) -> list[bytes]:
    return [value for name, value in split_head(head)[1] if canonical(name) == "content-length"]
