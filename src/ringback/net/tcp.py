# SPDX-License-Identifier: Apache-2.0
"""How do SIP messages stand in a TCP or TLS stream? One after another (RFC 3261 18.3), CRLFs between them (RFC 5626)."""

from ringback.net.framing import Signal
from ringback.sip.message.framing import Ping, StreamFramer


class TcpFraming:
    """Messages end where their Content-Length says; CRLFCRLF is a ping, CRLF its answer (RFC 5626 4.4.1)."""

    answers_pings = False

    def __init__(self, message_size: int) -> None:
        self._framer = StreamFramer(message_size)
        self._pongs = 0

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
        """Nothing in the stream itself ends it."""
        return False

    def receive(self, data: bytes) -> list[bytes | Signal]:
        """Whole messages and signals."""
        found: list[bytes | Signal] = []
        for frame in self._framer.feed(data):
            if frame is Ping.PING:
                self._pongs += 1
                found.append(Signal.PING)
            elif frame is Ping.PONG:
                found.append(Signal.PONG)
            else:
                found.append(frame)
        return found

    def output(self) -> bytes:
        """One CRLF for each ping."""
        pongs, self._pongs = self._pongs, 0
        return b"\r\n" * pongs

    def wrap(self, message: bytes) -> bytes:
        """A message as it is."""
        return message

    def ping(self) -> bytes:
        """The double CRLF."""
        return b"\r\n\r\n"
