# SPDX-License-Identifier: Apache-2.0
"""Calls of the library that are encrypted, and in wideband."""

import asyncio

import pytest
from phones import ALICE, BOB, phone, uri_of
from talking import stay, talking
from test_call_audio import tone_at

from ringback import audio
from ringback.media.pcm import tone_share
from ringback.media.tones import steady
from ringback.testing import Network, run
from ringback.ua.errors import NotAcceptable


@pytest.mark.parametrize("security", ["plain", "opportunistic", "sdes"])
def test_a_phone_accepts_the_encryption_it_is_offered(security):
    async def main():
        async def sing(call):
            await call.play(steady(500, 2_000))

        async with talking(sing, alices={"security": security}) as call:
            description = call.session.local_sdp
            frames = [frame.pcm async for frame in call.audio.read()]
            return description, b"".join(frames)

    description, heard = run(main())
    assert (b"a=crypto" in description) == (security != "plain")
    assert (b"RTP/SAVP" in description) == (security == "sdes")
    assert tone_share(heard[3_200:28_000], 500) > 0.9


def test_a_phone_that_demands_encryption_refuses_less():
    async def main():
        network = Network(seed=2)
        alice, bob = phone(network, "alice", ALICE), phone(network, "bob", BOB, security="sdes")

        @bob.on_call
        async def answer(call):
            await call.answer()

        async with bob, alice:
            with pytest.raises(NotAcceptable):
                await alice.dial(uri_of("bob", BOB))

    run(main())


def test_wideband_sound_arrives_with_what_a_telephone_would_not_carry():
    async def main():
        codecs = {"codecs": ("G722", "PCMU")}

        async def sing(call):
            await call.audio.write(audio.Pcm(tone_at(16_000, 6_000, 2.0), rate=16_000))
            await asyncio.sleep(0.5)

        async with talking(sing, alices=codecs, bobs=codecs) as call:
            assert call.stats.codec == "G722"
            frames = [frame.pcm async for frame in call.audio.read(rate=16_000)]
            return b"".join(frames)

    assert tone_share(run(main())[16_000:56_000], 6_000, rate=16_000) > 0.9


def test_security_is_one_of_four_words():
    with pytest.raises(ValueError, match="zrtp"):
        phone(Network(seed=1), "alice", ALICE, security="zrtp")


def test_keys_pass_in_a_wideband_call():
    got = []

    async def main():
        codecs = {"codecs": ("G722", "PCMU")}

        async def listen(call):
            got.append(await call.digits(3, timeout=3))
            await stay(call)

        async with talking(listen, alices=codecs, bobs=codecs) as call:
            await call.send_dtmf("12#")
            await asyncio.sleep(1)

    run(main())
    assert got == ["12"]
