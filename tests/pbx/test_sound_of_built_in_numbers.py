# SPDX-License-Identifier: Apache-2.0
"""How did a call to a number of this server sound? Its record says so, while it is on and afterwards."""

import asyncio

from test_feature_codes import Rig, on_a_rig
from test_transferred_to_numbers import Rig as OfficeRig

from ringback.media.tones import steady
from ringback.testing import run


def test_the_record_of_an_echo_test_has_numbers_while_it_is_on_and_when_it_is_over() -> None:
    ended = []

    async def test(rig: Rig) -> None:
        rig.server.bulletin.listen(lambda event: ended.append(event["call"]), only=("call.ended",))
        async with rig.phone.dial("*43") as call:
            await call.play(steady(700, 12_000))
            (live,) = rig.server.book.live.values()
            (leg,) = live.described()["legs"]
            assert leg["streams"][0]["packets_received"] > 200  # it was looked at every five seconds
            assert leg["security"] == "plain"
            assert leg["media_address"]
        await asyncio.sleep(1)

    on_a_rig(test)
    (record,) = ended
    (leg,) = record["legs"]
    (stream,) = leg["streams"]
    assert (stream["kind"], stream["codec"], stream["lost"]) == ("audio", "PCMU", 0)
    assert stream["packets_received"] > 590
    assert stream["packets_sent"] > 590
    assert stream["mos"] > 4
    assert [sample["leg"] for sample in record["quality"]][:2] == ["caller", "caller"]


def test_a_call_that_only_hears_an_announcement_says_what_was_sent() -> None:
    ended = []

    async def test(rig: Rig) -> None:
        rig.server.bulletin.listen(lambda event: ended.append(event["call"]), only=("call.ended",))
        call = rig.phone.dial("*60")
        async with call:
            await asyncio.sleep(3)
        await asyncio.sleep(1)

    on_a_rig(test)
    assert ended[0]["legs"][0]["streams"][0]["packets_sent"] > 100


def test_the_record_of_a_call_placed_to_the_echo_test_has_the_numbers_of_the_phone_that_picked_up() -> None:
    ended = []

    async def test() -> None:
        rig = OfficeRig()
        await rig.server.start()
        rig.server.bulletin.listen(lambda event: ended.append(event["call"]), only=("call.ended",))
        async with rig.phone("102"):
            rig.server.place_call("102", "*43")
            call = await rig.taken.get()
            await call.play(steady(700, 8_000))
            await call.hangup()
            await asyncio.sleep(40)
        await rig.server.close()

    run(test())
    (record,) = ended
    (leg,) = record["legs"]
    assert (record["mode"], record["result"], record["callee"]["number"]) == (
        "application",
        "answered",
        "*43",
    )
    assert leg["streams"][0]["packets_received"] > 350
