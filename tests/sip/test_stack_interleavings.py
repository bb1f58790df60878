# SPDX-License-Identifier: Apache-2.0
"""Every pair of messages in every state: CANCEL for an answered call, ACK for nothing, INVITE twice."""

from collections import Counter
from itertools import product

import pytest
from stack_bench import TCP, UDP, StackBench, answer, incoming, outgoing

from ringback.sip.events import (
    FlowNeeded,
    RequestReceived,
    RequestTimedOut,
    ResponseReceived,
    TransportFailed,
)
from ringback.sip.flow import Flow
from ringback.sip.message.message import Response

#: What may come from a caller, whatever it did before.
REQUESTS = {
    "INVITE": incoming(),
    "INVITE over another path": incoming(branch="z9hG4bKpath"),
    "INVITE again with one CSeq": incoming(branch="z9hG4bKtwice", to_tag="ours"),
    "INVITE of RFC 2543": incoming(branch=None),
    "CANCEL": incoming("CANCEL"),
    "CANCEL of RFC 2543": incoming("CANCEL", branch=None),
    "CANCEL forged": incoming("CANCEL", call_id="forged"),
    "ACK to a failure": incoming("ACK", to_tag="ours"),
    "ACK to a success": incoming("ACK", branch="z9hG4bKack", to_tag="ours"),
    "ACK to nothing": incoming("ACK", branch="z9hG4bKnothing"),
    "BYE": incoming("BYE", branch="z9hG4bKbye", to_tag="ours", cseq=2),
    "BYE with the branch of the INVITE": incoming("BYE", to_tag="ours", cseq=2),
    "PRACK": incoming("PRACK", branch="z9hG4bKprack", to_tag="ours", cseq=2, lines=("RAck: 9 9 INVITE",)),
    "UPDATE": incoming("UPDATE", branch="z9hG4bKupdate", to_tag="ours", cseq=1),
    "OPTIONS": incoming("OPTIONS", branch="z9hG4bKoptions"),
    "malformed": incoming().replace(b"CSeq: 1 INVITE", b"CSeq: one INVITE"),
}
#: What was done with an INVITE before the pair arrives.
BEFORE = ("nothing", "unanswered", "ringing", "refused", "acknowledged", "answered", "ended", "unauthorised")


def prepared(before: str, *, keep_requests: bool, flow: Flow) -> StackBench:
    bench = StackBench(keep_requests=keep_requests)
    if before == "nothing":
        return bench
    bench.receive(REQUESTS["INVITE"], flow)
    (event,) = bench.take(RequestReceived)
    if before == "unauthorised":
        bench.respond(event.transaction, 401, stateless=True)
        return bench
    bench.stack.keep(event.transaction, now=0.0)
    status = {"ringing": 180, "refused": 486, "acknowledged": 486, "ended": 486, "answered": 200}.get(before)
    if status is not None:
        bench.respond(event.transaction, status)
    if before in ("acknowledged", "ended"):
        bench.receive(incoming("ACK", to_tag=event.transaction.local_tag), flow)
    if before == "ended":
        bench.run(50.0)
    bench.events.append(event)
    return bench


def answer_everything(bench: StackBench, status: int) -> None:
    for event in bench.take(RequestReceived):
        bench.respond(event.transaction, status)


@pytest.mark.parametrize("flow", [UDP, TCP], ids=["UDP", "TCP"])
@pytest.mark.parametrize("keep_requests", [True, False], ids=["user agent", "server"])
@pytest.mark.parametrize("before", BEFORE)
def test_any_two_requests_in_any_state_are_answered_as_they_should_and_leave_nothing(
    before: str, keep_requests: bool, flow: Flow
) -> None:
    for (one, first), (two, second) in product(REQUESTS.items(), repeat=2):
        for status in (200, 486):
            bench = prepared(before, keep_requests=keep_requests, flow=flow)
            case = f"{before}: {one}, {two}, answered {status}"
            for data in (first, second):
                replies = bench.receive(data, flow)
                check_replies(data, replies, case)  # type: ignore[arg-type]
            answer_everything(bench, status)
            bench.run(bench.now + 200.0)
            answer_everything(bench, status)
            bench.run(bench.now + 200.0)
            assert bench.is_quiet(), case
            if before != "ended" and not (flow is TCP and before in ("refused", "acknowledged")):
                check_finals(bench, case)  # what comes after the end of a transaction is a new request


