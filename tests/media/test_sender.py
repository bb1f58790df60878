# SPDX-License-Identifier: Apache-2.0
"""What leaves: packets of every codec on its clock, keys in between, comfort noise where it is agreed on."""

import pytest
from sounds import sine

from ringback.media.codecs import CODECS, codec_for
from ringback.media.output import Output
from ringback.media.pcm import tone_share
from ringback.media.sender import NOISE_LEVEL, NOISE_MS, Sender
from ringback.rtp.telephone_event import TelephoneEvent
from ringback.sdp.attributes import AudioFormat


def sender_of(name: str, packet_time_ms: int = 20, **options) -> tuple[Sender, Output]:
    output = Output()
    sender = Sender(output, bytes)
    sender.configure(
        CODECS[name].format, packet_time_ms=packet_time_ms, **({"telephone_event": 101} | options)
    )
    return sender, output


def packets_of(sender: Sender, count: int) -> list:
    return [sender.next_packet(0, now=number * sender.packet_time) for number in range(count)]


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize("packet_time_ms", [10, 20, 30, 60])
async def test_sound_of_another_rate_leaves_in_packets_on_the_clock_of_the_codec(name, packet_time_ms):
    sender, output = sender_of(name, packet_time_ms)
    output.write(sine(1_000, 24_000, 2.0), 24_000)
    count = round(1.8 / sender.packet_time)
    packets = packets_of(sender, count)
    codec = codec_for(CODECS[name].format)
    ticks = round(sender.packet_time * codec.format.clock_rate)
    assert sender.clock_rate == codec.format.clock_rate
    assert [packet.timestamp for packet in packets] == [n * ticks & 0xFFFFFFFF for n in range(count)]
    assert [packet.sequence for packet in packets] == list(range(count))
    assert {codec.duration(packet.payload) for packet in packets} == {ticks}
    heard = b"".join(codec.decode(packet.payload) for packet in packets)
    rate = codec.sample_rate
    assert tone_share(heard[rate:], 1_000, rate=rate) > 0.9
    assert [packet.marker for packet in packets] == [True] + [False] * (count - 1)


@pytest.mark.parametrize("name", CODECS)
async def test_silence_is_sent_and_is_silent(name):
    sender, _ = sender_of(name)
    codec = codec_for(CODECS[name].format)
    heard = [codec.decode(packet.payload) for packet in packets_of(sender, 30)]
    assert max(abs(value) for value in memoryview(heard[-1]).cast("h")) < 16


@pytest.mark.parametrize("name", ["PCMU", "G722", "L16/16000", "opus"])
async def test_a_key_lasts_100_ms_on_every_clock(name):
    sender, _ = sender_of(name)
    press = sender.press("7")
    packets = packets_of(sender, 13)
    events = [(each, TelephoneEvent.parse(each.payload)) for each in packets if each.payload_type == 101]
    assert {each.timestamp for each, _ in events} == {events[0][0].timestamp}
    assert events[-1][1].duration == sender.clock_rate // 10
    assert [event.is_end for _, event in events[-3:]] == [True] * 3
    assert [event.duration for _, event in events[:2]] == [sender.clock_rate // 50, sender.clock_rate // 25]
    assert press.finished.done()


async def test_agreed_comfort_noise_stands_for_silence():
    sender, output = sender_of("PCMU", comfort_noise=13)
    packets = packets_of(sender, 50)
    sent = [(number, packet) for number, packet in enumerate(packets) if packet is not None]
    assert [number for number, _ in sent] == list(range(0, 50, NOISE_MS // 20))
    assert {(packet.payload_type, packet.payload) for _, packet in sent} == {(13, bytes((NOISE_LEVEL,)))}
    assert [packet.sequence for _, packet in sent] == list(range(5))
    assert [packet.timestamp for _, packet in sent] == [number * 160 for number, _ in sent]
    output.write(sine(1_000, 8_000, 0.04))
    first, second, third = packets_of(sender, 3)
    assert (first.payload_type, first.marker, first.timestamp) == (0, True, 50 * 160)
    assert not second.marker
    assert third.payload_type == 13


async def test_the_codec_may_change_in_the_middle():
    sender, output = sender_of("PCMU")
    output.write(sine(1_000, 8_000, 1.0))
    before = packets_of(sender, 20)
    sender.configure(CODECS["opus"].format, packet_time_ms=20, telephone_event=None)
    after = packets_of(sender, 20)
    assert after[0].sequence == before[-1].sequence + 1
    assert after[1].timestamp - after[0].timestamp == 960
    codec = codec_for(CODECS["opus"].format)
    heard = b"".join(codec.decode(packet.payload) for packet in after)
    assert tone_share(heard[6_400:], 1_000, rate=16_000) > 0.9


async def test_a_format_we_do_not_have_leaves_the_sender_without_codec():
    output = Output()
    sender = Sender(output, bytes)
    sender.configure(AudioFormat(18, "G729"), packet_time_ms=20, telephone_event=None)
    assert sender.codec is None
    assert sender.clock_rate == 8_000
