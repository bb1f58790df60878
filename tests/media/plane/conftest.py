# SPDX-License-Identifier: Apache-2.0
"""What tests of media planes share: a plane in this process, and phones that are closed."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from plane_peers import Opener, PhonePeer

from ringback.media.facilities import Facilities
from ringback.media.local_plane import LocalPlane
from ringback.media.plane import MediaEvent
from ringback.net.sockets import RealNetwork


@pytest.fixture
async def local_plane() -> AsyncIterator[LocalPlane]:
    plane = LocalPlane(Facilities(RealNetwork(), host="127.0.0.1"))
    await plane.start()
    yield plane
    await plane.close()


@pytest.fixture
def events(local_plane: LocalPlane) -> list[MediaEvent]:
    told: list[MediaEvent] = []
    local_plane.on_event = told.append
    return told


@pytest.fixture
async def phone() -> AsyncIterator[Opener]:
    opened: list[PhonePeer] = []

    async def open_one(name: str, *arguments: object, **more: object) -> PhonePeer:
        opened.append(await PhonePeer.open(name, *arguments, **more))  # type: ignore[arg-type]
        return opened[-1]

    yield open_one
    for peer in opened:
        peer.close()
    await asyncio.sleep(0)  # asyncio closes sockets in the next turn of its loop
