# SPDX-License-Identifier: Apache-2.0
"""Does RTP get through a relay as it must, and nothing else? Real sockets, both kernels."""

import contextlib
import select
import socket
import struct
from collections.abc import Iterator
from types import ModuleType

import pytest
from kernel_messages import compiled, kernels

from ringback.rtp.srtp import KEY_BYTES, RtpCipher, SrtpSession

SECOND = 1_000_000_000
MS = 1_000_000
FAMILIES = pytest.mark.parametrize("host", ["127.0.0.1", "::1"])


def rtp(
    number: int, *, kind: int = 0, timestamp: int | None = None, ssrc: int = 7, payload: bytes = b"v" * 160
) -> bytes:
    """Packet `number` of a G.711 stream."""
    ticks = number * 160 if timestamp is None else timestamp
    return struct.pack("!BBHII", 0x80, kind, number & 0xFFFF, ticks & 0xFFFFFFFF, ssrc) + payload


@contextlib.contextmanager
def bound(host: str, count: int) -> Iterator[list[socket.socket]]:
    with contextlib.ExitStack() as stack:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        sockets = [stack.enter_context(socket.socket(family, socket.SOCK_DGRAM)) for _ in range(count)]
        for each in sockets:
            each.setblocking(False)
            each.bind((host, 0))
        yield sockets


def name(sock: socket.socket) -> tuple[str, int]:
    host, port = sock.getsockname()[:2]
    return host, port


def heard(sock: socket.socket) -> list[bytes]:
    """What waits at a socket: loopback delivers before the sender's call returns."""
    found = []
    with contextlib.suppress(BlockingIOError):
        while True:
            found.append(sock.recv(65_535))
    return found


class Bench:
    """A caller who speaks to `inside`, and a callee who hears from `outside`."""

    def __init__(self, kernel: ModuleType, sockets: list[socket.socket], poller: select.epoll) -> None:
        self.caller, self.inside, self.outside, self.callee, self.stranger = sockets
        self.board = kernel.RelayBoard(poller)
        self.path = kernel.RelayPath()
        self.path.translate({0: 0, 101: 96}, {0: 8000, 101: 8000}, {101})
        self.path.route(self.outside, name(self.callee))
        self.path.expect(name(self.caller))
        self.board.watch(self.inside, self.path)
        self.now = 1000 * SECOND

    def say(self, *packets: bytes, by: socket.socket | None = None, every: int = 20 * MS):
        """Send them one by one; what was given back, and what the callee heard."""
        given = []
        for each in packets:
            (by or self.caller).sendto(each, name(self.inside))
            self.now += every
            given += self.board.turn(self.now)
        return [each[1:] for each in given], heard(self.callee)


@pytest.fixture
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    kernel, host = request.param
    with bound(host, 5) as sockets, contextlib.closing(select.epoll()) as poller:
        yield Bench(kernel, sockets, poller)


def benches(test):
    """With each kernel, and both address families."""
    marks = kernels.mark.args[1]
    cases = [
        pytest.param((each.values[0], host), id=f"{each.id}-{host}", marks=each.marks)
        for each in marks
        for host in ("127.0.0.1", "::1")
    ]
    return pytest.mark.parametrize("bench", cases, indirect=True)(test)


@benches
def test_a_packet_goes_on_as_it_came_from_the_other_socket(bench: Bench):
    assert bench.say(rtp(1), rtp(2)) == ([], [rtp(1), rtp(2)])

    bench.caller.sendto(rtp(3), name(bench.inside))
    bench.board.turn(bench.now)
    assert bench.callee.recvfrom(2000)[1][1] == name(bench.outside)[1]
    assert (bench.path.packets, bench.path.octets, bench.path.sent, bench.path.sent_octets) == (
        3,
        3 * 172,
        3,
        3 * 172,
    )
    assert (bench.path.last_at, bench.path.ssrc, bench.board.datagrams) == (bench.now, 7, 1)


@benches
def test_payload_types_are_changed_and_the_marker_stays(bench: Bench):
    given, there = bench.say(rtp(1, kind=0x80), rtp(2, kind=101), rtp(3, kind=0x80 | 101))

    assert there == [rtp(1, kind=0x80), rtp(2, kind=96), rtp(3, kind=0x80 | 96)]
    assert [kind for kind, *_ in given] == [1, 1]


