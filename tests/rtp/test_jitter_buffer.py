# SPDX-License-Identifier: Apache-2.0
"""The playout buffer on simulated networks: nothing is played twice or out of order or waits for ever."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.rtp.jitter_buffer import MAXIMUM_PACKETS, JitterBuffer, Piece, PieceKind
from ringback.rtp.packet import RtpPacket

TICK = 0.020


def packet(number: int, *, ssrc: int = 1, sequence: int = 0, timestamp: int = 0) -> RtpPacket:
    """Packet `number` of a stream; its payload is the number."""
    return RtpPacket(
        0,
        (sequence + number) & 0xFFFF,
        (timestamp + number * 160) & 0xFFFFFFFF,
        ssrc,
        number.to_bytes(4, "big"),
    )


def numbers(pieces: list[Piece]) -> list[int]:
    return [int.from_bytes(piece.packet.payload, "big") for piece in pieces if piece.packet]


def simulate(arrivals, *, until: float, buffer: JitterBuffer | None = None, stalls=()) -> list[Piece]:
    """Insert `(time, packet)` pairs and pull every 20 ms; the player misses its ticks during stalls."""
    buffer = buffer or JitterBuffer()
    waiting = sorted(arrivals, key=lambda pair: pair[0])
    pieces, position = [], 0
    for tick in range(int(until / TICK)):
        now = tick * TICK + 0.003
        while position < len(waiting) and waiting[position][0] <= now:
            buffer.insert(waiting[position][1], duration=160, now=waiting[position][0])
            position += 1
        assert buffer.waiting <= MAXIMUM_PACKETS
        if not any(start <= now < end for start, end in stalls):
            pieces.append(buffer.pull(now))
    return pieces


def test_a_perfect_stream_is_played_whole_after_a_short_wait():
    pieces = simulate([(n * TICK, packet(n)) for n in range(500)], until=9.9)
    played = numbers(pieces)
    assert played == list(range(len(played)))
    kinds = [piece.kind for piece in pieces]
    assert kinds[:2] == [PieceKind.SILENT] * 2
    assert set(kinds[3:]) == {PieceKind.PLAYED}


def test_reordered_and_repeated_packets_are_played_once_in_order():
    arrivals = []
    for n in range(300):
        late = 0.025 if n % 7 == 3 else 0.0
        arrivals += [(n * TICK + late, packet(n)), (n * TICK + 0.010, packet(n))][: 2 if n % 5 == 0 else 1]
    buffer = JitterBuffer()
    played = numbers(simulate(arrivals, until=6.0, buffer=buffer))
    assert played == sorted(set(played))
    assert len(played) > 290
    assert buffer.counters.duplicate > 0


def test_every_lost_packet_is_one_concealed_piece():
    arrivals = [(n * TICK, packet(n)) for n in range(500) if n % 10]
    pieces = simulate(arrivals, until=10.0)
    after_start = pieces[4:-4]
    concealed = sum(piece.kind is PieceKind.CONCEALED for piece in after_start)
    assert concealed == pytest.approx(50, abs=2)
    assert all(piece.duration == 160 for piece in pieces)


@pytest.mark.parametrize("timestamp", [0, 0xFFFFFFFF - 8_000, 0x80000000 - 100, 0xFFFFFFFF])
def test_numbers_wrap_without_a_gap(timestamp):
    arrivals = [(n * TICK, packet(n, sequence=65_500, timestamp=timestamp)) for n in range(200)]
    pieces = simulate(arrivals, until=3.9)
    assert {piece.kind for piece in pieces[4:]} == {PieceKind.PLAYED}


def test_the_wait_grows_with_the_jitter_and_shrinks_again():
    chance = random.Random(5)
    shaky = [(n * TICK + chance.uniform(0, 0.080), packet(n)) for n in range(1_000)]
    calm = [(n * TICK, packet(n)) for n in range(1_000, 3_000)]
    buffer = JitterBuffer()
    pieces = simulate([*shaky, *calm], until=60.2, buffer=buffer)
    settled = pieces[150:990]
    assert sum(piece.kind is not PieceKind.PLAYED for piece in settled) < len(settled) * 0.03
    assert buffer.target_ms == pytest.approx(30, abs=15)
    assert numbers(pieces) == sorted(set(numbers(pieces)))
    # In the calm part nothing is missing but what was left out to shorten the wait.
    assert buffer.counters.discarded < 15
    assert 2_999 in numbers(pieces)


def test_a_burst_after_a_network_stall_does_not_leave_a_long_wait():
    arrivals = [(max(n * TICK, 4.0) if 2.0 <= n * TICK < 4.0 else n * TICK, packet(n)) for n in range(1_500)]
    buffer = JitterBuffer()
    pieces = simulate(arrivals, until=29.9, buffer=buffer)
    assert buffer.target_ms < 100
    assert 29.9 / TICK - numbers(pieces)[-1] < 8


def test_a_stalled_player_catches_up():
    arrivals = [(n * TICK, packet(n)) for n in range(1_000)]
    buffer = JitterBuffer()
    pieces = simulate(arrivals, until=19.9, buffer=buffer, stalls=[(5.0, 5.7)])
    assert 19.9 / TICK - numbers(pieces)[-1] < 6
    assert buffer.waiting < 6


@pytest.mark.parametrize("parts_per_million", [-300, 300])
def test_clocks_that_drift_apart_are_followed(parts_per_million):
    factor = 1 + parts_per_million / 1_000_000
    arrivals = [(n * TICK * factor, packet(n)) for n in range(30_000)]
    buffer = JitterBuffer()
    pieces = simulate(arrivals, until=599.0, buffer=buffer)
    assert buffer.waiting <= 5
    assert len(numbers(pieces)) > 29_900
    missing = sum(piece.kind is PieceKind.CONCEALED for piece in pieces)
    assert missing + buffer.counters.discarded < 30


def test_a_new_source_is_played_at_once_and_a_stray_one_is_not():
    arrivals = [(n * TICK, packet(n)) for n in range(100)]
    arrivals += [(2.0 + n * TICK, packet(1_000 + n, ssrc=2, timestamp=77_777)) for n in range(100)]
    stray = [(1.0, packet(5, ssrc=666)), (1.2, packet(50, ssrc=667)), (3.0, packet(9_999, ssrc=2))]
    buffer = JitterBuffer()
    played = numbers(simulate([*arrivals, *stray], until=3.9, buffer=buffer))
    assert buffer.counters.restarts == 1
    assert not {5 if played.count(5) > 1 else -1, 9_999} & set(played)
    assert played[-1] > 1_090
    assert len([n for n in played if n >= 1_000]) > 90


@pytest.mark.parametrize("jump", [10_000_000, -10_000_000, 3_000_000_000])
def test_a_timestamp_that_jumps_for_good_is_followed(jump):
    arrivals = [(n * TICK, packet(n)) for n in range(100)]
    arrivals += [(n * TICK, packet(n, timestamp=jump)) for n in range(100, 200)]
    played = numbers(simulate(arrivals, until=3.9))
    assert len(played) > 188
    assert played == sorted(set(played))


def test_a_sequence_number_that_jumps_does_no_harm():
    arrivals = [(n * TICK, packet(n, sequence=0 if n < 100 else 30_000)) for n in range(200)]
    pieces = simulate(arrivals, until=3.9)
    assert {piece.kind for piece in pieces[4:]} == {PieceKind.PLAYED}


@pytest.mark.parametrize("pause", [0.1, 0.4, 0.7, 5.0, 600.0])
@pytest.mark.parametrize("clock_goes_on", [True, False])
def test_a_sender_that_pauses_is_heard_again(pause, clock_goes_on):
    ticks = round(pause / TICK)
    arrivals = [(n * TICK, packet(n)) for n in range(100)]
    for n in range(100, 400):
        moved = packet(n, timestamp=ticks * 160 if clock_goes_on else 0)
        arrivals.append(((n + ticks) * TICK, moved))
    buffer = JitterBuffer()
    pieces = simulate(arrivals, until=7.9 + pause, buffer=buffer)
    played = numbers(pieces)
    assert len([n for n in played if n >= 100]) > 270
    assert (7.9 + pause) / TICK - ticks - played[-1] < 12


def test_packets_of_odd_lengths_and_places_keep_the_timeline():
    buffer = JitterBuffer()
    chance = random.Random(1)
    timestamp = 0
    for number in range(400):
        duration = chance.choice((80, 160, 240, 37))
        buffer.insert(
            RtpPacket(0, number, timestamp, 1, b"x"), duration=duration, now=timestamp / 8_000 + 0.001
        )
        timestamp += duration + chance.choice((0, 0, 0, 5, -5))
        while buffer.waiting > 6:
            assert buffer.pull(timestamp / 8_000 + 0.04).duration > 0
    assert buffer.counters.played > 200


@pytest.mark.parametrize("duration", [0, -1, 8_001])
def test_impossible_durations_are_refused(duration):
    buffer = JitterBuffer()
    buffer.insert(packet(0), duration=duration, now=0.0)
    assert buffer.waiting == 0


def test_a_flood_is_bounded():
    buffer = JitterBuffer()
    buffer.insert(packet(0), duration=160, now=0.0)
    for timestamp in range(1, 7_000):
        buffer.insert(RtpPacket(0, timestamp, timestamp, 1, b"x"), duration=1, now=0.0)
    assert buffer.waiting <= MAXIMUM_PACKETS


steps = st.lists(
    st.one_of(
        st.tuples(
            st.just("insert"),
            st.integers(0, 0xFFFF),
            st.one_of(st.integers(0, 20_000), st.integers(0, 0xFFFFFFFF)),
            st.integers(1, 3),
            st.sampled_from((1, 80, 160, 161, 8_000)),
        ),
        st.tuples(st.just("pull")),
        st.tuples(st.just("wait"), st.sampled_from((0.0, 0.001, 0.02, 0.5, 3.0, 100_000.0))),
    ),
    max_size=120,
)


@given(steps)
def test_whatever_comes_the_timeline_goes_on(script):
    buffer, now = JitterBuffer(), 0.0
    played: set[int] = set()
    for number, step in enumerate(script):
        match step:
            case ("insert", sequence, timestamp, ssrc, duration):
                payload = number.to_bytes(4, "big")
                buffer.insert(RtpPacket(0, sequence, timestamp, ssrc, payload), duration=duration, now=now)
            case ("pull",):
                piece = buffer.pull(now)
                assert piece.duration > 0
                assert (piece.packet is not None) == (piece.kind is PieceKind.PLAYED)
                if piece.packet is not None:
                    identity = int.from_bytes(piece.packet.payload, "big")
                    assert identity not in played
                    played.add(identity)
            case ("wait", seconds):
                now += seconds
        assert buffer.waiting <= MAXIMUM_PACKETS


@given(st.integers(0, 1_000_000), st.floats(0.0, 0.3), st.floats(0.0, 0.12))
def test_on_any_network_packets_are_played_at_most_once_in_order(seed, loss, jitter):
    chance = random.Random(seed)
    arrivals = [
        (n * TICK + chance.uniform(0, jitter), packet(n, sequence=65_000, timestamp=0xFFFFF000))
        for n in range(200)
        if chance.random() >= loss
        for _ in range(1 + (chance.random() < 0.05))
    ]
    played = numbers(simulate(arrivals, until=4.5))
    assert played == sorted(set(played))
