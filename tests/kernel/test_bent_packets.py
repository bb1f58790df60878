# SPDX-License-Identifier: Apache-2.0
"""Does any packet make the two relays differ, or the compiled one fall over?

Streams of RTP with faults of all kinds, through both kernels at once. The compiled one was also run so under
AddressSanitizer: `tools/sanitize_kernel.sh`.
"""

import contextlib
import random
import select
import socket
import struct
from types import ModuleType
from typing import Any

import pytest
from kernel_messages import compiled, needs_both, reference

from ringback.kernel import STRAY
from ringback.rtp.packet import RtpPacket, is_rtcp
from ringback.rtp.srtp import KEY_BYTES, SrtpSession
from ringback.sip.errors import PeerError

COUNTERS = (
    "packets",
    "octets",
    "sent",
    "sent_octets",
    "refused",
    "malformed",
    "unmapped",
    "excess",
    "errors",
    "last_at",
    "lost",
    "ssrc",
    "jitter",
)
TYPES, RATES, EVENTS = {0: 0, 8: 9, 96: 127, 101: 96, 127: 1}, {0: 8000, 8: 16_000, 96: 90_000}, {101, 127}


class Talk:
    """One who sends packets as no sane program would, from time to time."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.number = chance.randrange(1 << 16)
        self.ticks = chance.randrange(1 << 32)
        self.ssrc = chance.randrange(1 << 32)

    def packet(self) -> bytes:
        """The next one."""
        chance = self.chance
        kind = chance.randrange(40)
        step = {0: 0, 1: 2, 2: -1, 3: 2999, 4: 3000, 5: 3001, 6: -100, 7: -101, 8: 30_000}.get(kind, 1)
        self.number = (self.number + step) % 65_536
        self.ticks = (self.ticks + chance.choice((160, 160, 160, 0, 159, 1 << 31, -160))) % (1 << 32)
        if kind == 9:
            self.ssrc = chance.choice((1, 2, 3, 0xFFFFFFFF, chance.randrange(1 << 32)))
        number = chance.choice((0, 0, 0, 8, 96, 101, 127, 3, 64, 72, 95))
        first = chance.choice((0x80,) * 8 + (0x81, 0x8F, 0x90, 0xA0, 0xBF, 0x00, 0x17, 0x40, 0xC0, 0xFF))
        head = struct.pack(
            "!BBHII", first, number | chance.choice((0, 128)), self.number, self.ticks, self.ssrc
        )
        body = bytes(chance.randrange(6) for _ in range(chance.choice((0, 3, 4, 20, 80, 160))))
        return self.bent(head + body)

    def bent(self, data: bytes) -> bytes:
        """As a rule as it is."""
        chance = self.chance
        kind = chance.randrange(30)
        place = chance.randrange(len(data) + 1)
        if kind == 0:
            return data[:place]
        if kind == 1:
            return data[:place] + bytes([chance.randrange(256)]) + data[place + 1 :]
        if kind == 2:
            return data[:place] + chance.randbytes(chance.randrange(40)) + data[place:]
        return data


def facts(path: Any) -> dict[str, object]:
    return {name: getattr(path, name) for name in COUNTERS}


def assert_same_when_passed_on(seed: int, count: int) -> None:
    """Without sockets: what is made of each packet, and what is counted."""
    chance = random.Random(seed)
    talk = Talk(chance)
    one, other = reference.RelayPath(), compiled.RelayPath()
    one.limit = other.limit = chance.choice((0, 0, 40))
    for path in (one, other):
        path.translate(TYPES, RATES, EVENTS)
    now = chance.randrange(1 << 62)
    for _ in range(count):
        now += chance.choice((20_000_000, 20_000_000, 0, 999, 1_000_000_000))
        packets = [talk.packet() for _ in range(chance.choice((0, 1, 1, 3, 70)))]
        assert one.pass_on(packets, now) == other.pass_on(packets, now)
        assert facts(one) == facts(other)


class Relayed:
    """A path of one kernel between sockets of its own."""

    def __init__(self, kernel: ModuleType, stack: contextlib.ExitStack) -> None:
        self.caller, self.stranger, self.inside, self.callee = (
            stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(4)
        )
        for each in (self.caller, self.stranger, self.inside, self.callee):
            each.setblocking(False)
            each.bind(("127.0.0.1", 0))
        self.board = kernel.RelayBoard(stack.enter_context(contextlib.closing(select.epoll())))
        self.path = kernel.RelayPath()
        self.path.translate(TYPES, RATES, EVENTS)
        self.path.expect(self.caller.getsockname(), 5)
        self.turn_about(True)
        self.board.watch(self.inside, self.path)

    def turn_about(self, has_way: bool) -> None:
        self.path.route(self.inside if has_way else None, self.callee.getsockname())

    def relay(self, packets: list[tuple[bool, bytes]], now: int) -> tuple[list[Any], list[bytes]]:
        """What was given back, and what arrived; whichever socket it came from has the same name."""
        for is_caller, data in packets:
            (self.caller if is_caller else self.stranger).sendto(data, self.inside.getsockname())
        given, heard = [], []
        while True:
            given += self.board.turn(now)
            if not self.board.datagrams:
                break
        with contextlib.suppress(BlockingIOError):
            while True:
                heard.append(self.callee.recv(65_535))
        names = {
            self.caller.getsockname(): "caller",
            self.stranger.getsockname(): "stranger",
            None: None,
        }
        return [(kind, data, names[remote]) for _, kind, data, remote in given], heard


def assert_same_between_sockets(seed: int, count: int) -> None:
    chance = random.Random(seed)
    talk = Talk(chance)
    with contextlib.ExitStack() as stack:
        both = [Relayed(kernel, stack) for kernel in (reference, compiled)]
        now = chance.randrange(1 << 62)
        for _ in range(count):
            now += chance.choice((20_000_000, 20_000_000, 100_000))
            has_way = chance.random() < 0.8
            # One at a time where strangers come in: how many are given back depends on how a turn falls.
            packets = [(True, talk.packet()) for _ in range(chance.choice((1, 1, 2, 40)))]
            if chance.random() < 0.1:
                packets = [(False, talk.packet())]
            outcomes = []
            for each in both:
                each.turn_about(has_way)
                outcomes.append(each.relay(packets, now))
            assert outcomes[0] == outcomes[1]
            assert facts(both[0].path) == facts(both[1].path)


def assert_same_when_secured(seed: int, count: int) -> None:
    """SRTP in and out; what is given back is believed as a transport would."""
    chance = random.Random(seed)
    talk = Talk(chance)
    suite = chance.choice(sorted(KEY_BYTES))
    keys = {"local": bytes(KEY_BYTES[suite]), "remote": bytes(KEY_BYTES[suite])}
    caller = SrtpSession(suite, **keys)
    with contextlib.ExitStack() as stack:
        both = [Relayed(kernel, stack) for kernel in (reference, compiled)]
        sessions = [SrtpSession(suite, **keys) for _ in both]
        now = chance.randrange(1 << 62)
        for _ in range(count):
            now += 20_000_000
            packets = [talk.bent(each) for each in caller.protect_rtp([talk.packet()])]
            is_opened, is_sealed = chance.random() < 0.9, chance.random() < 0.7
            outcomes: list[tuple[Any, ...]] = []
            for each, session in zip(both, sessions, strict=True):
                each.path.secure(session.opener if is_opened else None, session.sealer if is_sealed else None)
                given, heard = each.relay([(True, data) for data in packets], now)
                plain = [session.unprotect_rtp(data) for kind, data, _ in given if kind == STRAY]
                passed = each.path.pass_on([data for data in plain if data is not None], now)
                outcomes.append((given, heard, plain, passed, session.failures))
            assert outcomes[0] == outcomes[1]
            assert facts(both[0].path) == facts(both[1].path)
        path = both[1].path
        assert path.sent > 20
        assert path.malformed > 0


@needs_both
@pytest.mark.parametrize("seed", range(4))
def test_both_relays_agree_on_odd_streams(seed: int):
    assert_same_when_passed_on(seed, 300)
    assert_same_between_sockets(seed, 100)


@needs_both
@pytest.mark.parametrize("seed", range(8))
def test_both_relays_agree_on_odd_srtp(seed: int):
    assert_same_when_secured(seed, 200)


@needs_both
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 108))
def test_both_relays_agree_on_very_many_odd_streams(seed: int):
    assert_same_when_passed_on(seed, 20_000)
    assert_same_between_sockets(seed, 5_000)
    assert_same_when_secured(seed, 5_000)


@needs_both
def test_a_packet_is_passed_on_exactly_when_our_own_parser_can_read_it():
    chance = random.Random(5)
    talk = Talk(chance)
    path = compiled.RelayPath()
    path.translate({number: number for number in range(128)}, {})
    for _ in range(5_000):
        data = talk.packet()
        try:
            is_readable = not is_rtcp(data) and RtpPacket.parse(data) is not None
        except PeerError:
            is_readable = False
        assert path.pass_on([data], 1)[0] == ([data] if is_readable else [])
