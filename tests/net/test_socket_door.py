# SPDX-License-Identifier: Apache-2.0
"""Does a real socket ask the door, and does nobody miss what is sent away there who should see it?"""

import asyncio
from collections.abc import Sequence

from ringback.kernel import Door
from ringback.net.driver import StackDriver
from ringback.net.gate import FlowMessage
from ringback.net.resolver import Resolver
from ringback.net.sockets import RealNetwork
from ringback.net.udp_socket import UdpSocket, bound_udp_socket
from ringback.sip.flow import Address, Flow, Transport
from ringback.sip.identifiers import Identifiers
from ringback.sip.stack import SipStack
from ringback.testing import Network, messages

ANYWHERE = Address("127.0.0.1", 0)
CALLS = 200


def shut_door() -> Door:
    """For calls from this machine."""
    door = Door(b"s" * 16, [set(), set()], [set(), set()], 1000, 1)
    door.full[0].add("127.0.0.1")
    return door


def calls(source: Address, count: int = CALLS) -> list[bytes]:
    return [
        messages.request(
            "INVITE", "sip:bob@example.com", via=f"SIP/2.0/UDP {source}", branch=f"z9hG4bK{number}"
        )
        for number in range(count)
    ]


class Heard:
    """Everything a socket hands on."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self._more = asyncio.Event()

    def received(self, batch: Sequence[tuple[bytes, object]]) -> None:
        self.messages += [data for data, _ in batch]
        self._more.set()

    async def so_many(self, count: int) -> list[bytes]:
        while len(self.messages) < count:
            self._more.clear()
            await asyncio.wait_for(self._more.wait(), 5)
        return self.messages


async def test_a_socket_with_a_door_answers_there_and_hands_on_the_rest():
    server, phone = Heard(), Heard()
    sockets = [UdpSocket(bound_udp_socket(ANYWHERE), heard.received) for heard in (server, phone)]
    sockets[0].answer_by(shut_door())
    bye = messages.request("BYE", "sip:bob@example.com")

    sockets[1].send_batch([(data, sockets[0].local) for data in (*calls(sockets[1].local), bye)])

    answers = await phone.so_many(CALLS)
    assert {data[:11] for data in answers} == {b"SIP/2.0 503"}
    assert await server.so_many(1) == [bye]
    counted = sockets[0].statistics
    assert (counted.received, counted.sent, counted.errors) == (CALLS + 1, CALLS, 0)
    sockets[0].answer_by(None)
    sockets[1].send_batch([(data, sockets[0].local) for data in calls(sockets[1].local, 3)])
    assert len(await server.so_many(4)) == 4
    for each in sockets:
        each.close()


class ShutGate:
    """A gate that never opens, and keeps what it gets."""

    is_open = False

    def __init__(self) -> None:
        self.door: Door | None = shut_door()
        self.heard = Heard()

    def sort(self, batch: Sequence[FlowMessage], now: float) -> None:
        self.heard.received(batch)

    def take(self, now: float) -> list[FlowMessage]:
        return []

    def answers(self) -> list[FlowMessage]:
        return []

    def pause(self) -> float | None:
        return None

    def late(self, seconds: float, now: float) -> None:
        """Nothing is."""

    def trust(self, flow: Flow, now: float) -> None:
        """Nobody is."""


async def test_the_gate_hears_nothing_of_them_unless_somebody_watches():
    gate, phone = ShutGate(), Heard()
    driver = StackDriver(
        SipStack(Identifiers(bytes)),
        RealNetwork(),
        resolver=Resolver(Network().dns),
        handler=print,
        gate=gate,
    )
    endpoint = await driver.listen(Transport.UDP, ANYWHERE)
    caller = UdpSocket(bound_udp_socket(ANYWHERE), phone.received)
    first, *others = calls(caller.local)

    caller.send(first, endpoint.local)
    assert await gate.heard.so_many(1) == [first], "the door is known with the first of them"
    caller.send_batch([(data, endpoint.local) for data in others])
    await phone.so_many(CALLS - 1)
    assert len(gate.heard.messages) == 1

    end = driver.watch(lambda *_: None)
    bye = messages.request("BYE", "sip:bob@example.com")
    caller.send(bye, endpoint.local)
    await gate.heard.so_many(2)
    caller.send(first, endpoint.local)
    assert await gate.heard.so_many(3) == [first, bye, first]
    end()

    driver.gate = None
    assert driver.gate is None
    caller.close()
    await driver.close()
