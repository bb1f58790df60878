# SPDX-License-Identifier: Apache-2.0
"""A room: each hears all the others and not itself, whatever its codec; and who speaks is known."""

import asyncio
import random
import struct
from array import array
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sounds import added, frames_of, loudness_of, sine

from ringback.media.files import read_pcm
from ringback.media.input import Input
from ringback.media.mixer import Mix
from ringback.media.output import Output
from ringback.media.pcm import FRAME_MS, tone_share
from ringback.media.room import JOIN_TONE, Room
from ringback.media.session import AudioSession
from ringback.media.tones import steady
from ringback.testing import Network, run

TICK = FRAME_MS / 1_000


class Party:
    """A port that says one tone and keeps what it hears."""

    def __init__(self, frequency: float | None, *, rate: int = 8_000, loudness: float = 3_000.0) -> None:
        self.input, self.output = Input(), Output()
        self.rate = self.output.rate = rate
        self.frequency = frequency
        pcm = sine(frequency, rate, 1.0, loudness=loudness) if frequency else bytes(rate * 2)
        self._frames = frames_of(pcm, rate)
        self._number = 0
        self.heard = b""

    def tick(self) -> None:
        self.input.hear(self._frames[self._number % len(self._frames)], self.rate)
        self._number += 1
        size = self.rate // 50 * 2
        taken = self.output.take(size)
        self.heard += taken + bytes(size - len(taken))

    def share(self, other: "Party", seconds: float = 0.5) -> float:
        return tone_share(self.heard[-round(seconds * self.rate) * 2 :], other.frequency, rate=self.rate)


async def talk(parties, seconds: float) -> None:
    for _ in range(round(seconds / TICK)):
        for party in parties:
            party.tick()
        await asyncio.sleep(TICK)


@pytest.mark.parametrize("rates", [(8_000,), (16_000,), (8_000, 16_000, 48_000)])
@pytest.mark.parametrize("count", [2, 3, 6])
def test_each_hears_the_others_and_not_itself(rates, count):
    async def main():
        room = Room(has_tones=False)
        parties = [Party(400 + 300 * n, rate=rates[n % len(rates)]) for n in range(count)]
        for party in parties:
            room.join(party)
        await talk(parties, 1.5)
        for party in parties:
            for other in parties:
                if other is party:
                    assert party.share(other) < 0.001
                else:
                    assert party.share(other) == pytest.approx(1 / (count - 1), rel=0.15)
        room.close()

    run(main())


def test_who_is_silent_hears_all_and_costs_the_speakers_nothing():
    async def main():
        room = Room(has_tones=False)
        speakers, silent = [Party(500), Party(900)], [Party(None), Party(None, rate=16_000)]
        for party in (*speakers, *silent):
            room.join(party)
        await talk((*speakers, *silent), 1.5)
        for party in silent:
            for speaker in speakers:
                assert party.share(speaker) == pytest.approx(0.5, abs=0.05)
        assert [member.is_speaking for member in room.members] == [True, True, False, False]
        room.close()

    run(main())


def test_who_begins_and_stops_to_speak_makes_no_click():
    async def main():
        room = Room(has_tones=False)
        listener, speaker, other = Party(None), Party(500, rate=16_000), Party(None, rate=16_000)
        for party in (listener, speaker, other):
            room.join(party)
        await talk((listener, speaker, other), 1.0)
        talking = Party(700)._frames
        for number in range(50):  # the listener begins to speak: what it hears goes on as it was
            listener._frames[number] = talking[number]
        await talk((listener, speaker, other), 1.0)
        heard = memoryview(listener.heard[16_000 * 1 - 4_000 :]).cast("h")
        steps = max(abs(b - a) for a, b in pairwise(heard))
        assert steps < 3_000 * 2 * 3.1416 * 500 / 8_000 * 1.3
        assert listener.share(speaker) > 0.98
        room.close()

    run(main())


def test_a_muted_member_hears_and_is_not_heard():
    async def main():
        room = Room(has_tones=False)
        anna, bob = Party(500), Party(900)
        room.join(anna).is_muted = True
        room.join(bob)
        await talk((anna, bob), 1.0)
        assert anna.share(bob) > 0.99
        assert not any(bob.heard)
        room.close()

    run(main())


def test_coming_and_going_is_heard_and_an_empty_room_rests():
    async def main():
        room = Room()
        anna, bob = Party(None), Party(None, rate=16_000)
        first = room.join(anna, "Anna")
        await talk((anna,), 0.5)
        assert not any(anna.heard)
        second = room.join(bob, "Bob")
        await talk((anna, bob), 0.5)
        assert loudness_of(anna.heard[-8_000:]) > 200
        assert len(room) == 2
        assert [member.name for member in room.members] == ["Anna", "Bob"]
        before = len(bob.heard)
        second.leave()
        second.leave()
        await talk((anna, bob), 0.5)
        assert loudness_of(anna.heard[-8_000:]) > 200
        assert not any(bob.heard[before + 640 * 4 :])
        first.leave()
        assert len(room) == 0
        assert not room._pacer.is_running
        assert not anna.input.hearers
        room.join(anna)
        assert room._pacer.is_running
        room.close()

    run(main())


def test_a_member_whose_call_has_ended_leaves_by_itself():
    async def main():
        room = Room(has_tones=False)
        anna, bob = Party(500), Party(900)
        for party in (anna, bob):
            room.join(party)
        bob.input.close()
        await talk((anna,), 0.1)
        assert len(room) == 1
        room.close()

    run(main())


