# SPDX-License-Identifier: Apache-2.0
"""How do SIP messages stand in a TCP or TLS stream? One after another (RFC 3261 18.3)."""

import logging

from ringback.net.framing import Signal
from ringback.sip.message.framing import Frame, FramingError, Ping, StreamFramer

log = logging.getLogger("ringback.net")


class TcpFraming:
    """Messages end where their Content-Length says; CRLFCRLF is a ping, CRLF its answer (RFC 5626 4.4.1)."""

    answers_pings = False
    #: There is no handshake above TCP or TLS.
    is_ready = True

    def __init__(self, message_size: int) -> None:
        self._framer = StreamFramer(message_size)
        self._pongs = 0
        #: True when the stream cannot be cut into messages any more.
        self.is_over = False
        #: True while a message has begun and is not whole.
        self.is_partial = False

    def receive(self, data: bytes) -> list[bytes | Signal]:
        """Whole messages and signals."""
        if self.is_over:
            return []
        try:
            frames = self._framer.feed(data)
        except FramingError as error:
            self.is_partial = False
            log.debug("the peer broke the framing: %s", error)
            self.is_over = True
            # The head that broke it goes up as it is: the stack answers it with 400 where it can.
            return self._classified([*error.frames, error.data] if error.data else error.frames)

        self.is_partial = self._framer.pending > 0
        return self._classified(frames)

    def unfinished(self) -> bytes:
        """What has come of a message that is not whole."""
        return self._framer.unfinished()

    def _classified(self, frames: list[Frame]) -> list[bytes | Signal]:
        return [frame if isinstance(frame, bytes) else self._signal(frame) for frame in frames]

    def _signal(self, ping: Ping) -> Signal:
        if ping is Ping.PONG:
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
