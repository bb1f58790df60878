# SPDX-License-Identifier: Apache-2.0
"""Requests of ours: how they find a target, what comes back, and how an INVITE is cancelled."""

import pytest
from stack_bench import TCP, TCP_2, UDP, UDP_2, StackBench, answer, outgoing, word

from ringback.sip.errors import InvalidState
from ringback.sip.events import Event, FlowNeeded, RequestTimedOut, ResponseReceived, TransportFailed
from ringback.sip.flow import Flow
from ringback.sip.message.message import Request
from ringback.sip.message.parser import parse_message
from ringback.sip.transaction.client import ClientTransaction, State


def send(bench: StackBench, method: str = "INVITE", *, flow: Flow | None = UDP) -> ClientTransaction:
    transaction = bench.stack.send_request(outgoing(method), now=bench.now, flow=flow)
    bench.drain()
    return transaction


def use(bench: StackBench, transaction: ClientTransaction, flow: Flow, *, more: bool = False) -> None:
    bench.stack.use_flow(transaction, flow, now=bench.now, more=more)
    bench.drain()


def no_more(bench: StackBench, transaction: ClientTransaction) -> None:
    bench.stack.no_flow(transaction, now=bench.now, detail="no more targets")
    bench.drain()


def answered(bench: StackBench, transaction: ClientTransaction, status: int, *, tag: str = "theirs") -> None:
    bench.receive(answer(transaction.request, status, tag=tag))


def statuses(bench: StackBench) -> list[int]:
    return [event.response.status for event in bench.take(ResponseReceived)]


def last_sent(bench: StackBench) -> Request:
    message = parse_message(bench.sent[-1][1])
    assert isinstance(message, Request)
    return message


# --- sending


def test_the_request_goes_out_with_our_via_and_the_original_is_not_touched() -> None:
    bench = StackBench()
    original = outgoing()
    transaction = bench.stack.send_request(original, now=0.0, flow=UDP, branch_suffix="loop")
    bench.drain()
    assert "Via" not in original.headers
    via = last_sent(bench).top_via
    assert (via.transport, via.sent_by, via.wants_rport) == ("UDP", "us.example.com", True)
    assert (via.branch or "").endswith(".loop")
    assert transaction.request.headers["User-Agent"] == "Ringback"


def test_a_forwarded_request_keeps_the_vias_below_and_gets_no_user_agent() -> None:
    bench = StackBench()
    request = outgoing()
    request.headers.prepend("Via", "SIP/2.0/UDP below;branch=z9hG4bKbelow")
    bench.stack.send_request(request, now=0.0, flow=TCP)
    bench.drain()
    assert [via.sent_by for via in last_sent(bench).vias] == ["us.example.com", "below"]
    assert "User-Agent" not in last_sent(bench).headers


def test_an_ack_has_no_transaction() -> None:
    bench = StackBench()
    with pytest.raises(InvalidState):
        bench.stack.send_request(outgoing("ACK"), now=0.0, flow=UDP)
    bench.stack.send_stateless(outgoing("ACK"), now=0.0, flow=UDP)
    bench.drain()
    assert bench.words() == ["ACK"]
    assert bench.is_quiet()


def test_an_ack_without_a_flow_asks_for_one() -> None:
    bench = StackBench()
    bench.stack.send_stateless(outgoing("ACK"), now=0.0)
    bench.stack.send_stateless(outgoing("ACK"), now=0.0)
    one, two = bench.take(FlowNeeded)
    bench.stack.use_flow(one.outgoing, TCP, now=0.0)
    bench.stack.no_flow(two.outgoing, now=0.0, detail="none")
    bench.drain()
    assert bench.words() == ["ACK"]
    assert bench.stack.statistics.unsent == 1


def test_a_response_without_a_transaction_needs_a_flow() -> None:
    bench = StackBench()
    response = parse_message(answer(outgoing(), 200))
    with pytest.raises(InvalidState):
        bench.stack.send_stateless(response, now=0.0)
    bench.stack.send_stateless(response, now=0.0, flow=TCP)
    assert len(bench.stack.to_send()) == 1


def test_responses_go_to_the_consumer_of_the_request() -> None:
    bench = StackBench()
    heard: list[Event] = []
    transaction = bench.stack.send_request(outgoing(), now=0.0, flow=UDP, consumer=heard.append)
    bench.drain()
    answered(bench, transaction, 180)
    (event,) = bench.take(ResponseReceived)
    assert event.consumer == heard.append
    assert event.transaction is transaction


