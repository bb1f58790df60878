# SPDX-License-Identifier: Apache-2.0
"""Is a batch of messages worked on as if they had come one by one, at the price of one?"""

import asyncio
import logging
from collections.abc import Sequence

import pytest
from element import Element, request_to

from ringback.net.driver import BEHIND as BATCH
from ringback.net.gate import FlowMessage
from ringback.net.udp import REMEMBERED_FLOWS, Flows
from ringback.sip.events import CancelReceived, Event, RequestReceived
from ringback.sip.flow import Address, Flow, Transport
from ringback.testing import Network, Peer, messages, run

ALICE, BOB = "10.0.0.1", "10.0.0.2"
AT_BOB = Address(BOB, 5060)
FLOW = Flow(Transport.UDP, AT_BOB, Address(ALICE, 5060), 0, f"{BOB}:5060")


async def listening(network: Network) -> tuple[Element, Peer]:
    """Bob, and a peer that he can answer."""
    bob = Element(network.host(BOB), dns=network.dns)
    await bob.listen(Transport.UDP, AT_BOB)
    return bob, await Peer.bind(network.host(ALICE), Address(ALICE, 5060))


def options(number: int) -> FlowMessage:
    return messages.request("OPTIONS", "sip:bob@example.com", branch=f"z9hG4bK{number}"), FLOW


def test_a_cancel_right_behind_its_invite_finds_it():
    async def main() -> list[type[Event]]:
        bob, _peer = await listening(Network())
        bob.status = 0
        parts = {"branch": "z9hG4bKone", "call_id": "one", "from_": "<sip:a@b>;tag=a"}
        invite = messages.request("INVITE", "sip:bob@example.com", **parts)  # type: ignore[arg-type]
        cancel = messages.request("CANCEL", "sip:bob@example.com", **parts)  # type: ignore[arg-type]
        bob.driver.receive_batch([(invite, FLOW), (cancel, FLOW)])
        await bob.close()
        return [type(event) for event in bob.events]

    assert run(main()) == [RequestReceived, CancelReceived]


def test_what_all_messages_of_a_batch_want_sent_leaves_together_and_in_order():
    async def main() -> tuple[list[int], list[bytes]]:
        bob, peer = await listening(Network())
        sizes: list[int] = []
        send_batch = bob.driver.transports.send_batch

        def counted(batch: Sequence[FlowMessage]) -> list[Flow]:
            sizes.append(len(batch))
            return send_batch(batch)

        bob.driver.transports.send_batch = counted  # type: ignore[method-assign]
        bob.driver.receive_batch([options(number) for number in range(10)])
        heard = [await peer.hear(timeout=1.0) for _ in range(10)]
        await bob.close()
        return sizes, heard

    sizes, heard = run(main())
    assert sizes == [10]
    assert [data.partition(b"branch=z9hG4bK")[2][:1] for data in heard] == [
        b"%d" % number for number in range(10)
    ]


def test_a_consumer_that_fails_costs_one_message_of_the_batch(caplog: pytest.LogCaptureFixture):
    async def main() -> list[int]:
        bob, peer = await listening(Network())
        answer = bob.handle

        def handle(event: Event) -> None:
            if isinstance(event, RequestReceived) and event.request.top_via.branch == "z9hG4bK1":
                raise ZeroDivisionError
            answer(event)

        bob.driver.handler = handle
        bob.driver.receive_batch([options(number) for number in range(3)])
        statuses = [int((await peer.hear(timeout=1.0))[8:11]) for _ in range(3)]
        await bob.close()
        return statuses

    with caplog.at_level(logging.CRITICAL, "ringback.net"):
        assert run(main()) == [200, 500, 200]


def test_time_stands_still_while_a_batch_is_worked_on():
    async def main() -> list[float]:
        bob, _peer = await listening(Network())
        times: list[float] = []
        loop = asyncio.get_running_loop()

        def handle(_event: Event) -> None:
            times.append(bob.driver.now)
            loop.work(0.5)  # type: ignore[attr-defined]

        bob.driver.handler = handle
        bob.driver.receive_batch([options(number) for number in range(3)])
        times.append(bob.driver.now)
        await bob.close()
        return times

    assert run(main()) == [0.0, 0.0, 0.0, 1.5]


def test_messages_after_the_end_are_nobodys():
    async def main() -> list[Event]:
        bob, _peer = await listening(Network())
        await bob.close()
        bob.driver.receive_batch([options(1)])
        return bob.events

    assert run(main()) == []


def test_a_peer_is_the_same_flow_object_each_time():
    async def main() -> list[Flow]:
        network = Network()
        bob, peer = await listening(network)
        for number in range(3):
            peer.send(options(number)[0], AT_BOB)
            await peer.hear(timeout=1.0)
        await bob.close()
        return bob.flows

    first, *others = run(main())
    assert all(flow is first for flow in others)
    assert first == FLOW


