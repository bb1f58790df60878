# SPDX-License-Identifier: Apache-2.0
"""What happens on one TCP, TLS or WebSocket connection? Messages, pings, and how patient we are."""

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from ringback.net.framing import Framing, Signal
from ringback.net.limits import TransportLimits
from ringback.net.network import Stream, StreamReader
from ringback.sip.flow import Flow

log = logging.getLogger("ringback.net")

NEVER = float("inf")
UNFINISHED = "a message that does not end"


class ConnectionOwner(Protocol):
    """Who is told what happens on a connection: the driver."""

    def messages_received(self, connection: "Connection", messages: Sequence[bytes]) -> None: ...
    def connection_ended(self, connection: "Connection", detail: str) -> None: ...


class Connection:
    """One connection; the `StreamReader` of its stream.

    `is_ours`: we opened it, so we ping (RFC 5626 4.4.1); else the peer must prove itself in time.
    """

    def __init__(
        self,
        stream: Stream,
        framing: Framing,
        flow: Flow,
        *,
        is_ours: bool,
        owner: ConnectionOwner,
        limits: TransportLimits,
        chance: random.Random,
    ) -> None:
        self.flow = flow
        self.is_ours = is_ours
        self.is_trusted = False
        self.server_name: str | None = None
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._stream = stream
        self._framing = framing
        self._owner = owner
        self._limits = limits
        self._write_queue = limits.write_queue
        self._is_ready = False
        self._chance = chance
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._detail = ""
        self._opened = self._active = self._last_byte = self._loop.time()
        self._partial_since: float | None = None
        self._has_spoken = is_ours
        self._next_ping = self._opened + self._ping_interval() if is_ours else NEVER
        self._pong_due = NEVER
        self._ponged = framing.answers_pings

    def start(self) -> None:
        """Begin to read."""
        self._flush()
        self._note_ready()
        self._arm()
        self._stream.set_reader(self)

    @property
    def is_open(self) -> bool:
        """True while messages can be sent."""
        return not self._detail and self._framing.is_ready

    def send(self, message: bytes) -> bool:
        """Queue a message; False when the connection is of no use any more."""
        if self._detail or not self._framing.is_ready:
            return False
        return self._write(self._framing.wrap(message))

    def after_turn(self, callback: Callable[[], None]) -> None:
        """Call back when everything that is ready has been read."""
        self._stream.after_turn(callback)

    def trust(self) -> None:
        """A registered phone or a known server: it may be silent as long as it likes."""
        self.is_trusted = True

    def close(self, detail: str = "closed by us") -> None:
        """Send what waits, say goodbye, end."""
        if not self._detail:
            self._detail = detail
            self._write(self._framing.farewell())
            self._stream.close()

    def abort(self, detail: str) -> None:
        """End at once."""
        if not self.ended.done():
            self._detail = self._detail or detail
            self._stream.abort()

    def hand_over(self, reader: StreamReader) -> None:
        """What comes here is not for us: `reader` reads on, and calls our `connection_lost` in the end."""
        if self._timer is not None:
            self._timer.cancel()
        self._partial_since = None
        self._stream.set_reader(reader)

    # --- StreamReader ---

    def data_received(self, data: bytes) -> None:
        """Bytes came: whole messages go to the owner."""
        if self._detail:
            return
        if not data:
            self._end_of_stream()
            return
        now = self._loop.time()
        self._last_byte = now
        framing = self._framing
        found = framing.receive(data)
        if found:
            self._take(found, now)
        answer = framing.output()
        if answer:
            self._write(answer)
        if not self._is_ready:
            self._note_ready()
        if framing.is_over:
            self._close_after_turn("the peer left the protocol")
        if framing.is_partial or self._partial_since is not None:
            self._note_partial(now, progressed=bool(found))

    def connection_lost(self, detail: str) -> None:
        """The stream is over."""
        detail = self._detail = self._detail or detail
        if self._timer is not None:
            self._timer.cancel()
        if not self.ready.done():
            self.ready.set_result(None)
        self.ended.set_result(detail)
        self._owner.connection_ended(self, detail)

    # --- inside ---

    def _take(self, found: list[bytes | Signal], now: float) -> None:
        """All messages of one read go up together."""
        messages: list[bytes] = []
        for item in found:
            if isinstance(item, bytes):
                messages.append(item)
            elif item is Signal.PONG:
                self._pong_due = NEVER
                self._ponged = True
            else:
                self._active = now
        if messages:
            self._active = now
            self._has_spoken = True
            self._owner.messages_received(self, messages)

    def _end_of_stream(self) -> None:
        """Nothing can follow, so what is unfinished is all there is: it may still deserve an answer."""
        unfinished = self._framing.unfinished()
        if unfinished:
            self._owner.messages_received(self, (unfinished,))
        self._flush()
        self._close_after_turn("closed by the peer")

    def _close_after_turn(self, detail: str) -> None:
        """What has come on it may still be waiting to be handed over, and deserves its answers."""
        self._stream.after_turn(partial(self.close, detail))

    def _flush(self) -> None:
        self._write(self._framing.output())

    def _write(self, data: bytes) -> bool:
        """False when too much waits already, be it messages or answers to pings."""
        stream = self._stream
        if data:
            stream.write(data)
            if stream.queued > self._write_queue:
                self.abort(f"the peer does not read: {stream.queued} bytes wait")
                return False
        return True

    def _note_ready(self) -> None:
        if not self._is_ready and self._framing.is_ready:
            self._is_ready = True
            self.ready.set_result(None)

    def _note_partial(self, now: float, *, progressed: bool) -> None:
        """Start, go on with, or forget the clock of an unfinished message."""
        if not self._framing.is_partial:
            self._partial_since = None
            return
        if self._partial_since is None or progressed:
            self._partial_since = now
        self._arm()

    # --- patience ---

    def _deadlines(self) -> list[tuple[float, str]]:
        """When we lose patience, and with what."""
        limits = self._limits
        deadlines = [(self._pong_due, "no answer to our ping")]
        if not self._has_spoken:
            deadlines.append((self._opened + limits.first_message, "no message in time"))
        if not self.is_trusted:
            patience = limits.idle_ours if self.is_ours else limits.idle
            deadlines.append((self._active + patience, "idle"))
        if self._partial_since is not None:
            deadlines.append((self._last_byte + limits.progress, UNFINISHED))
            deadlines.append((self._partial_since + limits.message, UNFINISHED))
        return deadlines

    def _arm(self) -> None:
        """One timer, at the earliest deadline; it is moved only to an earlier time, else it checks again."""
        when = min(self._next_ping, *(deadline for deadline, _why in self._deadlines()))
        if when == NEVER or self.ended.done():
            return
        if self._timer is not None and not self._timer.cancelled() and self._timer.when() <= when:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self._check, when)

    def _check(self, scheduled: float) -> None:
        self._timer = None
        now = max(self._loop.time(), scheduled)  # the loop may wake a hair early
        for deadline, why in self._deadlines():
            if deadline <= now:
                self._lose_patience(why)
                return
        if self._next_ping <= now:
            self._ping(now)
        self._arm()

    def _lose_patience(self, why: str) -> None:
        """A message that is too short for its Content-Length deserves its 400 before we hang up."""
        log.debug("closing %s: %s", self.flow, why)
        unfinished = self._framing.unfinished() if why is UNFINISHED else b""
        if unfinished:
            self._owner.messages_received(self, (unfinished,))
            self._close_after_turn(why)
        else:
            self.abort(why)

    def _ping(self, now: float) -> None:
        """RFC 5626 4.4.1. A peer that never answered one may not know pings: then TCP must notice its end."""
        self._write(self._framing.ping())
        self._next_ping = now + self._ping_interval()
        if self._ponged:
            self._pong_due = now + self._limits.pong

    def _ping_interval(self) -> float:
        return self._chance.uniform(0.8, 1.0) * self._limits.keep_alive
