# SPDX-License-Identifier: Apache-2.0
"""When are the sockets of all relays served? In turns, all that are ready at once, a good millisecond apart.

One epoll watches all sockets and is itself watched by the asyncio loop. As long as few packets come, each is
served as it comes. Once there are so many that turns would follow each other at once, the board stops to wait
for readiness and looks at each pulse of a timer instead: a wake-up costs as much as several packets.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from typing import Protocol
from weakref import WeakKeyDictionary

from ringback.kernel import EVENT, STRAY, UNSENT, RelayBoard, RelayPath
from ringback.net.poller import MAKE_SELECTOR
from ringback.sip.flow import Address

log = logging.getLogger("ringback.media")

#: From turn to turn while packets are collected. A packet waits for half of it, in the middle. A turn that
#: finds many takes longer, and its wake-up hardly counts: then the shorter one. So the delay stays below 2 ms
#: for 99 % of the packets (measured: 1.6 with 200 streams and with 400, of which 0.2 are the generator's).
COLLECTING_SECONDS, COLLECTING_SECONDS_WHEN_BUSY = 0.0015, 0.001
#: Whether to collect is thought over each time after so many turns,
TURNS_TO_JUDGE = 64
#: and given up when they found fewer datagrams than this, each.
WORTH_COLLECTING = 1.5
#: From here on it is busy, until there are fewer than the second.
BUSY, NOT_BUSY = 20, 12
#: How often each relay looks, in case nobody said that its session was negotiated anew; not all at once.
SECONDS_TO_FOLLOW, PARTS = 1.0, 20

_NANOSECONDS = 1_000_000_000


Given = tuple[RelayPath, int, bytes, tuple[str, int] | None]


class Watcher(Protocol):
    """What a board calls for one path: what came that is not for the relay, and what is left to do."""

    def take_strays(self, datagrams: list[tuple[bytes, Address]], /) -> None:
        """Not RTP, or not of the source that is expected."""
        ...

    def take_events(self, packets: list[bytes], /) -> None:
        """Copies of telephone events that were passed on."""
        ...

    def take_unsent(self, packets: list[bytes], /) -> None:
        """Packets of a path without a way out of its own."""
        ...


class Follower(Protocol):
    """Who looks now and then whether the peers are still where they were."""

    def follow(self) -> None: ...


class Switchboard:
    """All paths and relays of one loop. It is open while it has any."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._poller = MAKE_SELECTOR()
        self._board = RelayBoard(self._poller)
        self._watchers: dict[RelayPath, Watcher] = {}
        self._followers: dict[Follower, None] = {}
        self._part = 0
        self._following = self._loop.call_later(SECONDS_TO_FOLLOW / PARTS, self._follow)
        self._turns = self._datagrams = 0
        self._judged_at = self._loop.time()
        #: How far turns are apart; 0 while packets are not collected.
        self.period = 0.0
        self._pulse = self._board.pulse(0)
        if self._pulse >= 0:
            self._loop.add_reader(self._pulse, self._turn)
        self._loop.add_reader(self._poller.fileno(), self._turn)

    def watch(self, incoming: socket.socket, path: RelayPath, watcher: Watcher) -> None:
        """Let `path` have what comes to a socket."""
        self._board.watch(incoming, path)
        self._watchers[path] = watcher

    def forget(self, path: RelayPath) -> None:
        """No more; to be called before the socket is closed."""
        if self._watchers.pop(path, None) is not None:
            with contextlib.suppress(OSError):  # closed all the same
                self._board.forget(path)

    def add(self, follower: Follower) -> None:
        """Remind it to look, every second."""
        self._followers[follower] = None

    def remove(self, follower: Follower) -> None:
        """No more; its paths are forgotten already."""
        self._followers.pop(follower, None)
        if not self._followers:
            self._close()

    @property
    def now(self) -> int:
        """The loop's time in nanoseconds."""
        return int(self._loop.time() * _NANOSECONDS)

    def _turn(self) -> None:
        given = self._board.turn(self.now)
        if given:
            self._hand_out(given)
        self._turns += 1
        self._datagrams += self._board.datagrams
        if self._turns >= TURNS_TO_JUDGE and self._followers:
            self._judge()

    def _hand_out(self, given: list[Given]) -> None:
        """To each what is its own, in one piece."""
        shares: dict[RelayPath, list[Given]] = {}
        for each in given:
            shares.setdefault(each[0], []).append(each)
        for path, share in shares.items():
            watcher = self._watchers.get(path)
            if watcher is None:
                continue  # what another one was told has ended it
            try:
                _hand_to(watcher, share)
            except Exception:  # a bug that one peer has found must not stop the others
                log.exception("our own code failed on what came to a relay")

    def _judge(self) -> None:
        """Collect when turns follow each other fast; no more when they find little."""
        now, each = self._loop.time(), self._datagrams / self._turns
        if not self.period:
            if self._pulse >= 0 and now - self._judged_at < COLLECTING_SECONDS * self._turns / 2:
                self._loop.remove_reader(self._poller.fileno())
                self._beat(COLLECTING_SECONDS)
        elif each < WORTH_COLLECTING:
            self._beat(0.0)
            self._loop.add_reader(self._poller.fileno(), self._turn)
        elif each >= BUSY:
            self._beat(COLLECTING_SECONDS_WHEN_BUSY)
        elif each < NOT_BUSY:
            self._beat(COLLECTING_SECONDS)
        self._turns = self._datagrams = 0
        self._judged_at = now

    def _beat(self, period: float) -> None:
        if period != self.period:
            self.period = period
            self._board.pulse(int(period * _NANOSECONDS))

    def _follow(self) -> None:
        self._following = self._loop.call_later(SECONDS_TO_FOLLOW / PARTS, self._follow)
        self._part = (self._part + 1) % PARTS
        for follower in list(self._followers)[self._part :: PARTS]:
            try:
                follower.follow()
            except Exception:
                log.exception("our own code failed on a relay")

    def _close(self) -> None:
        self._following.cancel()
        if self._pulse >= 0:
            self._loop.remove_reader(self._pulse)
        self._loop.remove_reader(self._poller.fileno())
        self._poller.close()
        if _boards.get(self._loop) is self:
            del _boards[self._loop]


def _hand_to(watcher: Watcher, share: list[Given]) -> None:
    strays = [(data, Address(*remote)) for _, kind, data, remote in share if kind == STRAY and remote]
    if strays:
        watcher.take_strays(strays)
    unsent = [data for _, kind, data, _ in share if kind == UNSENT]
    if unsent:
        watcher.take_unsent(unsent)
    events = [data for _, kind, data, _ in share if kind == EVENT]
    if events:
        watcher.take_events(events)


_boards: WeakKeyDictionary[asyncio.AbstractEventLoop, Switchboard] = WeakKeyDictionary()


def switchboard() -> Switchboard:
    """The one of the running loop."""
    loop = asyncio.get_running_loop()
    found = _boards.get(loop)
    if found is None:
        found = _boards[loop] = Switchboard()
    return found
