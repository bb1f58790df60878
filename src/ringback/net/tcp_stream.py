# SPDX-License-Identifier: Apache-2.0
"""How does one TCP connection carry bytes? A non-blocking socket of our own, watched by a `Poller`."""

import asyncio
import contextlib
import socket
from collections.abc import Callable

from ringback.net.network import StreamReader
from ringback.net.poller import LARGEST_READ, READ, WRITE, Poller
from ringback.sip.flow import Address

#: So much written does not wait for the end of the turn.
SOON = 16_384
#: A connection closed by us is given so long to take what was written to it.
FAREWELL = 15.0
#: Who is still talking when we hang up is given so long to hear our last words.
LINGER = 1.0


class TcpStream:
    """One connected socket; a `ringback.net.network.Stream`. Reading starts when a reader is set.

    `released` is called once, when the connection is over, whoever ended it.
    """

    __slots__ = (
        "_arrived",
        "_backlog",
        "_interest",
        "_is_closing",
        "_is_lingering",
        "_is_over",
        "_lost",
        "_number",
        "_pieces",
        "_poller",
        "_reader",
        "_receive",
        "_released",
        "_send",
        "_socket",
        "_timer",
        "drained",
        "local",
        "queued",
        "remote",
    )

    def __init__(
        self, sock: socket.socket, poller: Poller, remote: Address, released: Callable[[], None] | None = None
    ) -> None:
        name = sock.getsockname()
        #: Our end, the peer's end.
        self.local = Address(name[0], name[1])
        self.remote = remote
        #: Bytes written and not yet taken by the kernel.
        self.queued = 0
        #: Called when the kernel has taken what it had no room for.
        self.drained: Callable[[], None] | None = None
        self._socket = sock
        self._number = sock.fileno()
        self._receive = sock.recv
        self._send = sock.send
        self._poller = poller
        self._released = released
        self._reader: StreamReader | None = None
        self._arrived: Callable[[bytes], bool | None] = _nobody_listens
        self._pieces: list[bytes] = []  # written in this turn
        self._backlog = b""  # what the kernel had no room for
        self._interest = 0
        self._is_closing = False
        self._is_lingering = False
        self._is_over = False
        self._lost: str | None = None
        self._timer: asyncio.TimerHandle | None = None

    # --- Stream ---

    def set_reader(self, reader: StreamReader) -> None:
        """Deliver data and the end of the connection to `reader` from now on."""
        self._reader = reader
        self._arrived = reader.data_received
        if self._lost is not None:
            reader.connection_lost(self._lost)
        elif not self._is_closing:
            self._attend(self._interest | READ)

    def pause(self) -> None:
        """Read nothing until `resume`."""
        self._attend(self._interest & ~READ)

    def resume(self) -> None:
        """Read again."""
        if not self._is_closing and self._reader is not None:
            self._attend(self._interest | READ)

    def write(self, data: bytes) -> None:
        """Queue data for the peer; after the end of the connection it is dropped."""
        if self._is_closing:
            return
        pieces = self._pieces
        if not pieces and not self._backlog:
            self._poller.note_written(self)
        pieces.append(data)
        self.queued += len(data)
        if self.queued > SOON and not self._backlog:
            self.flush()

    def after_turn(self, callback: Callable[[], None]) -> None:
        """Call back when all streams that are ready have been read; at once where nothing is read."""
        self._poller.after_turn(callback)

    def close(self) -> None:
        """Send what is queued, then end the connection."""
        if self._is_closing:
            return
        self._is_closing = True
        self._push(self._taken() + self._last_words())
        if self._backlog:
            self._attend(WRITE)
            self._end_in(FAREWELL, "the peer does not read")
        else:
            self._hang_up()

    def abort(self) -> None:
        """End the connection at once."""
        self._end("aborted")

    # --- Watched ---

    def ready(self, events: int, share: int) -> None:
        """Bytes came, or there is room for more, or the connection is gone."""
        if events & WRITE:
            if self._backlog:
                self._go_on()
            if events == WRITE:
                return
        if self._is_closing and not self._is_lingering:
            if events & ~(READ | WRITE):
                self._end("the peer is gone")
            return
        try:
            data = self._receive(share)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._end(str(error))
            return
        if data:
            self._arrived(data)
        else:
            self._end_of_stream()

    def flush(self) -> None:
        """Send everything written since the last time in one piece."""
        if self._pieces and not self._backlog:
            self._push(self._taken())

    # --- what TLS does otherwise ---

    def _sealed(self, data: bytes) -> bytes:
        """What goes over the wire for `data`. Raises `OSError`."""
        return data

    def _last_words(self) -> bytes:
        """What the transport itself says at the end."""
        return b""

    def _report(self, detail: str) -> None:
        """The connection is over: tell who must know."""
        if self._reader is not None:
            self._reader.connection_lost(detail)

    # --- inside ---

    def _end_of_stream(self) -> None:
        """The peer sends no more; what its last words deserve still goes out."""
        if self._is_lingering:
            self._end("closed")
            return
        if self._reader is not None and not self._is_closing:
            self._attend(self._interest & ~READ)
            if self._reader.data_received(b""):
                return
        self._poller.after_turn(self.close)

    def _taken(self) -> bytes:
        """What was written, ready for the wire."""
        pieces = self._pieces
        if not pieces:
            return b""
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self.queued -= len(data)
        try:
            return self._sealed(data)
        except OSError as error:
            self._end(str(error))
            return b""

    def _push(self, wire: bytes) -> None:
        """Send now, behind what waits already; the rest waits for room."""
        if not wire or self._is_over:
            return
        if self._backlog:
            self._backlog += wire
            self.queued += len(wire)
            return
        try:
            sent = self._send(wire)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError as error:
            self._end(str(error))
            return
        if sent < len(wire):
            self._backlog = wire[sent:]
            self.queued += len(self._backlog)
            self._attend(self._interest | WRITE)

    def _go_on(self) -> None:
        """The kernel has room again."""
        wire, self._backlog = self._backlog, b""
        self.queued -= len(wire)
        self._push(wire)
        if not self._backlog:
            self._push(self._taken())
        if self._backlog or self._is_over:
            return
        if self._is_closing:
            self._hang_up()
        else:
            self._attend(self._interest & ~WRITE)
            if self.drained is not None:
                self.drained()

    def _attend(self, events: int) -> None:
        """What the poller shall wake us for."""
        if events == self._interest or self._is_over:
            return
        if not events:
            self._poller.forget(self._number)
        elif self._interest:
            self._poller.change(self._number, events)
        else:
            self._poller.watch(self._number, self, events)
        self._interest = events

    def _hang_up(self) -> None:
        """All is said. What is not read makes the kernel send a reset, and the peer may lose our words."""
        try:
            is_talking = bool(self._receive(LARGEST_READ))
        except OSError:
            is_talking = False
        if not is_talking:
            self._end("closed")
            return
        self._is_lingering = True
        self._arrived = _nobody_listens
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
        self._attend(READ)
        self._end_in(LINGER, "closed")

    def _end_in(self, seconds: float, detail: str) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._end, detail)

    def _end(self, detail: str) -> None:
        """Close the socket; the reader learns of it a moment later, never from inside of its own call."""
        if self._is_over:
            return
        self._attend(0)
        self._is_closing = self._is_over = True
        self._socket.close()
        self._pieces.clear()
        self._backlog = b""
        self.queued = 0
        if self._timer is not None:
            self._timer.cancel()
        asyncio.get_running_loop().call_soon(self._lose, detail or "closed")

    def _lose(self, detail: str) -> None:
        self._lost = detail
        if self._released is not None:
            self._released()
        self._report(detail)


def _nobody_listens(_data: bytes) -> None:
    """Before there is a reader, and after the last word."""
