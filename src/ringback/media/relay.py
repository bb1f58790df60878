# SPDX-License-Identifier: Apache-2.0
"""How do two peers hear each other through us without a packet being decoded?

    relay = Relay(a, b, {0: 0, 101: 96}, {0: 0, 96: 101}, events_ab={101}, events_ba={96})
    relay.on_key = lambda transport, key: print(key)
    relay.start()
    print(relay.numbers_ab.packets)
    relay.stop()

Packets go from socket to socket in the kernel module, which opens and seals SRTP, too. What it cannot place
comes from the transport and goes there, checked and counted by the same path: the first packet of each
source, all while keys change, all of a port that many calls share. Sequence numbers, timestamps and SSRCs
stay as they are, so that reports, which the transports' owner passes on, stay true.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple, Protocol, runtime_checkable

from ringback.kernel import RelayPath
from ringback.media.packet_path import RelayedSocket
from ringback.media.switchboard import Switchboard, switchboard
from ringback.net.network import DatagramSocket
from ringback.rtp.packet import RtpPacket
from ringback.rtp.telephone_event import TelephoneEventReceiver
from ringback.sip.errors import PeerError
from ringback.sip.flow import Address

#: Strangers' datagrams looked at in a turn: before the peer was heard, while it may still move, and when it
#: is where it said.
STRAYS_AT_FIRST, STRAYS, STRAYS_WHEN_SETTLED = 64, 16, 1
#: RELIABILITY row 43: packets a second, of sound (50 as a rule, 200 of the smallest ones), and else.
MOST_SOUND, MOST_VIDEO = 400, 6_000
_FASTEST_SOUND = 48_000

_NANOSECONDS = 1_000_000_000


class RelayTransport(Protocol):
    """What is asked of `media/transport.py`."""

    on_rtp: Callable[[list[bytes]], None]

    @property
    def destination(self) -> Address | None: ...
    def send_rtp(self, packets: list[bytes], /) -> None: ...
    def take_rtp(self, datagrams: list[tuple[bytes, Address]], /) -> None: ...
    def relayed(self) -> RelayedSocket | None: ...


@runtime_checkable
class Readable(Protocol):
    """A socket of the real network."""

    def fileno(self) -> int: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...


class RelayNumbers(NamedTuple):
    """One direction. `packets` and `bytes` came, `sent_packets` and `sent_bytes` went on.

    What came and did not go on: `unmapped` payload types, `excess` over the rate, `dropped` by the system.
    `refused` are strangers' datagrams, `malformed` what is no RTP. `last_packet_at` is the loop's time.
    """

    packets: int
    bytes: int
    sent_packets: int
    sent_bytes: int
    lost: int
    jitter_ms: float
    ssrc: int | None
    last_packet_at: float | None
    refused: int
    malformed: int
    unmapped: int
    excess: int
    dropped: int


class Relay:
    """Two transports joined from `start` to `stop`, which must come before they are closed.

    map_ab, map_ba:
        payload types as they come -> as they go on; others are dropped
    rates_ab, rates_ba:
        their clock rates, 8000 where there is none
    events_ab, events_ba:
        the ones, as they come, that are telephone events: `on_key` is told
    """

    def __init__(
        self,
        a: RelayTransport,
        b: RelayTransport,
        map_ab: Mapping[int, int],
        map_ba: Mapping[int, int],
        *,
        rates_ab: Mapping[int, int] | None = None,
        rates_ba: Mapping[int, int] | None = None,
        events_ab: Collection[int] = (),
        events_ba: Collection[int] = (),
    ) -> None:
        #: A key was pressed at the end of this transport.
        self.on_key: Callable[[RelayTransport, str], None] = _ignore_key
        self.is_running = False
        self._board: Switchboard | None = None
        one, other = _End(a), _End(b)
        self._ends = (one, other)
        self._ways = (_Way(one, other, self), _Way(other, one, self))
        self.update(
            map_ab, map_ba, rates_ab=rates_ab, rates_ba=rates_ba, events_ab=events_ab, events_ba=events_ba
        )

    def update(
        self,
        map_ab: Mapping[int, int],
        map_ba: Mapping[int, int],
        *,
        rates_ab: Mapping[int, int] | None = None,
        rates_ba: Mapping[int, int] | None = None,
        events_ab: Collection[int] = (),
        events_ba: Collection[int] = (),
    ) -> None:
        """Go on so, after the session was negotiated anew; numbers go on counting."""
        ab, ba = self._ways
        ab.translate(map_ab, rates_ab or {}, events_ab)
        ba.translate(map_ba, rates_ba or {}, events_ba)
        if self.is_running:
            self.follow()

    def start(self) -> None:
        """Packets go through from now on."""
        if not self.is_running:
            self.is_running = True
            self._board = switchboard()
            self._board.add(self)
            for end in self._ends:
                end.look()
            self._arrange()

    def stop(self) -> None:
        """And no more: they go where they went before. Twice is as good as once."""
        if self.is_running:
            self.is_running = False
            for way in self._ways:
                way.stop()
            for end in self._ends:
                end.give_back()
            if self._board is not None:
                self._board.remove(self)

    @property
    def numbers_ab(self) -> RelayNumbers:
        """What came from `a`."""
        return self._ways[0].numbers

    @property
    def numbers_ba(self) -> RelayNumbers:
        """What came from `b`."""
        return self._ways[1].numbers

    def follow(self) -> None:
        """Somebody may be somewhere else now, or have other keys: where one speaks, the other is heard."""
        for end in self._ends:
            end.look()
        if any(end.is_changed for end in self._ends):
            self._arrange()
        else:
            for way in self._ways:
                way.follow()

    def _arrange(self) -> None:
        for way in self._ways:
            way.stop()
        for end in self._ends:
            end.take_over()
        for way in self._ways:
            way.start()


class _End:
    """One transport, and a socket of our own to its port.

    A descriptor of our own: should the transport be closed too early, nobody else's socket has its number.
    """

    def __init__(self, transport: RelayTransport) -> None:
        self.transport = transport
        self.relayed: RelayedSocket | None = None
        self.socket: socket.socket | None = None
        self._socket_seen: DatagramSocket | None = None
        self._readable: Readable | None = None
        self._paused: Readable | None = None
        self._on_rtp_before: Callable[[list[bytes]], None] | None = None

    def look(self) -> None:
        """Ask the transport how things are. A simulated socket, or one that calls share, has no number."""
        self.relayed = self.transport.relayed()
        sock = self.relayed.rtp if self.relayed is not None else None
        if sock is not self._socket_seen:  # to ask whether it is readable takes 10 us
            self._socket_seen = sock
            self._readable = sock if isinstance(sock, Readable) else None

    @property
    def is_shared(self) -> bool:
        """True when its port is not ours alone."""
        return self.relayed is not None and self._readable is None

    @property
    def is_changed(self) -> bool:
        """True when its packets come from elsewhere than before."""
        return self._readable is not self._paused

    def take_over(self) -> None:
        """Its packets are ours."""
        if self._on_rtp_before is None:
            self._on_rtp_before = self.transport.on_rtp
        if self.is_changed:
            self._release()
            if self._readable is not None:
                self.socket = socket.socket(fileno=os.dup(self._readable.fileno()))
                self._readable.pause()
                self._paused = self._readable

    def give_back(self) -> None:
        """As it was before."""
        self._release()
        if self._on_rtp_before is not None:
            self.transport.on_rtp = self._on_rtp_before
            self._on_rtp_before = None

    def _release(self) -> None:
        if self._paused is not None:
            self._paused.resume()
            self._paused = None
        if self.socket is not None:
            self.socket.close()
        self.socket = None


class _Way:
    """From one end to the other."""

    def __init__(self, source: _End, target: _End, relay: Relay) -> None:
        self._source, self._target = source, target
        self._relay = relay
        self._events = TelephoneEventReceiver()
        self._path = RelayPath()
        self._board: Switchboard | None = None
        self._loop = asyncio.get_running_loop()
        self._known: tuple[object, ...] | None = None
        #: What the other transport was given to send.
        self._handed_on = self._handed_octets = 0

    def translate(self, types: Mapping[int, int], rates: Mapping[int, int], events: Collection[int]) -> None:
        self._path.translate(types, rates, events)
        is_sound = bool(rates) and max(rates.values()) <= _FASTEST_SOUND
        self._path.limit = MOST_SOUND if is_sound else MOST_VIDEO

    def start(self) -> None:
        self._known = None
        self._source.transport.on_rtp = self.take_believed
        if self._source.socket is not None and self._board is None:
            self._board = switchboard()
            self._board.watch(self._source.socket, self._path, self)
        self.follow()

    def stop(self) -> None:
        self._path.route(None, None)
        if self._board is not None:
            self._board.forget(self._path)
            self._board = None

    def follow(self) -> None:
        """The peers are where their transports say."""
        here, there = self._source.relayed, self._target.relayed
        destination = self._target.transport.destination
        known = (here, there, destination)
        if known == self._known:
            return
        self._known = known
        if here is None or here.source is None:
            self._path.expect(None, STRAYS_AT_FIRST)
        else:
            self._path.expect(here.source, STRAYS_WHEN_SETTLED if here.is_settled else STRAYS)
        sealer = there.sealer if there and self._target.socket else None
        self._path.secure(here.opener if here and self._source.socket else None, sealer)
        self._path.route(self._target.socket, destination)

    # --- packets

    def take_believed(self, packets: list[bytes]) -> None:
        """What its transport believes."""
        unsent, events = self._path.pass_on(packets, int(self._loop.time() * _NANOSECONDS))
        if unsent:
            self.take_unsent(unsent)
        if events:
            self.take_events(events)
        if not self._source.is_shared:
            self._relay.follow()

    def take_unsent(self, packets: list[bytes]) -> None:
        self._handed_on += len(packets)
        self._handed_octets += sum(map(len, packets))
        self._target.transport.send_rtp(packets)

    def take_strays(self, datagrams: list[tuple[bytes, Address]]) -> None:
        self._source.transport.take_rtp(datagrams)
        self._relay.follow()

    def take_events(self, packets: list[bytes]) -> None:
        for data in packets:
            try:
                packet = RtpPacket.parse(data)
                key = self._events.receive(packet.payload, timestamp=packet.timestamp, ssrc=packet.ssrc)
            except PeerError:
                continue  # too short for an event
            if key is not None:
                self._relay.on_key(self._source.transport, key)

    @property
    def numbers(self) -> RelayNumbers:
        path = self._path
        return RelayNumbers(
            packets=path.packets,
            bytes=path.octets,
            sent_packets=path.sent + self._handed_on,
            sent_bytes=path.sent_octets + self._handed_octets,
            lost=path.lost,
            jitter_ms=path.jitter * 1_000,
            ssrc=path.ssrc,
            last_packet_at=path.last_at / _NANOSECONDS if path.packets else None,
            refused=path.refused,
            malformed=path.malformed,
            unmapped=path.unmapped,
            excess=path.excess,
            dropped=path.errors,
        )


def _ignore_key(transport: RelayTransport, key: str) -> None:
    """Nobody wants to know."""