def test_what_matches_no_request_is_dropped() -> None:
    bench = StackBench()
    transaction = send(bench)
    for change in ((b"z9hG4bK", b"z9hG4bKx"), (b"1 INVITE", b"1 BYE")):
        bench.receive(answer(transaction.request, 200).replace(*change))
    bench.receive(answer(transaction.request, 200).replace(b"Via: ", b"Via: SIP/2.0/UDP x;branch=z9hG4bKy, "))
    assert statuses(bench) == []
    assert bench.stack.statistics.stray_responses == 3


def test_a_response_with_a_via_below_ours_is_dropped_by_the_origin() -> None:
    bench = StackBench()
    transaction = send(bench)
    bench.receive(
        answer(transaction.request, 200).replace(b";rport", b";rport, SIP/2.0/UDP below;branch=z9hG4bKb")
    )
    assert statuses(bench) == []


def test_a_timeout_is_told_once() -> None:
    bench = StackBench()
    transaction = send(bench, "OPTIONS")
    bench.run(100)
    assert [event.transaction for event in bench.take(RequestTimedOut)] == [transaction]
    assert bench.is_quiet()


def test_a_lost_connection_fails_what_waits_on_it_and_nothing_else() -> None:
    bench = StackBench()
    first = send(bench, flow=TCP)
    second = send(bench, flow=TCP_2)
    bench.stack.flow_failed(TCP, now=0.0, detail="reset")
    assert [(event.transaction, event.detail) for event in bench.take(TransportFailed)] == [(first, "reset")]
    assert second.state is State.CALLING


# --- looking for a target: RFC 3263 4.3


def test_without_a_flow_the_next_hop_is_asked_for() -> None:
    bench = StackBench()
    transaction = send(bench, flow=None)
    (event,) = bench.take(FlowNeeded)
    assert (str(event.hop), event.attempt, event.outgoing) == ("sip:bob@192.0.2.2", 0, transaction)
    use(bench, transaction, TCP)
    assert bench.words() == ["INVITE"]
    use(bench, transaction, TCP_2)
    assert bench.words() == ["INVITE"]


def test_no_target_at_all_is_a_transport_failure() -> None:
    bench = StackBench()
    transaction = send(bench, flow=None)
    no_more(bench, transaction)
    no_more(bench, transaction)
    assert [event.detail for event in bench.take(TransportFailed)] == ["no more targets"]
    assert bench.is_quiet()


def test_a_search_that_nobody_ends_ends_by_itself() -> None:
    bench = StackBench()
    send(bench, flow=None)
    bench.run(100)
    assert len(bench.take(TransportFailed)) == 1
    assert bench.is_quiet()


@pytest.mark.parametrize("method", ["INVITE", "OPTIONS"])
def test_a_503_leads_to_the_next_target_with_a_new_branch(method: str) -> None:
    bench = StackBench()
    transaction = send(bench, method, flow=None)
    use(bench, transaction, UDP, more=True)
    first_branch = transaction.request.top_via.branch
    answered(bench, transaction, 503)
    assert statuses(bench) == []
    assert [event.attempt for event in bench.take(FlowNeeded)] == [0, 1]
    use(bench, transaction, UDP_2)
    assert transaction.request.top_via.branch != first_branch
    assert len(transaction.request.vias) == 1
    answered(bench, transaction, 200)
    assert statuses(bench) == [200]
    bench.run(100)
    assert bench.is_quiet()
    assert bench.kinds() == []


def test_the_failed_target_still_gets_its_acks() -> None:
    bench = StackBench()
    transaction = send(bench, flow=None)
    use(bench, transaction, UDP, more=True)
    failed = answer(transaction.request, 503)
    bench.receive(failed)
    use(bench, transaction, UDP_2)
    bench.receive(failed)
    assert [(word(data), flow) for _, data, flow in bench.sent] == [
        ("INVITE", UDP), ("ACK", UDP), ("INVITE", UDP_2), ("ACK", UDP),
    ]  # fmt: skip


def test_a_503_of_the_last_target_is_delivered() -> None:
    bench = StackBench()
    transaction = send(bench, flow=None)
    use(bench, transaction, UDP)
    answered(bench, transaction, 503)
    assert statuses(bench) == [503]


def test_when_nothing_is_left_the_last_failure_is_delivered() -> None:
    bench = StackBench()
    transaction = send(bench, flow=None)
    use(bench, transaction, UDP, more=True)
    answered(bench, transaction, 503)
    no_more(bench, transaction)
    assert statuses(bench) == [503]
    assert bench.take(TransportFailed) == []


