# SPDX-License-Identifier: Apache-2.0
"""Blind and attended transfers (RFC 3515, RFC 5589, RFC 3891), sent and obeyed by phones."""

import asyncio

import pytest
from phones import ALICE, BOB, CAROL, phone, uri_of

from ringback.media.pcm import tone_share
from ringback.media.tones import steady
from ringback.testing import Network, run
from ringback.ua.app import App
from ringback.ua.call_requests import session_request
from ringback.ua.errors import Busy, CallError, Declined, NotFound
from ringback.ua.ladder import Ladder


class Three:
    """Alice calls Bob, who sends her to Carol. Alice obeys; Carol sings."""

    def __init__(self, seed: int, **alices) -> None:
        self.network = Network(seed=seed)
        options = {"obeys_transfers": True, **alices}
        self.alice = phone(self.network, "alice", ALICE, **options)
        self.bob = phone(self.network, "bob", BOB)
        self.carol = phone(self.network, "carol", CAROL)
        self.heard: list[str] = []

        @self.carol.on_call
        async def sing(call) -> None:
            self.heard.append(f"{call.caller.number} {call.invite.headers.get('Referred-By')}")
            await call.answer()
            await call.play(steady(700, 3_000))

    async def __aenter__(self):
        for each in (self.alice, self.bob, self.carol):
            await each.start()
        return self

    async def __aexit__(self, *error):
        for each in (self.alice, self.bob, self.carol):
            await each.close()
        for host in (ALICE, BOB, CAROL):
            assert self.network.host(host).open_sockets == 0


def test_a_blind_transfer_moves_the_call_and_the_referrer_leaves():
    async def main():
        async with Three(1) as rig:
            ladder = Ladder("bob")
            rig.bob.watch(ladder.record)
            ends = []

            @rig.bob.on_call
            async def send_on(call):
                await call.answer()
                await asyncio.sleep(1)
                await call.transfer(uri_of("carol", CAROL))
                ends.append(call.ended)

            async with rig.alice.dial(uri_of("bob", BOB)) as call:
                frames = [frame.pcm async for frame in call.audio.read()]
            await asyncio.sleep(1)
            return ladder.labels, ends, rig.heard, frames, call

    labels, ends, heard, frames, call = run(main())
    assert [label.split(" ")[0] for label in labels[3:]] == [
        "REFER", "202", "NOTIFY", "200", "NOTIFY", "200", "BYE", "200",
    ]  # fmt: skip
    assert ends[0] is None or ends[0].by == "local"
    assert heard == ["alice <sip:bob@10.0.0.12:5060>"]
    assert tone_share(b"".join(frames)[24_000:60_000], 700) > 0.9
    assert (call.ended.by, call.called.number) == ("remote", "carol")


def test_a_transfer_that_is_busy_raises_and_the_call_goes_on():
    async def main():
        async with Three(2) as rig:
            rig.carol.on_call(lambda call: call.reject(486))
            seen = []

            @rig.bob.on_call
            async def send_on(call):
                await call.answer()
                with pytest.raises(Busy) as why:
                    await call.transfer(uri_of("carol", CAROL))
                seen.append(str(why.value))
                await call.play(steady(500, 2_000))

            async with rig.alice.dial(uri_of("bob", BOB)) as call:
                frames = [frame.pcm async for frame in call.audio.read()]
            return seen, frames, call.called.number

    seen, frames, number = run(main())
    assert seen == ["486 Busy Here"]
    assert tone_share(b"".join(frames)[8_000:28_000], 500) > 0.9
    assert number == "bob"


def test_a_fallback_is_tried_when_the_target_does_not_answer():
    async def main():
        async with Three(3) as rig:

            @rig.bob.on_call
            async def send_on(call):
                await call.answer()
                await call.transfer(uri_of("nobody", CAROL), fallback=uri_of("carol", CAROL))

            async with rig.alice.dial(uri_of("bob", BOB)) as call:
                await call.wait_ended()
            return rig.heard, call.called.number

    heard, number = run(main())
    assert (len(heard), number) == (1, "carol")


