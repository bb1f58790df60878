# SPDX-License-Identifier: Apache-2.0
"""Kamailio as registrar of our phone, as the hop before our proxy and as the hop behind it."""

import asyncio
import time

from interop_baresip import Baresip
from interop_rig import PASSWORD, Rig
from interop_sound import seconds_of_tone

from ringback import Phone


async def test_our_phone_registers_at_kamailio_and_talks_to_baresip(rig: Rig) -> None:
    kamailio = rig.kamailio(domain="kamailio.test", password="secret")
    baresip = rig.keep(
        Baresip(
            rig.folder / "bob", user="bob", password="secret", domain="kamailio.test", server=kamailio.address,
            frequency=700.0,
        )
    )  # fmt: skip
    baresip.wait_registered()
    heard = rig.folder / "heard.wav"
    async with Phone("sip:anna@kamailio.test", password="secret", server=kamailio.address) as phone:
        async with phone.dial("bob", timeout=10) as call:
            with call.record(heard):
                await asyncio.sleep(2)
        answered = asyncio.Event()

        @phone.on_call
        async def pick_up(call) -> None:  # type: ignore[no-untyped-def]
            await call.answer()
            answered.set()
            await call.wait_ended()

        baresip.command("dial", "sip:anna@kamailio.test")
        await asyncio.wait_for(answered.wait(), 10)
        baresip.wait_event("CALL_ESTABLISHED")
        baresip.command("hangup")
    assert seconds_of_tone(heard, 700.0) > 1.0


def test_calls_reach_our_phones_through_a_kamailio_in_front(rig: Rig) -> None:
    server = rig.ringback(config="[proxy]\nstrangers_may_call = true\n")
    server.add_user("102", "Bob", PASSWORD)
    bob = rig.baresip(server, "102", frequency=700.0)
    kamailio = rig.kamailio(domain="front.test", next_hop=server.sip, next_domain=server.domain)
    stranger = rig.keep(
        Baresip(
            rig.folder / "stranger", user="eve", password="none", domain="elsewhere.test", server=kamailio.address,
            frequency=440.0, expires=0,
        )
    )  # fmt: skip
    stranger.command("dial", f"sip:102@{server.domain}")
    stranger.wait_event("CALL_ESTABLISHED")
    bob.wait_event("CALL_ESTABLISHED")
    time.sleep(2)
    bob.command("hangup")
    stranger.wait_event("CALL_CLOSED")
    assert seconds_of_tone(stranger.heard(), 700.0) > 1.0


def test_our_users_call_out_through_a_kamailio_behind(rig: Rig) -> None:
    server = rig.ringback()
    server.add_user("101", "Anna", PASSWORD)
    anna = rig.baresip(server, "101", frequency=440.0)
    elsewhere = rig.ringback(domain="elsewhere.test", config="[proxy]\nstrangers_may_call = true\n")
    elsewhere.add_user("201", "Zoe", PASSWORD)
    zoe = rig.baresip(elsewhere, "201", frequency=700.0)
    kamailio = rig.kamailio(domain="transit.test", next_hop=elsewhere.sip, next_domain=elsewhere.domain)
    anna.command("dial", f"sip:201@{kamailio.address}")
    anna.wait_event("CALL_ESTABLISHED")
    zoe.wait_event("CALL_ESTABLISHED")
    time.sleep(2)
    anna.command("hangup")
    zoe.wait_event("CALL_CLOSED")
    assert seconds_of_tone(anna.heard(), 700.0) > 1.0
    assert seconds_of_tone(zoe.heard(), 440.0) > 1.0
