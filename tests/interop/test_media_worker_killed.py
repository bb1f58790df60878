# SPDX-License-Identifier: Apache-2.0
"""kill -9 of the process that carries the sound, in the middle of calls: they go on, and are heard again by
themselves.
"""

from __future__ import annotations

import array
import asyncio
import json
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from interop_rig import PASSWORD
from interop_ringback import Ringback
from interop_sound import share_of_energy

from ringback import Call, Phone, audio

ANNA_HZ, BOB_HZ = 440.0, 700.0
#: One of so many frames is looked at: 20 ms each.
LOOKED_AT = 5


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ringback]:
    settings = '[media]\nanchor = "always"\n[overload]\nenabled = false\n'
    running = Ringback(tmp_path_factory.mktemp("server"), config=settings)
    try:
        for number in ("101", "102"):
            running.add_user(number, password=PASSWORD)
        yield running
    finally:
        running.stop()


@dataclass(slots=True)
class End:
    """One end of a call: it says one tone and counts the frames in which it hears the other."""

    call: Call
    says: float
    hears: float
    heard: int = 0
    is_over: bool = False

    async def talk(self) -> None:
        speaking = asyncio.ensure_future(self.call.play(audio.steady(self.says, 120_000)))
        try:
            number = 0
            async for frame in self.call.frames():
                number += 1
                if number % LOOKED_AT == 0:
                    self.heard += share_of_energy(array.array("h", frame), 8000, self.hears) > 0.6
        finally:
            self.is_over = True
            speaking.cancel()
            await asyncio.gather(speaking, return_exceptions=True)


def carrier(server: Ringback) -> dict[str, int]:
    """The media worker as `ringback status` shows it."""
    (worker,) = json.loads(server.run("status", "--json"))["media"]["workers"]
    assert isinstance(worker, dict)
    return worker


async def all_hear(ends: list[End], *, timeout: float) -> None:
    """Until every end has heard a second more of the other."""
    before = [end.heard for end in ends]

    def deaf() -> list[int]:
        return [index for index, end in enumerate(ends) if end.heard < before[index] + 50 // LOOKED_AT]

    try:
        async with asyncio.timeout(timeout):
            while deaf():
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(
            f"after {timeout:g} s {len(deaf())} of {len(ends)} hear nothing: {deaf()}"
        ) from None


@pytest.mark.parametrize("count", [4, pytest.param(50, marks=pytest.mark.slow)])
async def test_the_calls_of_a_killed_media_worker_are_heard_again(server: Ringback, count: int) -> None:
    anna = Phone(f"sip:101@{server.domain}", password=PASSWORD, server=server.sip)
    bob = Phone(f"sip:102@{server.domain}", password=PASSWORD, server=server.sip, max_calls=count)
    ends: list[End] = []

    @bob.on_call
    async def take(call: Call) -> None:
        await call.answer()
        ends.append(End(call, BOB_HZ, ANNA_HZ))
        await ends[-1].talk()

    async with anna, bob, asyncio.TaskGroup() as talking:
        calls = [await anna.dial("102") for _ in range(count)]
        for call in calls:
            ends.append(End(call, ANNA_HZ, BOB_HZ))
            talking.create_task(ends[-1].talk())
        await all_hear(ends, timeout=15)
        before = await asyncio.to_thread(carrier, server)
        assert before["bridges"] == count
        os.kill(before["process"], signal.SIGKILL)
        await asyncio.sleep(1)
        await all_hear(ends, timeout=15)
        after = await asyncio.to_thread(carrier, server)
        assert (after["starts"], after["bridges"]) == (before["starts"] + 1, count)
        assert not any(end.is_over for end in ends)
        for call in calls:
            await call.hangup()
    assert len(ends) == 2 * count