@benches
def test_a_telephone_event_is_passed_on_and_told_of(bench: Bench):
    event = rtp(1, kind=101, payload=b"\x05\x0a\x00\xa0")
    assert bench.say(event) == (
        [(1, rtp(1, kind=96, payload=b"\x05\x0a\x00\xa0"), None)],
        [rtp(1, kind=96, payload=b"\x05\x0a\x00\xa0")],
    )


@benches
def test_types_that_were_not_agreed_on_go_nowhere(bench: Bench):
    assert bench.say(rtp(1, kind=8), rtp(2, kind=96)) == ([], [])
    assert (bench.path.unmapped, bench.path.packets, bench.path.sent) == (2, 2, 0)


@benches
def test_packets_of_a_stranger_are_given_back_and_not_passed_on(bench: Bench):
    given, there = bench.say(rtp(1), by=bench.stranger)

    assert (given, there) == ([(0, rtp(1), name(bench.stranger))], [])
    assert bench.path.packets == 0


@benches
def test_of_a_flood_of_strangers_only_a_few_are_given_back(bench: Bench):
    bench.path.expect(name(bench.caller), 3)
    for number in range(50):
        bench.stranger.sendto(rtp(number), name(bench.inside))
    bench.caller.sendto(rtp(1), name(bench.inside))

    given = []
    turns = 0
    while bench.path.packets == 0 and turns < 60:
        found = bench.board.turn(bench.now)
        assert len(found) <= 3
        given += found
        turns += 1

    assert heard(bench.callee) == [rtp(1)]
    assert len(given) + bench.path.refused == 50

    bench.path.expect(name(bench.caller), 0)
    assert bench.say(rtp(1), by=bench.stranger) == ([], [])
    assert bench.path.refused == 50 - len(given) + 1


@benches
def test_checks_handshakes_and_reports_are_given_back(bench: Bench):
    stun, dtls = b"\x00\x01\x00\x00" + b"\x21\x12\xa4\x42" + bytes(12), b"\x16\xfe\xff" + bytes(10)
    report = struct.pack("!BBHI", 0x80, 201, 1, 7)

    given, there = bench.say(stun, dtls, report)

    assert given == [(0, data, name(bench.caller)) for data in (stun, dtls, report)]
    assert there == []
    assert (bench.path.packets, bench.path.malformed) == (0, 0)


@benches
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80",
        rtp(1)[:11],
        b"\x40" + rtp(1)[1:],
        b"\xc0" + rtp(1)[1:],
        b"\x8f" + rtp(1, payload=bytes(59))[1:],
        b"\x90" + rtp(1, payload=b"\xbe\xde\x00")[1:],
        b"\x90" + rtp(1, payload=b"\xbe\xde\x00\x01abc")[1:],
        b"\x90" + rtp(1, payload=b"\xbe\xde\xff\xff" + bytes(1000))[1:],
        b"\xa0" + rtp(1, payload=b"abc\x00")[1:],
        b"\xa0" + rtp(1, payload=b"abc\x05")[1:],
        b"\xa0" + rtp(1, payload=b"")[1:],
        struct.pack("!BBH", 0x80, 200, 0),
    ],
    ids=lambda data: data[:20].hex() or "empty",
)
def test_what_is_no_rtp_is_counted_and_dropped(bench: Bench, data: bytes):
    assert bench.say(data) == ([], [])
    assert (bench.path.malformed, bench.path.packets) == (1, 0)


@benches
@pytest.mark.parametrize(
    "data",
    [
        rtp(1, payload=b""),
        b"\x8f" + rtp(1, payload=bytes(60))[1:],
        b"\x90" + rtp(1, payload=b"\xbe\xde\x00\x01abcd")[1:],
        b"\xa0" + rtp(1, payload=b"abc\x04")[1:],
        b"\xa0" + rtp(1, payload=b"\x01")[1:],
        rtp(1, payload=bytes(60_000)),
    ],
    ids=lambda data: f"{data[0]:x}-{len(data)}",
)
def test_every_header_that_is_whole_is_passed_on(bench: Bench, data: bytes):
    assert bench.say(data) == ([], [data])


@benches
def test_without_a_way_out_the_packets_come_back_counted_and_renumbered(bench: Bench):
    bench.path.route(None, None)

    given, there = bench.say(rtp(1), rtp(2, kind=101), rtp(3, kind=8))

    assert given == [(2, rtp(1), None), (2, rtp(2, kind=96), None), (1, rtp(2, kind=96), None)]
    assert there == []
    assert (bench.path.packets, bench.path.sent, bench.path.unmapped) == (3, 0, 1)


