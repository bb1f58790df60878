# SPDX-License-Identifier: Apache-2.0
"""No ports, no descriptors: calls are refused, the others go on."""

from __future__ import annotations

import resource
from collections.abc import Iterator

import pytest
from plane_calls import Call
from plane_peers import Opener, talk

from ringback.media.errors import NoFreePort
from ringback.media.facilities import Facilities
from ringback.media.local_plane import LocalPlane
from ringback.media.plane import LegProfile
from ringback.media.ports import PortRange
from ringback.net.sockets import RealNetwork


async def refused_and_good_again(plane: LocalPlane, phone: Opener, calls: int) -> None:
    """Calls until there is no room; those that are on go on, and one that ends makes room for another."""
    made: list[Call] = []

    async def make_calls() -> None:
        for number in range(calls):
            call = Call(plane, f"call-{number}")
            call.add("caller", await phone("anna"))
            call.add("callee", await phone("bob"))
            await call.join("caller", "callee")
            made.append(call)

    with pytest.raises(NoFreePort):
        await make_calls()
    assert made
    assert plane.bridges == len(made)
    await talk(*made[0].peers.values())
    await plane.delete(made[-1].name)
    made[-1].name = "another"
    await made[-1].join("caller", "callee")
    await talk(*made[-1].peers.values())


async def test_ports_that_are_all_taken(phone: Opener) -> None:
    plane = LocalPlane(Facilities(RealNetwork(), host="127.0.0.1", ports=PortRange(23_000, 23_011)))
    await plane.start()
    await refused_and_good_again(plane, phone, 10)
    await plane.close()


@pytest.fixture
def _few_descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (120, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("_few_descriptors")
async def test_descriptors_that_are_all_taken(phone: Opener) -> None:
    plane = LocalPlane(Facilities(RealNetwork(), host="127.0.0.1", ports=PortRange(23_100, 23_999)))
    await plane.start()
    caller, callee = await phone("anna"), await phone("bob")
    profile = LegProfile(host="127.0.0.1")

    async def make_offers() -> None:
        for number in range(60):
            await plane.offer(
                f"call-{number}", "a", "b", caller.sdp(), source_profile=profile, target_profile=profile
            )

    with pytest.raises(NoFreePort):
        await make_offers()
    left = plane.bridges
    assert left > 5
    for number in range(left):
        await plane.delete(f"call-{number}")
    call = Call(plane)
    call.add("caller", caller, profile)
    call.add("callee", callee, profile)
    await call.join("caller", "callee")
    await talk(caller, callee)
    await plane.close()


async def test_an_address_that_is_not_ours(phone: Opener) -> None:
    plane = LocalPlane(Facilities(RealNetwork(), host="127.0.0.1", ports=PortRange(23_000, 29_999)))
    await plane.start()
    caller = await phone("anna")
    with pytest.raises(NoFreePort):
        await plane.offer(
            "call",
            "a",
            "b",
            caller.sdp(),
            source_profile=LegProfile(),
            target_profile=LegProfile(host="192.0.2.77"),
        )
    assert plane.bridges == 0
    await plane.close()
