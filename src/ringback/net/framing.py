# SPDX-License-Identifier: Apache-2.0
"""What must a connection know about the protocol it carries? How messages begin and end, and how to ping."""

from enum import Enum
from typing import Protocol


class Signal(Enum):
    """What the peer said apart from messages."""

    #: The peer asked whether we are here; the framing answered.
    PING = "ping"
    #: The peer answered our ping.
    PONG = "pong"


class Framing(Protocol):
    """The messages of one connection, in both directions. No I/O, no time."""

    #: True when the peer must answer pings (WebSocket); else a silent peer may just not know them.
    answers_pings: bool

    @property
    def is_ready(self) -> bool:
        """True when messages may be sent (a WebSocket handshake is over)."""
        ...

    @property
    def is_partial(self) -> bool:
        """True while a message has begun and is not whole."""
        ...

    @property
    def is_over(self) -> bool:
        """True when nothing more can be read: to be closed after `output` is sent."""
        ...

    def receive(self, data: bytes) -> list[bytes | Signal]:
        """Whole messages and signals. Never raises: what breaks the protocol ends in `is_over`."""
        ...

    def unfinished(self) -> bytes:
        """What has come of a message that is not whole: it may still deserve an answer."""
        ...

    def output(self) -> bytes:
        """What the protocol itself has to say: handshakes, answers to pings, farewells."""
        ...

    def wrap(self, message: bytes) -> bytes:
        """A message as it goes over the wire."""
        ...

    def ping(self) -> bytes:
        """A question whether the peer is still here."""
        ...

    def farewell(self) -> bytes:
        """What is said before we close the connection."""
        ...