def test_a_lost_connection_leads_to_the_next_target() -> None:
    bench = StackBench()
    transaction = send(bench, flow=None)
    use(bench, transaction, TCP, more=True)
    bench.stack.flow_failed(TCP, now=0.0, detail="refused")
    assert [event.attempt for event in bench.take(FlowNeeded)] == [0, 1]
    use(bench, transaction, TCP_2, more=True)
    bench.stack.flow_failed(TCP_2, now=0.0, detail="refused too")
    no_more(bench, transaction)
    assert [event.detail for event in bench.take(TransportFailed)] == ["refused too"]
    bench.run(100)
    assert bench.is_quiet()


@pytest.mark.parametrize(("method", "flow"), [("INVITE", UDP), ("OPTIONS", UDP), ("INVITE", TCP)])
def test_a_silent_target_is_left_after_a_second_and_a_half(method: str, flow: Flow) -> None:
    bench = StackBench()
    transaction = send(bench, method, flow=None)
    use(bench, transaction, flow, more=True)
    bench.run(1.49)
    assert len(bench.take(FlowNeeded)) == 1
    bench.run(1.5)
    assert [event.attempt for event in bench.take(FlowNeeded)] == [1]
    use(bench, transaction, UDP_2)
    answered(bench, transaction, 200)
    bench.run(5.0)
    assert [at for at, _, used in bench.sent if used == flow] == ([0.0, 0.5, 1.5] if flow is UDP else [0.0])
    assert statuses(bench) == [200]
    bench.run(100)
    assert bench.is_quiet()
    assert bench.kinds() == []


def test_the_only_target_gets_all_its_time() -> None:
    bench = StackBench()
    transaction = send(bench, flow=None)
    use(bench, transaction, UDP)
    bench.run(31.9)
    assert len(bench.take(FlowNeeded)) == 1
    bench.run(32.0)
    assert len(bench.take(RequestTimedOut)) == 1


def test_a_target_that_speaks_while_the_next_is_sought_keeps_the_request() -> None:
    bench = StackBench()
    transaction = send(bench, flow=None)
    use(bench, transaction, UDP, more=True)
    bench.run(2.0)
    answered(bench, transaction, 100)
    use(bench, transaction, UDP_2)
    answered(bench, transaction, 200)
    assert {flow for _, _, flow in bench.sent} == {UDP}
    assert statuses(bench) == [100, 200]


def test_a_silent_target_gets_the_rest_of_its_time_when_there_is_no_other() -> None:
    bench = StackBench()
    transaction = send(bench, flow=None)
    use(bench, transaction, UDP, more=True)
    bench.run(2.0)
    no_more(bench, transaction)
    bench.run(10.0)
    answered(bench, transaction, 200)
    assert statuses(bench) == [200]


def test_a_target_that_was_left_is_cancelled_when_it_speaks_after_all() -> None:
    bench = StackBench()
    transaction = send(bench, flow=None)
    use(bench, transaction, UDP, more=True)
    late = transaction.request
    bench.run(1.5)
    use(bench, transaction, UDP_2)
    bench.receive(answer(late, 180))
    assert bench.words()[-1] == "CANCEL"
    assert last_sent(bench).top_via.branch == late.top_via.branch
    bench.receive(answer(late, 487))
    assert bench.words()[-1] == "ACK"
    answered(bench, transaction, 200)
    assert statuses(bench) == [200]


def test_a_2xx_of_a_target_that_was_left_goes_to_the_user() -> None:
    bench = StackBench()
    transaction = send(bench, flow=None)
    use(bench, transaction, UDP, more=True)
    late = transaction.request
    bench.run(1.5)
    use(bench, transaction, UDP_2)
    answered(bench, transaction, 200, tag="second")
    bench.receive(answer(late, 200, tag="first"))
    events = bench.take(ResponseReceived)
    assert [event.response.to.tag for event in events] == ["second", "first"]
    assert {event.transaction for event in events} == {transaction}


def test_after_ringing_a_503_is_an_answer_like_any_other() -> None:
    bench = StackBench()
    transaction = send(bench, flow=None)
    use(bench, transaction, UDP, more=True)
    answered(bench, transaction, 180)
    answered(bench, transaction, 503)
    assert statuses(bench) == [180, 503]


def test_other_failures_are_answers_and_no_cue_for_the_next_target() -> None:
    bench = StackBench()
    transaction = send(bench, flow=None)
    use(bench, transaction, UDP, more=True)
    answered(bench, transaction, 500)
    assert statuses(bench) == [500]


# --- CANCEL: RFC 3261 9.1


def cancel(bench: StackBench, transaction: ClientTransaction, reason: str | None = None) -> None:
    bench.stack.cancel(transaction, now=bench.now, reason=reason)
    bench.drain()


