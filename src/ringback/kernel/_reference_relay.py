# SPDX-License-Identifier: Apache-2.0
"""How does RTP get from one socket to another without being decoded? Checked, counted, renumbered, sent.

A `RelayPath` is one way of one stream; a `RelayBoard` is all paths of a loop, behind one poller. What comes
from the expected source and is RTP (RFC 3550 section 5.1) goes on at once. Everything else is given back, in
bounded number: reports, connectivity checks and handshakes on a shared port (RFC 7983), what strangers send.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ringback.kernel._reference_datagrams import LARGEST_DATAGRAM, MAX_BATCH, Remote, Socket, _is_sendable

#: What a turn gives back: a datagram that is not for the relay, a copy of a telephone event that was passed
#: on, a packet of a path that has no way out of its own (counted and renumbered).
STRAY, EVENT, UNSENT = 0, 1, 2

#: A telephone event that is longer is passed on, but not told of.
LONGEST_EVENT = 256
#: Sources of one path whose packets are sealed here. libsrtp remembers each that it met, so that their
#: number must have a limit; packets of more of them are given back, as if there were no way out.
MOST_SEALED = 64
#: Ready sockets in one turn. More of them come with the next.
AT_ONCE = 256
#: Sources (SSRCs) of one path that are told apart: a call has one or two, video with repair three.
MOST_SOURCES = 8
#: RFC 3550 appendix A.1.
MAXIMUM_DROPOUT, MAXIMUM_MISORDER = 3_000, 100

_CIRCLE = 1 << 16
_SECOND = 1_000_000_000
_HIGHEST_RATE = 1_000_000
_PADDING, _EXTENSION = 0x20, 0x10

Given = tuple["RelayPath", int, bytes, Remote | None]


class Poller(Protocol):
    """What is asked of `select.epoll`. The compiled twin waits on its descriptor itself."""

    def fileno(self) -> int: ...
    def register(self, number: int, events: int, /) -> None: ...
    def unregister(self, number: int, /) -> None: ...
    def poll(self, timeout: float, most: int, /) -> list[tuple[int, int]]: ...


class Cipher(Protocol):
    """SRTP, one direction of one session. The compiled twin calls libsrtp itself, in the buffer.

    `function` and `session` are the addresses of `srtp_protect` or `srtp_unprotect` and of what it works on;
    they are good as long as this object is.
    """

    @property
    def function(self) -> int: ...
    @property
    def session(self) -> int: ...
    def __call__(self, packet: bytes, /) -> bytes | None: ...


@dataclass(slots=True)
class _Source:
    """Loss and jitter of one SSRC: RFC 3550 appendices A.1, A.3 and A.8, the jitter in sixteenths."""

    ssrc: int
    base: int
    highest: int
    cycles: int = 0
    received: int = 1
    bad: int = _CIRCLE + 1
    lost_before: int = 0
    jitter: int = 0
    transit: int = 0
    rate: int = 0
    last_at: int = 0

    @property
    def lost(self) -> int:
        """Packets that never came; duplicates make up for some."""
        return self.lost_before + max(0, self.cycles + self.highest - self.base + 1 - self.received)

    def count(self, sequence: int) -> None:
        step = (sequence - self.highest) % _CIRCLE
        if step < MAXIMUM_DROPOUT:
            if sequence < self.highest:
                self.cycles += _CIRCLE
            self.highest = sequence
        elif step <= _CIRCLE - MAXIMUM_MISORDER:
            if sequence != self.bad:
                self.bad = (sequence + 1) % _CIRCLE
                return
            self.lost_before = self.lost
            self.base = self.highest = sequence
            self.cycles = self.received = self.rate = 0
            self.bad = _CIRCLE + 1
        self.received += 1

    def measure(self, timestamp: int, rate: int, now: int) -> None:
        arrival = now // _SECOND * rate + now % _SECOND * rate // _SECOND
        transit = (arrival - timestamp) & 0xFFFFFFFF
        if self.rate == rate:
            moved = (transit - self.transit) & 0xFFFFFFFF
            self.jitter += min(moved, (1 << 32) - moved) - ((self.jitter + 8) >> 4)
        self.transit, self.rate = transit, rate


class RelayPath:
    """One way: what one socket receives from one source goes out of another socket.

    `packets` and `octets` count RTP of the expected source, `sent` and `sent_octets` what was passed on, as
    it was before it was sealed. Why something was dropped: `refused` came from others, or was not authentic,
    and was not given back; `malformed` is no RTP; `unmapped` are payload types that were not agreed on;
    `excess` is past `limit` a second (0: no limit); `errors` were not taken by the system. Times are
    nanoseconds of a clock that never goes back.
    """

    def __init__(self) -> None:
        self.limit = 0
        self.packets = self.octets = self.sent = self.sent_octets = 0
        self.refused = self.malformed = self.unmapped = self.excess = self.errors = 0
        self.last_at = 0
        self._outgoing: Socket | None = None
        self._destination: Remote | None = None
        self._source: Remote | None = None
        self._strays = MAX_BATCH
        self._types: Mapping[int, int] = {}
        self._rates: Mapping[int, int] = {}
        self._events: Collection[int] = ()
        self._opener: Cipher | None = None
        self._sealer: Cipher | None = None
        self._sources: dict[int, _Source] = {}
        self._heard: _Source | None = None
        self._lost_before = 0
        self._met_ever = 0
        self._window, self._in_window = 0, 0

    def route(self, outgoing: Socket | None, destination: Remote | None) -> None:
        """Where packets go; without a way out they are given back. ValueError: no numeric address."""
        if destination is not None and not _is_sendable(destination):
            raise ValueError("not a numeric address and a port")
        self._outgoing = outgoing if destination is not None else None
        self._destination = destination

    def expect(self, source: Remote | None, strays: int = MAX_BATCH) -> None:
        """Whose packets are passed on, and how many of others are given back in a turn, not refused."""
        if source is not None and not _is_sendable(source):
            raise ValueError("not a numeric address and a port")
        self._source = source
        self._strays = max(0, min(strays, MAX_BATCH))

    def secure(self, opener: Cipher | None, sealer: Cipher | None) -> None:
        """What comes to the socket is SRTP, and opened; what leaves by the way out is sealed.

        Packets of sources (SSRCs) that were not heard yet are given back, as strangers' are.
        """
        self._opener, self._sealer = opener, sealer

    def translate(
        self, types: Mapping[int, int], rates: Mapping[int, int], events: Collection[int] = ()
    ) -> None:
        """Payload types as they come -> as they go on, their clock rates, and which are telephone events.

        ValueError for what is no payload type (0 to 127) or no rate (1 to a million).
        """
        numbers = (*types.keys(), *types.values(), *rates.keys(), *events)
        if not all(0 <= number < 128 for number in numbers):
            raise ValueError("not a payload type")
        if not all(1 <= rate <= _HIGHEST_RATE for rate in rates.values()):
            raise ValueError("not a clock rate")
        self._types, self._rates, self._events = dict(types), dict(rates), frozenset(events)

    def pass_on(self, packets: Sequence[bytes], now: int) -> tuple[list[bytes], list[bytes]]:
        """Pass on plain packets that are believed already: (those that cannot be sent here, events).

        They cannot be sent without a way out, or where they must be sealed.
        """
        unsent, events = [], []
        for data in packets:
            if not _is_rtp(data):
                self.malformed += 1
                continue
            passed = self._passed(data, now)
            if passed is not None:
                if self._outgoing is None or self._sealer is not None:
                    unsent.append(passed)
                else:
                    self._send(passed, len(passed))
                if data[1] & 0x7F in self._events and len(passed) <= LONGEST_EVENT:
                    events.append(passed)
        return unsent, events

    @property
    def lost(self) -> int:
        """Packets that never came, of all sources."""
        return self._lost_before + sum(source.lost for source in self._sources.values())

    @property
    def ssrc(self) -> int | None:
        """The source that was heard last."""
        return self._heard.ssrc if self._heard else None

    @property
    def jitter(self) -> float:
        """Its jitter in seconds."""
        heard = self._heard
        return (heard.jitter >> 4) / heard.rate if heard and heard.rate else 0.0

    def drain(self, incoming: Socket, now: int, given: list[Given]) -> int:
        """Read what waits, at most 64 datagrams; how many there were."""
        strays = 0
        for count in range(MAX_BATCH):
            try:
                data, name = incoming.recvfrom(LARGEST_DATAGRAM)
            except ConnectionRefusedError:
                continue  # an ICMP message about a datagram we sent earlier: no datagram for us
            except OSError:
                return count
            remote = (name[0], name[1])
            if remote == self._source and _is_for_others(data):
                given.append((self, STRAY, data, remote))
                continue
            opened = self._opened(data) if remote == self._source else None
            if opened is not None:
                self._drain_one(opened, now, given)
                continue
            strays += 1
            if strays <= self._strays:
                given.append((self, STRAY, data, remote))
            else:
                self.refused += 1
        return MAX_BATCH

    def _opened(self, data: bytes) -> bytes | None:
        """The plain packet; None for what is not authentic, or of a source that is new."""
        if self._opener is None or not _header_end(data):
            return data
        if int.from_bytes(data[8:12], "big") not in self._sources:
            return None
        return self._opener(data)

    def _drain_one(self, data: bytes, now: int, given: list[Given]) -> None:
        unsent, events = self.pass_on((data,), now)
        for each in unsent:
            if self._outgoing is None or self._sealer is None or self._met_ever > MOST_SEALED:
                given.append((self, UNSENT, each, None))
                continue
            sealed = self._sealer(each)
            if sealed is None:
                self.errors += 1
            else:
                self._send(sealed, len(each))
        given += [(self, EVENT, each, None) for each in events]

    def _passed(self, data: bytes, now: int) -> bytes | None:
        """The packet as it goes on, if it does."""
        if self._is_excess(now):
            return None
        number = data[1] & 0x7F
        self.packets += 1
        self.octets += len(data)
        self.last_at = now
        self._count(data, number, now)
        wanted = self._types.get(number)
        if wanted is None:
            self.unmapped += 1
            return None
        if wanted != number:
            data = b"%c%c%b" % (data[0], data[1] & 0x80 | wanted, data[2:])
        return data

    def _is_excess(self, now: int) -> bool:
        if now - self._window >= _SECOND:
            self._window, self._in_window = now, 0
        self._in_window += 1
        if self.limit and self._in_window > self.limit:
            self.excess += 1
            return True
        return False

    def _count(self, data: bytes, number: int, now: int) -> None:
        ssrc = int.from_bytes(data[8:12], "big")
        sequence = int.from_bytes(data[2:4], "big")
        source = self._sources.get(ssrc)
        if source is None:
            source = self._met(ssrc, sequence)
        else:
            source.count(sequence)
        # The packets of a key press share a timestamp: they say nothing about jitter (RFC 4733 section 2.2).
        if number not in self._events:
            source.measure(int.from_bytes(data[4:8], "big"), self._rates.get(number, 8_000), now)
        source.last_at = now
        self._heard = source

    def _met(self, ssrc: int, sequence: int) -> _Source:
        """A new source; the one that was silent for longest makes room."""
        if len(self._sources) >= MOST_SOURCES:
            oldest = min(self._sources.values(), key=lambda source: source.last_at)
            self._lost_before += oldest.lost
            # In its place, so that the order is that of the compiled twin's table.
            self._sources = {
                (ssrc if source is oldest else source.ssrc): source for source in self._sources.values()
            }
        source = self._sources[ssrc] = _Source(ssrc, sequence, sequence)
        self._met_ever += 1
        return source

    def _send(self, data: bytes, plain_size: int) -> None:
        assert self._outgoing is not None
        assert self._destination is not None
        try:
            try:
                self._outgoing.sendto(data, self._destination)
            except ConnectionRefusedError:
                # That error was about an earlier datagram; this one was not sent.
                self._outgoing.sendto(data, self._destination)
        except OSError:
            self.errors += 1
            return
        self.sent += 1
        self.sent_octets += plain_size


class RelayBoard:
    """All paths of a loop. A `turn` serves the sockets that are ready; `datagrams` says how many it read."""

    def __init__(self, poller: Poller) -> None:
        self._poller = poller
        self._paths: dict[int, tuple[Socket, RelayPath]] = {}
        self.datagrams = 0

    def __len__(self) -> int:
        return len(self._paths)

    def watch(self, incoming: Socket, path: RelayPath) -> None:
        """Let the path have what comes to a socket. ValueError when either is watched already."""
        number = incoming.fileno()
        if number in self._paths or any(each is path for _, each in self._paths.values()):
            raise ValueError("watched already")
        self._poller.register(number, 1)
        self._paths[number] = incoming, path

    def forget(self, path: RelayPath) -> None:
        """No more; to be called before the socket is closed."""
        for number, (_, each) in self._paths.items():
            if each is path:
                del self._paths[number]
                self._poller.unregister(number)
                return

    def pulse(self, _period: int) -> int:
        """A descriptor that can be read each `period` nanoseconds from now on, until the next turn; 0: never.

        -1 where there is no such thing. It belongs to the board.
        """
        return -1

    def turn(self, now: int) -> list[Given]:
        """Serve who is ready, and give back what is not for the relay."""
        given: list[Given] = []
        self.datagrams = 0
        for number, _ in self._poller.poll(0, AT_ONCE):
            if number in self._paths:
                incoming, path = self._paths[number]
                self.datagrams += path.drain(incoming, now, given)
        return given


def _is_for_others(data: bytes) -> bool:
    """True for STUN, DTLS (RFC 7983 section 7) and RTCP (RFC 5761 section 4)."""
    if len(data) < 8:
        return False
    return data[0] < 4 or 20 <= data[0] < 64 or (data[0] >> 6 == 2 and 192 <= data[1] <= 223)


def _header_end(data: bytes) -> int:
    """Where the payload begins; 0 if this is no RTP, or if its header is longer than it (RFC 3550 5.1)."""
    size = len(data)
    if size < 12 or data[0] >> 6 != 2 or 192 <= data[1] <= 223:
        return 0
    end = 12 + 4 * (data[0] & 0x0F)
    if data[0] & _EXTENSION:
        if size < end + 4:
            return 0
        end += 4 + 4 * int.from_bytes(data[end + 2 : end + 4], "big")
    return end if end <= size else 0


def _is_rtp(data: bytes) -> bool:
    """The checks of RFC 3550 appendix A.1: what the header speaks of must be there."""
    end = _header_end(data)
    return end > 0 and (not data[0] & _PADDING or 0 < data[-1] <= len(data) - end)
