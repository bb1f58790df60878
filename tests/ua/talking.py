# SPDX-License-Identifier: Apache-2.0
"""Two phones in a call, for tests of what can be done in one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from phones import ALICE, BOB, phone, uri_of

from ringback.testing import Network
from ringback.ua.call import Call

Handler = Callable[[Call], Awaitable[None]]


@asynccontextmanager
async def talking(
    handler: Handler, *, seed: int = 1, alices: dict | None = None, bobs: dict | None = None
) -> AsyncIterator[Call]:
    """Alice's call to Bob, whose end `handler` conducts after it was answered."""
    network = Network(seed=seed)
    alice = phone(network, "alice", ALICE, **(alices or {}))
    bob = phone(network, "bob", BOB, **(bobs or {}))

    @bob.on_call
    async def answer(call: Call) -> None:
        await call.answer()
        await handler(call)

    async with bob, alice, alice.dial(uri_of("bob", BOB)) as call:
        yield call


async def stay(call: Call) -> None:
    """A handler that listens."""
    await call.wait_ended()
