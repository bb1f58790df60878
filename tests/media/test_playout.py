# SPDX-License-Identifier: Apache-2.0
"""From packets to frames: what every codec sounds like after the jitter buffer, on good and bad networks."""

import random

import pytest
from sounds import frames_of, loudness_of, sine

from ringback.media.codecs import CODECS, COMFORT_NOISE, codec_for
from ringback.media.comfort_noise import LOUDEST_NOISE, ComfortNoise, level_of_sound, noise
from ringback.media.concealment import FADE, Concealment
from ringback.media.pcm import tone_share
from ringback.media.playout import Playout
from ringback.media.receiver import Receiver
from ringback.rtp.packet import RtpPacket
from ringback.rtp.rtcp_session import RtcpSession
from ringback.rtp.telephone_event import event_packets
from ringback.sdp.attributes import AudioFormat

TICK = 0.020


def receiver_of(*formats: AudioFormat) -> Receiver:
    receiver = Receiver(RtcpSession(1, "x", bytes))
    receiver.configure({each.payload_type: each for each in formats})
    receiver.is_listening = True
    return receiver


def packets_of(name: str, pcm: bytes, *, first: int = 0, ssrc: int = 7) -> list[RtpPacket]:
    codec = codec_for(CODECS[name].format)
    ticks = codec.format.clock_rate // 50
    return [
        RtpPacket(
            codec.format.payload_type,
            (first + number) & 0xFFFF,
            ((first + number) * ticks) & 0xFFFFFFFF,
            ssrc,
            codec.encode(frame),
        )
        for number, frame in enumerate(frames_of(pcm, codec.sample_rate))
    ]


def heard(receiver: Receiver, arrivals, seconds: float) -> tuple[bytes, set[int]]:
    """Pull every 20 ms what comes at its time; all frames of one rate."""
    playout, waiting = Playout(receiver), sorted(arrivals, key=lambda pair: pair[0])
    pcm, rates = b"", set()
    for tick in range(round(seconds / TICK)):
        now = tick * TICK + 0.003
        while waiting and waiting[0][0] <= now:
            at, packet = waiting.pop(0)
            receiver.receive(packet.to_bytes(), at)
        frame = playout.frame(now)
        assert len(frame) == playout.rate // 50 * 2
        rates.add(playout.rate)
        pcm += frame
    return pcm, rates


def on_time(packets: list[RtpPacket], start: float = 0.0) -> list[tuple[float, RtpPacket]]:
    return [(start + number * TICK, packet) for number, packet in enumerate(packets)]


def silent_frames(pcm: bytes, rate: int) -> int:
    return sum(not any(frame) for frame in frames_of(pcm, rate))


@pytest.mark.parametrize("name", CODECS)
def test_every_codec_is_heard_through_the_jitter_buffer(name):
    rate = codec_for(CODECS[name].format).sample_rate
    receiver = receiver_of(CODECS[name].format)
    pcm, rates = heard(receiver, on_time(packets_of(name, sine(1_000, rate, 3.0))), 2.9)
    assert rate in rates
    assert tone_share(pcm[-rate * 4 :], 1_000, rate=rate) > 0.95
    assert receiver.clock_rate == CODECS[name].format.clock_rate
    assert receiver.buffer.counters.concealed <= 1
    assert receiver.buffer.target_ms < 45


@pytest.mark.parametrize("name", CODECS)
def test_jitter_loss_and_repetition_leave_no_hole_in_any_codec(name):
    rate = codec_for(CODECS[name].format).sample_rate
    receiver, chance = receiver_of(CODECS[name].format), random.Random(3)
    arrivals = [
        (at + chance.uniform(0.0, 0.060), packet)
        for at, packet in on_time(packets_of(name, sine(500, rate, 6.0)))
        if chance.random() > 0.05
        for _ in range(1 + (chance.random() < 0.03))
    ]
    pcm, _ = heard(receiver, arrivals, 5.9)
    settled = pcm[-rate * 8 :]
    assert silent_frames(settled, rate) <= 1
    assert tone_share(settled, 500, rate=rate) > 0.9
    assert loudness_of(settled) == pytest.approx(8_000 / 2**0.5, rel=0.1)
    assert receiver.buffer.counters.concealed > 5