@benches
def test_packets_that_are_believed_already_are_passed_on(bench: Bench):
    packets = [rtp(number, kind=101 if number % 50 == 0 else 0) for number in range(1, 151)]

    unsent, events = bench.path.pass_on([*packets, b"no packet", struct.pack("!BBHI", 0x80, 200, 1, 7)], 5)

    passed = [rtp(number, kind=96 if number % 50 == 0 else 0) for number in range(1, 151)]
    assert heard(bench.callee) == passed
    assert (unsent, events) == ([], [passed[49], passed[99], passed[149]])
    assert (bench.path.packets, bench.path.sent, bench.path.malformed) == (150, 150, 2)
    assert packets[49] == rtp(50, kind=101)

    bench.path.route(None, None)
    assert bench.path.pass_on(packets[:50], 6) == (passed[:50], [passed[49]])
    assert bench.path.sent == 150


@benches
def test_losses_and_duplicates_are_counted_across_the_wrap(bench: Bench):
    numbers = [65_533, 65_534, 65_535, 1, 2, 2, 0, 5]
    bench.say(*(rtp(number) for number in numbers))
    assert bench.path.lost == (65_536 + 5 - 65_533 + 1) - len(numbers)


@benches
def test_a_wild_jump_of_the_numbers_is_believed_when_a_second_packet_confirms_it(bench: Bench):
    bench.say(rtp(1), rtp(2), rtp(30_000), rtp(3))
    assert bench.path.lost == 0
    bench.say(rtp(40_000), rtp(40_001), rtp(40_003))
    assert bench.path.lost == 1


@benches
def test_jitter_is_that_of_the_rfc(bench: Bench):
    bench.say(*(rtp(number) for number in range(100)))
    assert bench.path.jitter == 0.0

    expected = 0
    for number in range(100, 130):
        late = 5 if number % 2 else 0
        bench.now += late * MS
        bench.say(rtp(number))
        bench.now -= late * MS
        expected += 40 * (number > 100) - ((expected + 8) >> 4)
    assert bench.path.jitter == (expected >> 4) / 8000


@benches
def test_the_packets_of_a_key_press_are_no_jitter(bench: Bench):
    bench.say(*(rtp(number) for number in range(10)))
    bench.say(*(rtp(10 + number, kind=101, timestamp=1600) for number in range(10)))
    bench.say(*(rtp(number) for number in range(20, 30)))
    assert bench.path.jitter == 0.0


@benches
def test_sources_are_told_apart_and_more_of_them_than_remembered_lose_nothing(bench: Bench):
    for round_ in (1, 2, 4):
        bench.say(*(rtp(round_, ssrc=ssrc) for ssrc in range(8)))
    assert (bench.path.lost, bench.path.ssrc) == (8, 7)

    bench.say(*(rtp(number, ssrc=ssrc) for ssrc in range(8, 20) for number in (1, 3)))
    assert (bench.path.lost, bench.path.ssrc) == (20, 19)


@benches
def test_too_many_packets_a_second_are_dropped(bench: Bench):
    bench.path.limit = 10
    _, there = bench.say(*(rtp(number) for number in range(30)), every=MS)
    assert len(there) == 10
    assert bench.path.excess == 20

    bench.now += SECOND
    assert bench.say(rtp(30)) == ([], [rtp(30)])


@benches
def test_a_burst_arrives_whole_and_in_order(bench: Bench):
    packets = [rtp(number) for number in range(150)]
    for each in packets:
        bench.caller.sendto(each, name(bench.inside))
    turns = 0
    while bench.board.turn(bench.now) == [] and bench.board.datagrams:
        turns += 1
    assert heard(bench.callee) == packets
    assert turns <= 4


@benches
def test_where_nobody_listens_nothing_breaks(bench: Bench):
    bench.path.route(bench.outside, ("192.0.2.1" if ":" in bench.callee.getsockname()[0] else "::1", 9))
    assert bench.say(rtp(1)) == ([], [])
    assert (bench.path.errors, bench.path.sent) == (1, 0)

    with bound(bench.callee.getsockname()[0], 1) as (gone,):
        nobody = name(gone)
    bench.path.route(bench.outside, nobody)
    bench.say(rtp(2), rtp(3))
    bench.path.route(bench.outside, name(bench.callee))
    assert bench.say(rtp(4)) == ([], [rtp(4)])


