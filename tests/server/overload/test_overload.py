# SPDX-License-Identifier: Apache-2.0
"""What do callers see of a server that gets several times what it can do? In virtual time, with a processor
that is busy for a millisecond with each new call and for a tenth of one with everything else.

Callers do not wait for each other (an open loop), repeat what is not answered, and count an answer that comes
within 4 seconds. The figures are those of the reliability design, 4.4.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field

import pytest

from ringback.net.driver import StackDriver
from ringback.net.resolver import Resolver
from ringback.server.overload.gate import OverloadGate, OverloadPolicy
from ringback.sip.events import AckReceived, Event, RequestReceived
from ringback.sip.flow import Address, Transport
from ringback.sip.identifiers import Identifiers
from ringback.sip.stack import SipStack
from ringback.testing import Network, Peer, messages, run
from ringback.testing.clock import JumpingLoop

SERVER = Address("10.0.0.1", 5060)
NEW_CALL, OTHER_WORK = 0.001, 0.0001
#: New calls a second that can be done: each brings an ACK and a BYE.
CAPACITY = 1 / (NEW_CALL + 2 * OTHER_WORK)
PATIENCE = 4.0


def busy(seconds: float) -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, JumpingLoop)
    loop.work(seconds)


class BusyServer:
    """Answers every INVITE with 200 and everything else too, at a price."""

    def __init__(self, network: Network, *, has_gate: bool = True) -> None:
        chance = random.Random(1)
        self.stack = SipStack(Identifiers(chance.randbytes), keep_requests=False)
        self.gate = OverloadGate(OverloadPolicy(), secret=b"s" * 16, wall_clock=lambda: 0.0)
        self.driver = StackDriver(
            self.stack,
            network.host(SERVER.host),
            resolver=Resolver(network.dns),
            handler=self._serve,
            gate=self.gate if has_gate else None,
        )

    def _serve(self, event: Event) -> None:
        if isinstance(event, AckReceived):
            busy(OTHER_WORK)
        elif isinstance(event, RequestReceived):
            busy(NEW_CALL if event.request.method == "INVITE" else OTHER_WORK)
            response = self.stack.make_response(event.transaction, 200)
            self.driver.perform(self.stack.respond_stateless, event.transaction, response)


@dataclass(slots=True)
class Attempt:
    """One call of one caller."""

    invite: bytes
    began: float
    answered: float | None = None
    status: int = 0
    bye_answered: bool = False


@dataclass
class Callers:
    """Many callers on one host; each call is INVITE, ACK and BYE, repeated as RFC 3261 says."""

    network: Network
    host: str
    target: str = "sip:bob@example.com"
    attempts: dict[bytes, Attempt] = field(default_factory=dict)
    byes: int = 0

    async def start(self) -> None:
        self.socket = await self.network.host(self.host).bind_datagram(
            Address(self.host, 5060), self._received
        )

    async def call(self, rate: float, seconds: float, chance: random.Random) -> None:
        """Calls at random times, whatever becomes of those before."""
        loop = asyncio.get_running_loop()
        at = loop.time()
        until = at + seconds
        while at < until:
            at += chance.expovariate(rate)
            if at > loop.time():
                await asyncio.sleep(at - loop.time())
            self._begin(at)

    def goodput(self, since: float, until: float) -> float:
        """Calls a second that were answered in time."""
        good = [
            one
            for one in self.attempts.values()
            if since <= one.began < until and one.status == 200 and one.answered - one.began <= PATIENCE  # type: ignore[operator]
        ]
        return len(good) / (until - since)

    def offered(self, since: float, until: float) -> float:
        """Calls a second that were begun."""
        return sum(since <= one.began < until for one in self.attempts.values()) / (until - since)

    def share_of_byes_answered(self) -> float:
        """1.0: all."""
        return sum(one.bye_answered for one in self.attempts.values()) / self.byes

    def delays(self, since: float = 0.0) -> list[float]:
        """How long those who were answered with 200 waited, shortest first."""
        return sorted(
            one.answered - one.began
            for one in self.attempts.values()
            if one.status == 200 and one.answered is not None and one.began >= since
        )

    def _begin(self, at: float) -> None:
        number = len(self.attempts)
        branch = f"z9hG4bK{self.host}-{number}"
        invite = messages.request("INVITE", self.target, branch=branch, call_id=f"{number}@{self.host}")
        one = self.attempts[branch.encode()] = Attempt(invite, at)
        self._send(one, 0.5)

    def _send(self, one: Attempt, interval: float) -> None:
        """Timer A."""
        loop = asyncio.get_running_loop()
        if not one.status and loop.time() - one.began < 32.0:
            self.socket.send(one.invite, SERVER)
            loop.call_later(interval, self._send, one, 2 * interval)

    def _received(self, batch: object) -> None:
        for data, _source in batch:  # type: ignore[attr-defined]
            branch = data.partition(b"branch=")[2].partition(b";")[0]
            if branch in self.attempts:
                self._answered(self.attempts[branch], data)
            elif branch.endswith(b"-bye"):
                self.attempts[branch.removesuffix(b"-bye")].bye_answered = True

    def _answered(self, one: Attempt, data: bytes) -> None:
        status = int(data[8:11])
        if status < 200 or one.status:
            return
        loop = asyncio.get_running_loop()
        one.status, one.answered = status, loop.time()
        to = data.partition(b"\r\nTo: ")[2].partition(b"\r\n")[0]
        ack = one.invite.replace(b"INVITE sip", b"ACK sip").replace(b"1 INVITE", b"1 ACK")
        head, _, rest = ack.partition(b"\r\nTo: ")
        ack = head + b"\r\nTo: " + to + rest[rest.index(b"\r\n") :]
        if status == 200:
            bye = (
                ack.replace(b"ACK sip", b"BYE sip")
                .replace(b"1 ACK", b"2 BYE")
                .replace(b";rport", b"-bye;rport")
            )
            ack = ack.replace(b";rport", b"-ack;rport")
            loop.call_later(0.2, self._hang_up, one, bye, 0.5)
            self.byes += 1
        self.socket.send(ack, SERVER)

    def _hang_up(self, one: Attempt, bye: bytes, interval: float) -> None:
        """Timer E."""
        if not one.bye_answered and interval < 32.0:
            self.socket.send(bye, SERVER)
            asyncio.get_running_loop().call_later(interval, self._hang_up, one, bye, 2 * interval)


class World:
    """A server and its callers."""

    def __init__(self, *, has_gate: bool = True) -> None:
        self.network, self.chance = Network(seed=3), random.Random(5)
        self.server = BusyServer(self.network, has_gate=has_gate)

    async def start(self) -> Callers:
        await self.server.driver.listen(Transport.UDP, SERVER)
        return await self.callers("10.0.0.9")

    async def callers(self, host: str, target: str = "sip:bob@example.com") -> Callers:
        callers = Callers(self.network, host, target)
        await callers.start()
        return callers

    async def end(self) -> None:
        """When all is quiet again."""
        await asyncio.sleep(40)
        await self.server.driver.close()


def measured(factor: float, *, has_gate: bool = True) -> Callers:
    """Four seconds of `factor` times what can be done."""

    async def main() -> Callers:
        world = World(has_gate=has_gate)
        callers = await world.start()
        await callers.call(factor * CAPACITY, 4.0, world.chance)
        await world.end()
        return callers

    return run(main())


@pytest.mark.parametrize(
    ("factor", "least"), [(0.8, 0.78), (1.2, 0.98), (2.0, 0.98), (5.0, 0.98), (10.0, 0.98)]
)
def test_goodput_stays_near_capacity_however_much_comes(factor: float, least: float):
    callers = measured(factor)
    delays = callers.delays(since=2.5)
    assert callers.goodput(0.0, 4.0) >= least * CAPACITY
    assert callers.share_of_byes_answered() == 1.0, "whoever is in can always hang up"
    assert delays[len(delays) // 2] <= 0.03
    assert delays[int(len(delays) * 0.99)] <= 0.3
    assert callers.delays()[-1] <= 1.0, "also while it was found out that this is no burst"


def test_without_a_gate_there_is_nothing_left_of_it():
    assert measured(3.0, has_gate=False).goodput(1.0, 4.0) < 0.2 * CAPACITY


def test_all_calls_are_served_again_a_second_after_the_rush():
    async def main() -> tuple[float, float]:
        world = World()
        callers = await world.start()
        await callers.call(5 * CAPACITY, 5.0, world.chance)
        rush_ended = asyncio.get_running_loop().time()
        await callers.call(0.8 * CAPACITY, 4.0, world.chance)
        ended = asyncio.get_running_loop().time()
        await world.end()
        return callers.goodput(rush_ended + 1.0, ended), callers.offered(rush_ended + 1.0, ended)

    good, offered = run(main())
    assert good >= 0.99 * offered


def test_every_call_for_help_gets_through_at_ten_times_what_can_be_done():
    async def main() -> Callers:
        world = World()
        callers = await world.start()
        in_need = await world.callers("10.0.0.7", "urn:service:sos")
        await asyncio.gather(
            callers.call(10 * CAPACITY, 4.0, world.chance), in_need.call(20.0, 4.0, world.chance)
        )
        await world.end()
        return in_need

    in_need = run(main())
    assert all(one.status == 200 for one in in_need.attempts.values())
    assert in_need.delays()[-1] <= 0.2


def test_callers_on_a_connection_are_served_in_the_same_order():
    async def main() -> tuple[list[str], dict[str, object]]:
        world = World()
        callers = await world.start()
        await world.server.driver.listen(Transport.TCP, SERVER)
        peer = await Peer.connect(world.network.host("10.0.0.7"), SERVER)
        calling = asyncio.create_task(callers.call(5 * CAPACITY, 2.0, world.chance))
        await asyncio.sleep(1.0)
        invites = [
            messages.request(
                "INVITE", "sip:bob@example.com", via="SIP/2.0/TCP 10.0.0.7", to="<sip:b@c>;tag=1"
            )
            for _ in range(20)
        ]
        peer.send(b"".join(invites))
        heard = [await peer.expect(200, timeout=1.0) for _ in invites]
        await calling
        await world.end()
        return [response.call_id for response in heard], world.server.gate.status()

    call_ids, status = run(main())
    assert len(set(call_ids)) == 20, "re-INVITEs: nothing in a dialog is refused"
    assert status["overloads"] == 1