@pytest.mark.parametrize("rate", [8_000, 16_000, 48_000])
@pytest.mark.parametrize("frequency", [110, 220, 1_000])
def test_a_lost_packet_goes_on_where_the_sound_was(rate, frequency):
    concealment, tone = Concealment(rate), sine(frequency, rate, 0.5)
    for frame in frames_of(tone[: rate // 5 * 2], rate):
        concealment.heard(frame)
    made_up = concealment.conceal(rate // 50)
    expected = tone[rate // 5 * 2 :][: len(made_up)]
    difference = [
        a - FADE[0] * b
        for a, b in zip(memoryview(made_up).cast("h"), memoryview(expected).cast("h"), strict=True)
    ]
    assert (sum(each**2 for each in difference) / len(difference)) ** 0.5 < 8_000 * 0.35


def test_concealment_fades_into_silence_and_begins_anew():
    concealment = Concealment(8_000)
    assert not any(concealment.conceal(160))
    tone = frames_of(sine(300, 8_000, 0.04), 8_000)
    concealment.heard(tone[0])
    loud = [loudness_of(concealment.conceal(160)) for _ in range(6)]
    assert loud[0] > loud[1] > loud[2] > loud[3] > 0
    assert loud[4:] == [0, 0]
    concealment.heard(tone[1])
    assert loudness_of(concealment.conceal(80)) == pytest.approx(loud[0], rel=0.2)


def test_very_short_and_silent_pieces_can_be_concealed():
    concealment = Concealment(8_000)
    for piece in (b"\1\0", bytes(320), b"\5\0" * 30):
        concealment.heard(piece)
        assert len(concealment.conceal(160)) == 320
        assert len(concealment.conceal(1)) == 2


def test_a_peer_that_changes_the_codec_is_followed():
    receiver = receiver_of(CODECS["PCMU"].format, CODECS["opus"].format, CODECS["G722"].format)
    arrivals = on_time(packets_of("PCMU", sine(1_000, 8_000, 2.0)))
    arrivals += on_time(packets_of("opus", sine(1_000, 16_000, 2.0), first=100), 2.0)
    arrivals += on_time(packets_of("G722", sine(1_000, 16_000, 2.0), first=200), 4.0)
    pcm, rates = heard(receiver, arrivals, 5.9)
    assert rates == {8_000, 16_000}
    assert receiver.clock_rate == 8_000
    assert tone_share(pcm[-32_000:], 1_000, rate=16_000) > 0.9
    opus_part = pcm[2 * 16_000 + 16_000 : 2 * 16_000 + 48_000]
    assert tone_share(opus_part, 1_000, rate=16_000) > 0.9


def test_single_packets_of_another_clock_do_not_disturb():
    receiver = receiver_of(CODECS["PCMU"].format, CODECS["opus"].format)
    strays = packets_of("opus", sine(1_000, 16_000, 3.0))
    arrivals = on_time(packets_of("PCMU", sine(1_000, 8_000, 3.0)))
    arrivals += [(0.5 + number * TICK + 0.001, packet) for number, packet in enumerate(strays[:50])]
    pcm, rates = heard(receiver, arrivals, 2.9)
    assert rates == {8_000}
    assert tone_share(pcm[8_000:], 1_000) > 0.95


def test_a_format_that_was_negotiated_away_is_concealed():
    receiver = receiver_of(CODECS["PCMU"].format)
    playout = Playout(receiver)
    for at, packet in on_time(packets_of("PCMU", sine(1_000, 8_000, 0.2))):
        receiver.receive(packet.to_bytes(), at)
    receiver.configure({8: CODECS["PCMA"].format})
    assert [len(playout.frame(0.2 + n * TICK)) for n in range(20)] == [320] * 20


def test_comfort_noise_is_heard_until_the_sound_goes_on():
    receiver = receiver_of(CODECS["PCMU"].format, COMFORT_NOISE)
    speech = on_time(packets_of("PCMU", sine(1_000, 8_000, 1.0)))
    quiet = [(1.0 + n * 0.2, RtpPacket(13, 50 + n, (50 + n * 10) * 160, 7, bytes((45,)))) for n in range(5)]
    again = [
        (at, RtpPacket(0, 55 + n, (100 + n) * 160, 7, packet.payload))
        for n, (at, packet) in enumerate(on_time(packets_of("PCMU", sine(1_000, 8_000, 1.0)), 2.0))
    ]
    pcm, _ = heard(receiver, [*speech, *quiet, *again], 2.9)
    silence = pcm[round(1.15 * 16_000) : round(1.95 * 16_000)]
    assert loudness_of(silence) == pytest.approx(32_768 * 10 ** (-45 / 20), rel=0.15)
    assert silent_frames(silence, 8_000) == 0
    assert tone_share(pcm[-12_000:], 1_000) > 0.95


def test_noise_has_the_level_that_was_asked_for_and_is_never_loud():
    for level in (40, 60, 70):
        assert level_of_sound(noise(level, 8_000)) == pytest.approx(level, abs=1)
    assert level_of_sound(noise(0, 8_000)) == pytest.approx(LOUDEST_NOISE, abs=1)
    assert not any(noise(127, 160))
    codec = ComfortNoise(COMFORT_NOISE)
    assert codec.encode(bytes(320)) == b"\x7f"
    assert codec.encode(sine(500, 8_000, 0.1, loudness=1_000)) == bytes((33,))
    assert not any(codec.decode(b""))
    assert noise(50, 40_000)[:20] == noise(50, 10)
    assert noise(50, 10, start=5) == noise(50, 15)[10:]


@pytest.mark.parametrize("clock_rate", [8_000, 16_000, 48_000])
def test_keys_are_heard_at_every_clock_rate(clock_rate):
    receiver, keys = receiver_of(AudioFormat(96, "telephone-event", clock_rate)), []
    receiver.on_key = keys.append
    timestamp, sequence = 0xFFFFFF00, 0
    for key in "159#":
        for each in event_packets(key, duration=clock_rate // 10, step=clock_rate // 50):
            packet = RtpPacket(96, sequence, timestamp & 0xFFFFFFFF, 7, each.event.to_bytes(), each.marker)
            receiver.receive(packet.to_bytes(), sequence * TICK)
            sequence += 1
        timestamp += clock_rate // 5
    assert "".join(keys) == "159#"


def test_jitter_is_measured_in_the_clock_of_what_comes():
    receiver, chance = receiver_of(CODECS["opus"].format), random.Random(1)
    arrivals = [(at + chance.uniform(0, 0.020), p) for at, p in on_time(packets_of("opus", bytes(64_000)))]
    heard(receiver, arrivals, 1.9)
    source = receiver._rtcp.source
    assert source.clock_rate == 48_000
    assert source.jitter / source.clock_rate * 1_000 == pytest.approx(6.7, abs=2.5)