@benches
def test_a_path_that_is_forgotten_reads_no_more(bench: Bench):
    assert len(bench.board) == 1
    bench.board.forget(bench.path)
    bench.board.forget(bench.path)
    assert bench.say(rtp(1)) == ([], [])
    assert len(bench.board) == 0

    bench.board.watch(bench.inside, bench.path)
    assert bench.board.turn(bench.now) == []
    assert heard(bench.callee) == [rtp(1)]


@benches
def test_one_socket_has_one_path_and_one_path_has_one_socket(bench: Bench):
    with pytest.raises(ValueError, match="watched already"):
        bench.board.watch(bench.inside, type(bench.path)())
    with pytest.raises(ValueError, match="watched already"):
        bench.board.watch(bench.outside, bench.path)
    assert bench.say(rtp(1)) == ([], [rtp(1)])


@benches
def test_an_event_limit_or_number_that_cannot_be_changes_nothing(bench: Bench):
    path = bench.path
    for types, rates, events in (
        ({128: 0}, {}, ()),
        ({0: -1}, {}, ()),
        ({0: 128}, {}, ()),
        ({0: 0}, {0: 0}, ()),
        ({0: 0}, {0: 1_000_001}, ()),
        ({0: 0}, {200: 8000}, ()),
        ({0: 0}, {}, {128}),
    ):
        with pytest.raises(ValueError, match="not a"):
            path.translate(types, rates, events)
    for bad in (("localhost", 5), ("127.0.0.1", 0), ("127.0.0.1", 65_536)):
        with pytest.raises(ValueError, match="numeric"):
            path.route(bench.outside, bad)
        with pytest.raises(ValueError, match="numeric"):
            path.expect(bad)
    path.expect(name(bench.caller))
    assert bench.say(rtp(1)) == ([], [rtp(1)])


@kernels
def test_very_many_paths_are_served_in_a_few_turns(kernel: ModuleType):
    with bound("127.0.0.1", 302) as sockets, contextlib.closing(select.epoll()) as poller:
        board = kernel.RelayBoard(poller)
        caller, callee, *inside = sockets
        paths = [kernel.RelayPath() for _ in inside]
        for path, each in zip(paths, inside, strict=True):
            path.translate({0: 0}, {0: 8000})
            path.route(each, name(callee))
            path.expect(name(caller))
            board.watch(each, path)
        for number, each in enumerate(inside):
            caller.sendto(rtp(number), name(each))

        arrived = []
        turns = 0
        while sum(path.sent for path in paths) < 300:
            assert board.turn(turns) == []
            arrived += heard(callee)
            turns += 1
        assert turns == 2
        assert sorted(arrived) == sorted(rtp(number) for number in range(300))


@kernels
def test_a_board_whose_sockets_were_closed_serves_the_others(kernel: ModuleType):
    with bound("127.0.0.1", 5) as sockets, contextlib.closing(select.epoll()) as poller:
        bench = Bench(kernel, sockets, poller)
        with bound("127.0.0.1", 1) as (gone,):
            bench.board.watch(gone, kernel.RelayPath())
        assert bench.say(rtp(1)) == ([], [rtp(1)])
        poller.close()
        with pytest.raises(ValueError, match="closed"):
            bench.board.turn(1)


# --- SRTP ---------------------------------------------------------------------------------------------

SUITES = pytest.mark.parametrize("suite", ["AES_CM_128_HMAC_SHA1_80", "AEAD_AES_256_GCM"])


class Secured:
    """A caller with keys of its own, and a path that has them, too."""

    def __init__(self, bench: Bench, suite: str) -> None:
        here, there = (bytes([number]) * KEY_BYTES[suite] for number in (1, 2))
        self.bench = bench
        self.caller = SrtpSession(suite, local=here, remote=there)
        self.relay = SrtpSession(suite, local=there, remote=here)
        bench.path.secure(self.relay.opener, None)

    def sealed(self, *packets: bytes) -> list[bytes]:
        return self.caller.protect_rtp(packets)

    def believed(self, *packets: bytes) -> None:
        """What Python does with the first packets of a source."""
        for each in self.sealed(*packets):
            plain = self.relay.unprotect_rtp(each)
            assert plain is not None
            self.bench.path.pass_on([plain], self.bench.now)
        heard(self.bench.callee)


@benches
@SUITES
def test_srtp_of_a_known_source_is_opened_and_passed_on(bench: Bench, suite: str):
    secured = Secured(bench, suite)
    secured.believed(rtp(1))

    given, there = bench.say(*secured.sealed(rtp(2), rtp(3, kind=101, payload=b"\x05\x0a\x00\xa0")))

    event = rtp(3, kind=96, payload=b"\x05\x0a\x00\xa0")
    assert there == [rtp(2), event]
    assert given == [(1, event, None)]
    assert (bench.path.packets, bench.path.octets) == (3, 172 + 172 + 16)


