# SPDX-License-Identifier: Apache-2.0
"""Two stacks back to back over a network that loses, repeats and reorders, by seed and without any clock."""

from collections import Counter
from dataclasses import dataclass, field
from heapq import heappop, heappush
from random import Random

import pytest

from ringback.sip.events import (
    AckReceived,
    CancelReceived,
    Event,
    RequestReceived,
    RequestTimedOut,
    ResponseReceived,
    ServerTransactionFailed,
)
from ringback.sip.flow import Address, Flow, Transport
from ringback.sip.identifiers import Identifiers
from ringback.sip.message.message import Request, Response
from ringback.sip.stack import SipStack
from ringback.sip.transaction.client import ClientTransaction
from ringback.sip.transaction.server import ServerTransaction

CALLER, CALLEE = Address("192.0.2.1", 5060), Address("192.0.2.2", 5060)
FINAL = {"busy": 486, "accept": 200, "cancel": 487, "ask": 200, "slow": 200}


@dataclass(eq=False)
class World:
    """A caller, a callee, and what is under way between them."""

    seed: int
    loss: float
    transport: Transport = Transport.UDP
    now: float = 0.0
    outcomes: dict[ClientTransaction, list[str]] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    unacknowledged: dict[str, tuple[ServerTransaction, Response]] = field(default_factory=dict)
    trace: list[tuple[float, bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chance = Random(self.seed)
        self.caller = SipStack(Identifiers(Random(self.seed).randbytes))
        self.callee = SipStack(Identifiers(Random(-self.seed - 1).randbytes))
        self.wire: list[tuple[float, int, bytes, SipStack, Flow]] = []
        self.order = 0
        connection = 0 if self.transport is Transport.UDP else 1
        self.out = Flow(self.transport, CALLER, CALLEE, connection, sent_by="192.0.2.1")
        self.back = Flow(self.transport, CALLEE, CALLER, connection, sent_by="192.0.2.2")

    # --- the network

    def put(self, data: bytes, target: SipStack, flow: Flow) -> None:
        self.trace.append((self.now, data))
        if self.transport.is_reliable:
            self.deliver(data, target, flow, 0.02)
            return
        for _ in range(2 if self.chance.random() < 0.05 else 1):
            if self.chance.random() >= self.loss:
                self.deliver(data, target, flow, self.chance.uniform(0.01, 0.2))

    def deliver(self, data: bytes, target: SipStack, flow: Flow, delay: float) -> None:
        self.order += 1
        heappush(self.wire, (self.now + delay, self.order, data, target, flow))

    def drain(self) -> None:
        for stack, peer, flow in (
            (self.caller, self.callee, self.back),
            (self.callee, self.caller, self.out),
        ):
            for data, _ in stack.to_send():
                self.put(data, peer, flow)
            while (event := stack.next_event()) is not None:
                self.notice(event)
                for data, _ in stack.to_send():
                    self.put(data, peer, flow)

    def run(self) -> None:
        self.drain()
        while True:
            stacks = [
                (at, stack)
                for stack in (self.caller, self.callee)
                if (at := stack.next_deadline()) is not None
            ]
            due = min((at for at, _ in stacks), default=None)
            if self.wire and (due is None or self.wire[0][0] <= due):
                self.now, _, data, stack, flow = heappop(self.wire)
                stack.receive(data, flow, self.now)
            elif due is not None:
                self.now = due
                for at, stack in stacks:
                    if at == due:
                        stack.handle_timer(due)
            else:
                return
            self.drain()
            assert self.now < 10_000

    # --- the users

    def send(self, kind: str, number: int) -> None:
        request = Request.new(
            "OPTIONS" if kind in ("ask", "slow") else "INVITE",
            "sip:bob@192.0.2.2",
            from_=f"<sip:alice@192.0.2.1>;tag=a{number}",
            to="<sip:bob@192.0.2.2>",
            call_id=f"{kind}-{number}",
            cseq=1,
            headers=[("Contact", "<sip:alice@192.0.2.1>")],
        )
        transaction = self.caller.send_request(request, now=self.now, flow=self.out)
        self.outcomes[transaction] = []
        if (
            transaction.is_invite
        ):  # nobody listens to a ring tone forever: in the stack itself PROCEEDING has no end
            self.caller.deadlines.arm(self.now + 180.0, lambda now: self.caller.cancel(transaction, now=now))

    def notice(self, event: Event) -> None:
        if isinstance(event, ResponseReceived):
            self.answered(event.transaction, event.response)
        elif isinstance(event, RequestTimedOut):
            self.outcomes[event.transaction].append("timeout")
        elif isinstance(event, RequestReceived):
            self.asked_for(event.request, event.transaction)
        elif isinstance(event, CancelReceived):
            response = self.callee.make_response(event.transaction, 487)
            self.callee.respond(event.transaction, response, now=self.now)
        elif isinstance(event, AckReceived):
            self.unacknowledged.pop(event.request.call_id, None)
        else:
            assert isinstance(event, ServerTransactionFailed)

    def answered(self, transaction: ClientTransaction, response: Response) -> None:
        kind = response.call_id.partition("-")[0]
        if response.status == 180 and kind == "cancel":
            self.caller.cancel(transaction, now=self.now)
        if response.status >= 200 and str(response.status) not in self.outcomes[transaction]:
            self.outcomes[transaction].append(str(response.status))
        if response.status == 200 and response.cseq.method == "INVITE":
            ack = Request.new(
                "ACK",
                "sip:bob@192.0.2.2",
                from_=response.from_,
                to=response.to,
                call_id=response.call_id,
                cseq=1,
            )
            self.caller.send_stateless(ack, now=self.now, flow=self.out)

    def asked_for(self, request: Request, transaction: ServerTransaction) -> None:
        self.asked[request.call_id] += 1
        kind = request.call_id.partition("-")[0]
        if kind == "ask":
            self.finish(transaction, 200)
            return
        if kind != "slow":
            self.callee.respond(transaction, self.callee.make_response(transaction, 180), now=self.now)
        if kind != "cancel":
            wait = self.now + (6.0 if kind == "slow" else 2.0)
            self.callee.deadlines.arm(wait, lambda now: self.finish(transaction, FINAL[kind]))
        else:
            self.callee.deadlines.arm(self.now + 120.0, lambda now: self.finish(transaction, 480))

    def finish(self, transaction: ServerTransaction, status: int) -> None:
        response = self.callee.make_response(transaction, status)
        self.callee.respond(transaction, response, now=self.callee.now)
        if status == 200 and transaction.is_invite:
            self.unacknowledged[transaction.request.call_id] = (transaction, response)
            self.repeat_success(transaction, response, 0.5, self.callee.now + 32.0)

    def repeat_success(
        self, transaction: ServerTransaction, response: Response, interval: float, end: float
    ) -> None:
        """13.3.1.4, as a session would do it."""

        def again(now: float) -> None:
            if transaction.request.call_id in self.unacknowledged and now < end:
                self.callee.respond(transaction, response, now=now)
                self.repeat_success(transaction, response, min(2 * interval, 4.0), end)

        self.callee.deadlines.arm(self.callee.now + interval, again)


def played(seed: int, loss: float, transport: Transport = Transport.UDP, rounds: int = 4) -> World:
    world = World(seed, loss, transport)
    for number in range(rounds):
        for kind in FINAL:
            world.send(kind, number)
    world.run()
    return world


def check(world: World) -> None:
    assert world.caller.pending == world.callee.pending == (0, 0, 0)
    assert set(world.asked.values()) <= {1}
    for transaction, outcome in world.outcomes.items():
        assert len(outcome) == 1, (transaction.request.call_id, outcome)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("loss", [0.0, 0.1, 0.3, 0.6])
def test_every_request_has_one_outcome_and_nothing_is_left(seed: int, loss: float) -> None:
    check(played(seed, loss))


def test_without_loss_every_request_gets_its_answer() -> None:
    for transport in (Transport.UDP, Transport.TCP):
        world = played(1, 0.0, transport)
        check(world)
        for transaction, outcome in world.outcomes.items():
            kind = transaction.request.call_id.partition("-")[0]
            assert outcome == [str(FINAL[kind])]


def test_at_ten_percent_loss_nothing_but_the_caller_notices() -> None:
    outcomes = Counter(outcome[0] for seed in range(20) for outcome in played(seed, 0.1).outcomes.values())
    assert outcomes["timeout"] == 0


def test_a_dead_peer_times_out_everything() -> None:
    world = played(1, 1.0)
    check(world)
    assert {outcome[0] for outcome in world.outcomes.values()} == {"timeout"}
    assert not world.asked


def test_the_same_seed_gives_the_same_messages() -> None:
    assert played(5, 0.3).trace == played(5, 0.3).trace
    assert played(5, 0.3).trace != played(6, 0.3).trace