def check_replies(data: bytes, replies: list[Response], case: str) -> None:
    """What the stack says by itself, before anybody above has spoken."""
    if data.startswith(b"ACK"):
        assert replies == [], case
    elif data.startswith(b"CANCEL"):
        assert [reply.status for reply in replies] in ([200], [481]), case
    else:
        assert all(reply.status in (180, 200, 400, 401, 482, 486) for reply in replies), case


def check_finals(bench: StackBench, case: str) -> None:
    """One transaction never gets two different final responses."""
    seen: dict[tuple[str, str, str], set[int]] = {}
    for message in bench.messages():
        assert isinstance(message, Response), case
        if message.status in (400, 401, 481, 482) or message.status < 200:
            continue  # stateless, so each repetition is answered on its own; or not final
        assert message.cseq.method != "ACK", case
        key = (message.top_via.branch or "", message.cseq.method, message.call_id)
        seen.setdefault(key, set()).add(message.status)
    for key, statuses in seen.items():
        assert len(statuses) == 1 or key[1] == "CANCEL", (case, key, statuses)


#: What may happen to an INVITE of ours.
HAPPENINGS = (
    "100",
    "180",
    "200",
    "200 of another fork",
    "486",
    "503",
    "stray",
    "cancel",
    "flow lost",
    "wait",
    "next",
)


def happen(bench: StackBench, transaction: object, what: str) -> None:
    from ringback.sip.transaction.client import ClientTransaction

    assert isinstance(transaction, ClientTransaction)
    request = transaction.request
    if what == "cancel":
        bench.stack.cancel(transaction, now=bench.now)
    elif what == "flow lost":
        assert transaction.flow is not None
        bench.stack.flow_failed(transaction.flow, now=bench.now)
    elif what == "wait":
        bench.run(bench.now + 2.0)
    elif what == "next":
        bench.stack.use_flow(transaction, UDP, now=bench.now, more=True)
    elif what == "stray":
        bench.receive(answer(request, 200).replace(b"branch=z9hG4bK", b"branch=z9hG4bKstray"))
    else:
        tag = "fork" if "fork" in what else "theirs"
        bench.receive(answer(request, int(what[:3]), tag=tag))
    bench.drain()


@pytest.mark.parametrize("flow", [UDP, TCP], ids=["UDP", "TCP"])
@pytest.mark.parametrize("more", [True, False], ids=["more targets", "last target"])
def test_any_three_things_that_happen_to_an_invite_end_with_one_outcome(flow: Flow, more: bool) -> None:
    for sequence in product(HAPPENINGS, repeat=3):
        bench = StackBench()
        transaction = bench.stack.send_request(outgoing(), now=0.0)
        bench.stack.use_flow(transaction, flow, now=0.0, more=more)
        for what in sequence:
            happen(bench, transaction, what)
        bench.stack.no_flow(transaction, now=bench.now, detail="no more")
        bench.stack.cancel(transaction, now=bench.now)
        bench.run(bench.now + 200.0)
        bench.stack.no_flow(transaction, now=bench.now, detail="no more")
        bench.run(bench.now + 200.0)
        assert bench.is_quiet(), sequence
        check_outcome(bench, sequence)


def check_outcome(bench: StackBench, sequence: tuple[str, ...]) -> None:
    outcomes = Counter(
        str(event.response.status) for event in bench.take(ResponseReceived) if event.response.status >= 200
    )
    outcomes["timeout"] = len(bench.take(RequestTimedOut))
    outcomes["transport"] = len(bench.take(TransportFailed))
    bench.take(FlowNeeded)
    failures = outcomes.total() - outcomes["200"]
    assert bench.kinds() == [], sequence
    assert failures <= 1, (sequence, outcomes)
    assert outcomes["200"] or failures == 1, (sequence, outcomes)