def test_cancel_waits_for_a_provisional_response() -> None:
    bench = StackBench()
    transaction = send(bench)
    cancel(bench, transaction)
    assert bench.words() == ["INVITE"]
    answered(bench, transaction, 100)
    assert bench.words() == ["INVITE", "CANCEL"]


def test_cancel_copies_what_it_must_and_carries_the_reason() -> None:
    bench = StackBench()
    transaction = send(bench)
    answered(bench, transaction, 180)
    cancel(bench, transaction, 'SIP;cause=200;text="Call completed elsewhere"')
    cancel(bench, transaction)
    assert bench.words() == ["INVITE", "CANCEL"]
    sent, invite = last_sent(bench), transaction.request
    assert str(sent.top_via) == str(invite.top_via)
    for name in ("From", "To", "Call-ID"):
        assert sent.headers[name] == invite.headers[name]
    assert sent.target == invite.target
    assert (sent.cseq.number, sent.cseq.method) == (1, "CANCEL")
    assert sent.headers["Reason"] == 'SIP;cause=200;text="Call completed elsewhere"'


def test_nothing_is_sent_when_the_final_response_is_faster_than_the_cancel() -> None:
    bench = StackBench()
    transaction = send(bench)
    cancel(bench, transaction)
    answered(bench, transaction, 200)
    cancel(bench, transaction)
    assert bench.words() == ["INVITE"]
    assert statuses(bench) == [200]


def test_a_cancelled_invite_ends_with_its_487() -> None:
    bench = StackBench()
    transaction = send(bench)
    answered(bench, transaction, 180)
    cancel(bench, transaction)
    bench.receive(answer(last_sent(bench), 200))
    answered(bench, transaction, 487)
    assert statuses(bench) == [180, 487]
    assert bench.words() == ["INVITE", "CANCEL", "ACK"]
    bench.run(100)
    assert bench.is_quiet()
    assert bench.kinds() == []


def test_a_cancel_that_nobody_answers_ends_the_invite_after_64_t1() -> None:
    bench = StackBench()
    transaction = send(bench)
    bench.run(5.0)
    answered(bench, transaction, 180)
    bench.run(10.0)
    cancel(bench, transaction)
    bench.run(41.9)
    assert bench.take(RequestTimedOut) == []
    bench.run(42.0)
    assert [event.transaction for event in bench.take(RequestTimedOut)] == [transaction]
    bench.run(100)
    assert bench.is_quiet()
    assert bench.kinds() == ["ResponseReceived"]


def test_a_lost_cancel_is_repeated_like_any_request() -> None:
    bench = StackBench()
    transaction = send(bench)
    answered(bench, transaction, 180)
    cancel(bench, transaction)
    bench.run(4.0)
    assert [at for at, what in bench.lines() if what == "CANCEL"] == [0.0, 0.5, 1.5, 3.5]


def test_cancel_before_anything_was_sent_ends_with_a_487_of_our_own() -> None:
    bench = StackBench()
    transaction = send(bench, flow=None)
    cancel(bench, transaction)
    use(bench, transaction, UDP)
    assert bench.words() == []
    assert statuses(bench) == [487]
    assert transaction.has_ended
    assert bench.is_quiet()


def test_cancel_between_two_targets_delivers_the_failure_of_the_first() -> None:
    bench = StackBench()
    transaction = send(bench, flow=None)
    use(bench, transaction, UDP, more=True)
    answered(bench, transaction, 503)
    cancel(bench, transaction)
    use(bench, transaction, UDP_2)
    assert statuses(bench) == [503]
    assert {flow for _, _, flow in bench.sent} == {UDP}


def test_a_cancelled_request_tries_no_further_target() -> None:
    bench = StackBench()
    transaction = send(bench, flow=None)
    use(bench, transaction, UDP, more=True)
    cancel(bench, transaction)
    answered(bench, transaction, 503)
    assert statuses(bench) == [503]
    assert len(bench.take(FlowNeeded)) == 1


def test_cancel_while_a_silent_target_is_being_left_stays_with_it() -> None:
    bench = StackBench()
    transaction = send(bench, flow=None)
    use(bench, transaction, UDP, more=True)
    bench.run(2.0)
    cancel(bench, transaction)
    use(bench, transaction, UDP_2)
    answered(bench, transaction, 180)
    assert bench.words() == ["INVITE", "INVITE", "INVITE", "CANCEL"]
    assert {flow for _, _, flow in bench.sent} == {UDP}


def test_only_an_invite_can_be_cancelled() -> None:
    bench = StackBench()
    transaction = send(bench, "OPTIONS")
    with pytest.raises(InvalidState):
        bench.stack.cancel(transaction, now=0.0)