def test_strangers_cannot_make_the_table_of_flows_grow_without_end():
    flows = Flows(AT_BOB, "")
    for number in range(3 * REMEMBERED_FLOWS):
        flow = flows[Address(ALICE, number)]
        assert flow.remote == (ALICE, number)
    assert len(flows) <= REMEMBERED_FLOWS


class TakesTurns:
    """A gate that serves what came last first, five at a time, and answers one in ten by itself."""

    door = None

    def __init__(self) -> None:
        self.is_open = True
        self.waiting: list[FlowMessage] = []
        self.said: list[FlowMessage] = []
        self.delays: list[float] = []

    def sort(self, batch: Sequence[FlowMessage], now: float) -> None:
        self.is_open = False
        for number, message in enumerate(batch):
            if number % 10 == 0:
                self.said.append((b"SIP/2.0 503 No\r\n\r\n", message[1]))
            else:
                self.waiting.append(message)

    def take(self, now: float) -> list[FlowMessage]:
        taken, self.waiting = self.waiting[:-6:-1], self.waiting[:-5]
        self.is_open = not self.waiting
        return taken

    def answers(self) -> list[FlowMessage]:
        said, self.said = self.said, []
        return said

    def pause(self) -> float | None:
        return 0.0 if self.waiting else None

    def late(self, seconds: float, now: float) -> None:
        self.delays.append(seconds)

    def trust(self, flow: Flow, now: float) -> None:
        pass


def test_a_gate_is_not_asked_before_more_waits_than_one_read_can_take():
    async def main() -> tuple[int, int, bool]:
        bob, _peer = await listening(Network())
        gate = TakesTurns()
        bob.driver.gate = gate
        bob.driver.receive_batch([options(number) for number in range(BATCH)])
        direct = len(bob.requests)
        bob.driver.receive_batch([options(1000 + number) for number in range(BATCH + 1)])
        assert len(bob.requests) == direct, "all wait"
        bob.driver.receive_batch([options(5000)])
        await asyncio.sleep(1)
        await bob.close()
        answered = sum(data.startswith(b"SIP/2.0 503") for data, _flow in bob.sent)
        return direct, len(bob.requests) + answered, gate.is_open

    assert run(main()) == (BATCH, 2 * BATCH + 2, True)


def test_what_a_gate_hands_back_is_worked_on_in_its_order_and_the_trace_shows_everything():
    async def main() -> tuple[list[str | None], int, int]:
        bob, _peer = await listening(Network())
        bob.driver.gate = TakesTurns()
        bob.driver.receive_batch([options(number) for number in range(BATCH + 1)])
        await asyncio.sleep(1)
        await bob.close()
        return [request.top_via.branch for request in bob.requests], len(bob.received), len(bob.sent)

    branches, received, sent = run(main())
    served = [number for number in range(BATCH, 0, -1) if number % 10]
    assert branches == [f"z9hG4bK{number}" for number in served]
    assert received == sent == BATCH + 1


def test_a_gate_hears_how_late_timers_are():
    async def main() -> list[float]:
        network = Network()
        bob, _peer = await listening(network)
        gate = TakesTurns()
        bob.driver.gate = gate
        asking = asyncio.create_task(bob.ask(f"sip:nobody@{ALICE}:5999"))
        loop = asyncio.get_running_loop()
        loop.call_later(0.45, loop.work, 0.3)  # type: ignore[attr-defined]
        await asyncio.sleep(5.0)
        asking.cancel()
        await bob.close()
        return gate.delays

    delays = run(main())
    assert max(delays) == pytest.approx(0.25, abs=0.02)
    assert min(delays) == pytest.approx(0.0, abs=0.01)


def test_the_same_over_real_sockets_in_a_burst(caplog: pytest.LogCaptureFixture):
    from ringback.net.sockets import RealNetwork

    async def main() -> tuple[int, int]:
        bob, alice = Element(RealNetwork()), Element(RealNetwork())
        gate = TakesTurns()
        bob.driver.gate = gate
        at = await bob.listen(Transport.UDP, Address("127.0.0.1", 0))
        await alice.listen(Transport.UDP, Address("127.0.0.1", 0))
        for _ in range(300):
            alice.driver.perform(alice.stack.send_request, request_to(f"sip:bob@{at.local}"))
        async with asyncio.timeout(5):
            while len(bob.sent) < 300:
                await asyncio.sleep(0.01)
        counts = len(bob.requests), len(bob.sent)
        await bob.close()
        await alice.close()
        return counts

    with caplog.at_level(logging.CRITICAL):
        requests, sent = asyncio.run(main())
    assert 270 <= requests < 300
    assert sent >= 300