@pytest.mark.parametrize(
    ("alices", "error", "status"), [({"obeys_transfers": False}, CallError, 405), ({}, Declined, 603)]
)
def test_a_phone_obeys_only_when_it_was_told_to(alices, error, status):
    async def main():
        async with Three(4, **alices) as rig:
            asked, why = [], []
            if not alices:

                @rig.alice.on_transfer
                async def refuse(call, target):
                    asked.append(str(target))
                    return False

            @rig.bob.on_call
            async def send_on(call):
                await call.answer()
                with pytest.raises(error) as raised:
                    await call.transfer(uri_of("carol", CAROL))
                why.append(raised.value.status)

            async with rig.alice.dial(uri_of("bob", BOB)) as call:
                await call.wait_ended()
            return asked, why, rig.heard

    asked, why, heard = run(main())
    assert asked == ([] if alices else [uri_of("carol", CAROL)])
    assert (why, heard) == ([status], [])


def test_an_attended_transfer_joins_the_two_and_the_middle_leaves():
    async def main():
        async with Three(5) as rig:
            done = []

            @rig.bob.on_call
            async def consult(call):
                await call.answer()
                await call.hold()
                other = await rig.bob.dial(uri_of("carol", CAROL))
                await asyncio.sleep(0.5)
                await call.transfer(other)
                done.append((call.is_leaving, other.is_leaving or other.is_over))

            async with rig.alice.dial(uri_of("bob", BOB)) as call:
                frames = [frame.pcm async for frame in call.audio.read()]
            await asyncio.sleep(1)
            return done, frames, call.ended, rig.heard

    done, frames, ended, heard = run(main())
    assert done == [(True, True)]
    assert len(heard) == 1  # Carol's call went on with Alice: nobody was called a second time
    assert ended.by == "remote"
    assert tone_share(b"".join(frames)[16_000:40_000], 700) > 0.9


@pytest.mark.parametrize(
    ("value", "status"),
    [
        ("nobody@10.0.0.13;to-tag=1;from-tag=2", 481),
        ("x;to-tag=1;from-tag=2\r\nReplaces: y;to-tag=1;from-tag=2", 400),
        ("two words", 400),
    ],
)
def test_a_call_that_replaces_nothing_of_ours_is_refused(value, status):
    async def main():
        async with Three(6) as rig:
            lines = [("Replaces", line) for line in value.replace("Replaces: ", "").split("\r\n")]
            with pytest.raises(CallError) as why:
                await rig.alice.dial(uri_of("carol", CAROL), headers=lines)
            assert rig.heard == []
            return why.value.status

    assert run(main()) == status


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("<tel:+15551234>", 416),
        ("<sip:carol@10.0.0.13;method=SUBSCRIBE>", 403),
        ("<sip:carol@10.0.0.13?Replaces=a&Replaces=b>", 400),
        ("nonsense", 400),
    ],
)
def test_a_refer_to_what_cannot_be_called_is_refused(target, status):
    async def main():
        async with Three(7) as rig:
            rig.bob.on_call(stay)
            async with rig.alice.dial(uri_of("bob", BOB)):
                (theirs,) = rig.bob.calls
                _number, response = await session_request(
                    rig.bob.agent, theirs.session, "REFER", headers=[("Refer-To", target)]
                )
                return response.status

    assert run(main()) == status


async def stay(call):
    await call.answer()
    await call.wait_ended()


def test_services_and_numbers_of_the_peers_domain_can_be_named_without_an_account():
    async def main():
        network = Network(seed=8)
        app = App(network=network.host(BOB), dns=network.dns, port=5060, host=BOB)
        alice = phone(network, "alice", ALICE, obeys_transfers=False)

        @app.call("menu")
        async def menu(call):
            await call.answer()
            for target in ("queue:sales", "102", "voicemail:102"):
                with pytest.raises(CallError):
                    await call.transfer(target)

        texts = []
        alice.watch(lambda sent, data, flow, now: texts.append(data) if data.startswith(b"REFER") else None)
        async with app, alice, alice.dial(uri_of("menu", BOB)) as call:
            await call.wait_ended()
        return [line for text in texts for line in text.decode().split("\r\n") if line.startswith("Refer-To")]

    assert run(main()) == [
        "Refer-To: <sip:queue%3Asales@10.0.0.11>",
        "Refer-To: <sip:102@10.0.0.11>",
        "Refer-To: <sip:voicemail%3A102@10.0.0.11>",
    ]


def test_a_number_that_nobody_has_is_not_found():
    async def main():
        async with Three(9) as rig:
            why = []

            @rig.bob.on_call
            async def send_on(call):
                await call.answer()
                with pytest.raises(NotFound) as raised:
                    await call.transfer(uri_of("nobody", CAROL))
                why.append(raised.value.status)

            async with rig.alice.dial(uri_of("bob", BOB)) as call:
                await call.wait_ended()
            return why

    assert run(main()) == [404]