@benches
@SUITES
def test_srtp_of_a_new_source_is_given_back_as_it_came(bench: Bench, suite: str):
    secured = Secured(bench, suite)
    secured.believed(rtp(1))
    (sealed,) = secured.sealed(rtp(1, ssrc=8))

    assert bench.say(sealed) == ([(0, sealed, name(bench.caller))], [])
    assert bench.path.packets == 1


@benches
@SUITES
def test_what_is_not_authentic_goes_nowhere_and_ends_nothing(bench: Bench, suite: str):
    """RELIABILITY row 40."""
    secured = Secured(bench, suite)
    secured.believed(rtp(1))
    bench.path.expect(name(bench.caller), 1)
    sealed = secured.sealed(*(rtp(number) for number in range(2, 30)))
    twice = sealed[0]

    given, there = bench.say(twice, twice)
    assert (len(given), there) == (1, [rtp(2)])
    for each in sealed[1:]:
        for place in (13, len(each) - 1):
            bent = bytearray(each)
            bent[place] ^= 1
            assert bench.say(bytes(bent))[1] == []
        assert bench.say(each[:-1])[1] == []
        assert bench.say(rtp(3))[1] == []
        assert bench.say(each) == ([], [rtp(2 + sealed.index(each))])
    assert bench.path.lost == 0


@benches
@SUITES
def test_what_goes_out_is_sealed_and_events_are_told_of_in_plain(bench: Bench, suite: str):
    here, there = (bytes([number]) * KEY_BYTES[suite] for number in (1, 2))
    relay, callee = (
        SrtpSession(suite, local=here, remote=there),
        SrtpSession(suite, local=there, remote=here),
    )
    bench.path.secure(None, relay.sealer)

    given, heard_there = bench.say(rtp(1), rtp(2, kind=101, payload=b"\x05\x0a\x00\xa0"))

    event = rtp(2, kind=96, payload=b"\x05\x0a\x00\xa0")
    assert [callee.unprotect_rtp(each) for each in heard_there] == [rtp(1), event]
    assert given == [(1, event, None)]
    assert (bench.path.sent, bench.path.sent_octets) == (2, 172 + 16)
    assert bench.path.pass_on([rtp(3)], bench.now) == ([rtp(3)], [])


@benches
@SUITES
def test_the_largest_packets_are_opened_and_sealed_within_their_room(bench: Bench, suite: str):
    secured = Secured(bench, suite)
    bench.path.secure(secured.relay.opener, secured.relay.sealer)
    bench.path.pass_on([rtp(1)], bench.now)

    for size in (0, 1, 3, 100, 1_800):
        data = rtp(2 + size, payload=bytes(size))
        given, there = bench.say(*secured.sealed(data))
        assert given == []
        assert [secured.caller.unprotect_rtp(each) for each in there] == [data]

    most = 65_507 if "." in name(bench.caller)[0] else 65_527
    huge = rtp(9000, payload=bytes(most - 12))
    bench.path.secure(None, secured.relay.sealer)
    assert bench.say(huge) == ([], [])
    assert bench.path.errors == 1


@benches
def test_more_sources_than_libsrtp_shall_remember_are_given_back(bench: Bench):
    suite = "AES_CM_128_HMAC_SHA1_80"
    session = SrtpSession(suite, local=bytes(30), remote=bytes(30))
    bench.path.secure(None, session.sealer)

    given, there = bench.say(*(rtp(1, ssrc=ssrc) for ssrc in range(70)), every=0)
    for _ in range(5):
        more, rest = bench.say(every=0)
        given += more
        there += rest
        given += [each[1:] for each in bench.board.turn(bench.now)]
        there += heard(bench.callee)

    assert len(there) == 64
    assert given == [(2, rtp(1, ssrc=ssrc), None) for ssrc in range(64, 70)]


@pytest.mark.skipif(compiled is None, reason="not built")
def test_a_cipher_without_an_address_is_refused():
    path = compiled.RelayPath()
    for cipher in (RtpCipher(0, 1, bytes), RtpCipher(1, 0, bytes)):
        with pytest.raises(ValueError, match="without an address"):
            path.secure(cipher, None)
        with pytest.raises(ValueError, match="without an address"):
            path.secure(None, cipher)
