# SPDX-License-Identifier: Apache-2.0
"""How do SIP messages stand in a TCP or TLS stream? One after another (RFC 3261 18.3)."""

import logging

from ringback.net.framing import Signal
from ringback.sip.message.framing import Frame, FramingError, Ping, StreamFramer

log = logging.getLogger("ringback.net")


class TcpFraming:
    """Messages end where their Content-Length says; CRLFCRLF is a ping, CRLF its answer (RFC 5626 4.4.1)."""

    answers_pings = False

    def __init__(self, message_size: int) -> None:
        self._framer = StreamFramer(message_size)
        self._pongs = 0
        self._is_broken = False

    @property
    def is_ready(self) -> bool:
        """There is no handshake above TCP or TLS."""
        return True

    @property
    def is_partial(self) -> bool:
        """True while a message has begun and is not whole."""
        return self._framer.pending > 0

    @property
    def is_over(self) -> bool:
        """True when the stream cannot be cut into messages any more."""
        return self._is_broken

    def receive(self, data: bytes) -> list[bytes | Signal]:
        """Whole messages and signals."""
        if self._is_broken:
            return []
        try:
            return [self._classify(frame) for frame in self._framer.feed(data)]
        except FramingError as error:
            log.debug("the peer broke the framing: %s", error)
            self._is_broken = True
            # The head that broke it goes up as it is: the stack answers it with 400 where it can.
            return [self._classify(frame) for frame in (*error.frames, error.data) if frame]

    def unfinished(self) -> bytes:
        """What has come of a message that is not whole."""
        return self._framer.unfinished()

    def _classify(self, frame: Frame) -> bytes | Signal:
        if isinstance(frame, bytes):
            return frame
        if frame is Ping.PONG:
            return Signal.PONG
        self._pongs += 1
        return Signal.PING

    def output(self) -> bytes:
        """One CRLF for each ping."""
        pongs, self._pongs = self._pongs, 0
        return b"\r\n" * pongs

    def wrap(self, message: bytes) -> bytes:
        """A message as it is."""
        return message

    def ping(self) -> bytes:
        """The double CRLF."""
        self._framer.expect_pong()
        return b"\r\n\r\n"

    def farewell(self) -> bytes:
        """Closing says it all."""
        return b""