def test_a_room_that_is_full_of_loud_voices_clips_and_still_nobody_hears_himself():
    async def main():
        room = Room(has_tones=False)
        frequencies = (310, 437, 593, 787, 1_013, 1_291, 1_619, 2_003)
        parties = [Party(each, loudness=30_000) for each in frequencies]
        for party in parties:
            room.join(party)
        await talk(parties, 1.0)
        for number, party in enumerate(parties):
            assert party.share(parties[number - 1]) > 5 * party.share(party)
        room.close()

    run(main())


def test_the_loudest_is_the_speaker_after_a_moment():
    async def main():
        room, told = Room(has_tones=False), []
        room.on_speaker.append(told.append)
        quiet, loud, silent = Party(500, loudness=500), Party(900, loudness=8_000), Party(None)
        members = [room.join(party) for party in (quiet, silent)]
        await talk((quiet, silent), 0.5)
        assert room.speaker is members[0]
        members.append(room.join(loud))
        await talk((quiet, silent, loud), 0.2)
        assert room.speaker is members[0]
        await talk((quiet, silent, loud), 0.6)
        assert room.speaker is members[2]
        assert told == [members[0], members[2]]
        members[2].leave()
        assert room.speaker is None
        room.close()

    run(main())


def test_all_hear_what_the_room_plays_and_the_recording_has_everything(tmp_path):
    async def main():
        room = Room(has_tones=False)
        anna, bob = Party(500), Party(None, rate=16_000)
        for party in (anna, bob):
            room.join(party)
        recording = room.record(tmp_path / "room.wav")
        room.play(sine(1_500, 24_000, 1.0, loudness=3_000), 24_000)
        await talk((anna, bob), 0.9)
        assert tone_share(anna.heard[-8_000:], 1_500) > 0.95
        assert tone_share(bob.heard[-16_000:], 1_500, rate=16_000) == pytest.approx(0.5, abs=0.05)
        room.close()
        assert not recording.is_running
        return recording

    recording = run(main())
    pcm = read_pcm(recording.path, 16_000)
    assert recording.duration == pytest.approx(0.9, abs=0.05)
    assert tone_share(pcm[12_800:], 1_500, rate=16_000) == pytest.approx(0.5, abs=0.05)
    assert tone_share(pcm[12_800:], 500, rate=16_000) == pytest.approx(0.5, abs=0.05)


def test_the_tones_are_short_and_soft():
    assert 0.1 < len(JOIN_TONE) / 16_000 < 0.4
    assert loudness_of(JOIN_TONE) < 3_000


@given(st.lists(st.lists(st.integers(-32_768, 32_767), min_size=4, max_size=4), min_size=1, max_size=6))
def test_a_mix_without_a_sound_is_the_sum_of_the_others(columns):
    sounds = [array("h", column).tobytes() for column in columns]
    mix = Mix(sounds)
    for expected, got in zip(
        struct.unpack("4h", added(*sounds)), struct.unpack("4h", mix.total), strict=True
    ):
        assert abs(expected - got) <= 1
    for number in range(len(sounds)):
        others = [sound for index, sound in enumerate(sounds) if index != number] or [bytes(8)]
        exact = struct.unpack("4h", added(*others))
        for expected, got in zip(exact, struct.unpack("4h", mix.without(number)), strict=True):
            assert abs(expected - got) <= 1


def test_nothing_makes_nothing():
    assert Mix(()).total == b""


CODECS_IN_ROOM = ("PCMU", "PCMA", "G722", "opus", "L16/16000", "PCMU")


def test_parties_of_all_codecs_meet_over_a_network_with_loss():
    pytest.importorskip("av")

    async def main():
        network, room = Network(5, loss=0.01, delay=(0.010, 0.030)), Room(has_tones=False)
        phones, legs, frequencies = [], [], [400 + 250 * n for n in range(len(CODECS_IN_ROOM))]
        for number, codec in enumerate(CODECS_IN_ROOM):
            host = f"10.0.0.{number + 1}"
            chance = random.Random(number).randbytes
            phone = await AudioSession.open(
                network.host(host), host=host, codecs=(codec,), random_bytes=chance
            )
            leg = await AudioSession.open(
                network.host("10.9.9.9"), host="10.9.9.9", codecs=(codec,), random_bytes=chance
            )
            phone.accept_answer(leg.make_answer(phone.make_offer()))
            phone.start()
            leg.start()
            phones.append(phone)
            legs.append(leg)
            room.join(leg, codec)
        heard = [phone.frames() for phone in phones]
        playing = [
            asyncio.create_task(phone.play(steady(frequency, 4_000)))
            for phone, frequency in zip(phones, frequencies, strict=True)
        ]
        await asyncio.gather(*playing)
        for number, frames in enumerate(heard):
            phones[number]._stream.input.close()
            pcm = b"".join([frame async for frame in frames])[-16_000:-3_200]
            shares = [tone_share(pcm, frequency) for frequency in frequencies]
            assert shares[number] < 0.01, (CODECS_IN_ROOM[number], shares)
            others = [share for index, share in enumerate(shares) if index != number]
            assert min(others) > 0.08, (CODECS_IN_ROOM[number], shares)
        for session in (*phones, *legs):
            await session.close()
        room.close()

    run(main())
