# SPDX-License-Identifier: Apache-2.0
"""Requests of peers: which are new, which are kept, and how they are answered."""

import pytest
from stack_bench import TCP, TCP_2, UDP, UDP_2, StackBench, incoming

from ringback.sip.dialog.identifier import DialogId
from ringback.sip.errors import PeerError
from ringback.sip.events import (
    AckReceived,
    CancelReceived,
    FlowNeeded,
    RequestReceived,
    ServerTransactionFailed,
)
from ringback.sip.flow import Flow
from ringback.sip.message.message import Request, Response
from ringback.sip.transaction.server import ServerTransaction, State


def received(bench: StackBench, data: bytes | None = None, flow: Flow = UDP) -> ServerTransaction:
    """The transaction of a new request."""
    bench.receive(data or incoming(), flow)
    (event,) = bench.take(RequestReceived)
    return event.transaction


# --- user agents: every request is kept


def test_a_repeated_request_is_absorbed_and_answered_again() -> None:
    bench = StackBench()
    bench.respond(received(bench), 180)
    bench.receive(incoming())
    assert bench.words() == ["180", "180"]
    assert bench.take(RequestReceived) == []
    assert bench.stack.statistics.repeated_requests == 1


def test_an_invite_is_answered_100_after_200_ms() -> None:
    bench = StackBench()
    received(bench)
    bench.run(1.0)
    assert bench.lines() == [(0.2, "100")]


def test_another_branch_sent_by_or_method_is_another_request() -> None:
    bench = StackBench()
    for number, data in enumerate(
        (
            incoming("OPTIONS"),
            incoming("OPTIONS", branch="z9hG4bKtwo", call_id="2"),
            incoming("OPTIONS", sent_by="192.0.2.2:5070", call_id="3"),
            incoming("MESSAGE", call_id="4"),
        )
    ):
        bench.receive(data)
        assert len(bench.events) == number + 1


def test_a_request_over_two_paths_is_answered_482() -> None:
    bench = StackBench()
    received(bench)
    (response,) = bench.receive(incoming(branch="z9hG4bKother"), UDP_2)
    assert response.status == 482  # type: ignore[union-attr]
    assert bench.take(RequestReceived) == []
    assert bench.stack.statistics.merged_requests == 1


def test_a_request_inside_a_dialog_is_never_merged() -> None:
    bench = StackBench()
    received(bench, incoming("INFO", to_tag="ours"))
    received(bench, incoming("INFO", to_tag="ours", branch="z9hG4bKother"))


def test_the_merged_request_is_forgotten_with_its_transaction() -> None:
    bench = StackBench()
    bench.respond(received(bench), 486)
    bench.run(33.0)
    bench.take(ServerTransactionFailed)
    bench.respond(received(bench, incoming(branch="z9hG4bKother")), 486)
    bench.run(100.0)
    assert bench.is_quiet()


@pytest.mark.parametrize("branch", [None, "z9hG4bK", "1"])
def test_without_a_unique_branch_the_rules_of_rfc_2543_match(branch: str | None) -> None:
    bench = StackBench()
    transaction = received(bench, incoming(branch=branch))
    bench.receive(incoming(branch=branch))
    assert bench.take(RequestReceived) == []
    response = bench.respond(transaction, 486)
    bench.receive(incoming("ACK", branch=branch, to_tag="somebody-else"))
    assert transaction.state is State.COMPLETED
    assert len(bench.take(AckReceived)) == 1
    bench.receive(incoming("ACK", branch=branch, to_tag=response.to.tag or ""))
    assert transaction.state is State.CONFIRMED
    bench.run(100.0)
    assert bench.is_quiet()


@pytest.mark.parametrize(
    "change", [{"target": "sip:carol@192.0.2.1"}, {"cseq": 2}, {"from_tag": "x"}, {"call_id": "y"}]
)
def test_without_a_unique_branch_another_request_is_another(change: dict[str, object]) -> None:
    bench = StackBench(keep_requests=False)
    bench.stack.keep(received(bench, incoming(branch=None)), now=0.0)
    received(bench, incoming(branch=None, **change))  # type: ignore[arg-type]


def test_a_cancel_without_a_unique_branch_finds_its_invite() -> None:
    bench = StackBench()
    transaction = received(bench, incoming(branch=None))
    bench.receive(incoming("CANCEL", branch=None))
    assert [event.transaction for event in bench.take(CancelReceived)] == [transaction]


# --- servers: nothing is kept for a stranger


def test_a_server_keeps_nothing_until_it_is_told_to() -> None:
    bench = StackBench(keep_requests=False)
    first = received(bench)
    second = received(bench)
    assert first is not second
    assert bench.is_quiet()
    assert bench.stack.keep(first, now=0.0)
    assert bench.stack.keep(first, now=0.0)
    assert bench.stack.pending == (0, 1, 0)


def test_only_one_of_two_repetitions_is_kept() -> None:
    bench = StackBench(keep_requests=False)
    first, second = received(bench), received(bench)
    assert bench.stack.keep(first, now=0.0)
    bench.respond(first, 180)
    assert not bench.stack.keep(second, now=0.0)
    bench.respond(second, 404)
    bench.respond(second, 401, stateless=True)
    assert set(bench.words()) == {"180"}
    assert first.state is State.PROCEEDING


def test_a_stateful_answer_keeps_the_transaction() -> None:
    bench = StackBench(keep_requests=False)
    transaction = received(bench)
    bench.respond(transaction, 486)
    bench.receive(incoming())
    assert bench.words() == ["486", "486"]
    bench.receive(incoming("ACK", to_tag=transaction.local_tag))
    bench.run(10.0)
    assert bench.is_quiet()
    assert bench.kinds() == []


def test_a_stateless_answer_leaves_nothing_behind_and_its_ack_is_absorbed() -> None:
    bench = StackBench(keep_requests=False)
    response = bench.respond(received(bench), 401, stateless=True)
    again = bench.respond(received(bench), 401, stateless=True)
    assert response.to.tag == again.to.tag
    assert bench.is_quiet()
    bench.receive(incoming("ACK", to_tag=response.to.tag or ""))
    assert bench.kinds() == []
    assert bench.stack.statistics.absorbed_acks == 1


def test_an_ack_with_a_foreign_tag_is_passed_on() -> None:
    bench = StackBench(keep_requests=False)
    bench.respond(received(bench), 401, stateless=True)
    bench.receive(incoming("ACK", to_tag="f" * 16))
    assert bench.kinds() == ["AckReceived"]


def test_without_room_the_answer_is_503_and_no_state() -> None:
    bench = StackBench(server_transactions=2)
    received(bench, incoming(branch="z9hG4bK1", call_id="1"))
    received(bench, incoming(branch="z9hG4bK2", call_id="2"))
    (response,) = bench.receive(incoming(branch="z9hG4bK3", call_id="3"))
    assert response.status == 503  # type: ignore[union-attr]
    assert bench.take(RequestReceived) == []
    assert bench.stack.statistics.refused_for_room == 1
    assert bench.stack.pending == (0, 2, 0)


def test_without_room_for_new_requests_there_is_room_to_hang_up() -> None:
    bench = StackBench(server_transactions=1)
    received(bench, incoming(branch="z9hG4bK1", call_id="1"))
    received(bench, incoming("BYE", branch="z9hG4bK2", to_tag="ours", cseq=2))
    (response,) = bench.receive(incoming("BYE", branch="z9hG4bK3", to_tag="ours", cseq=3))
    assert response.status == 503  # type: ignore[union-attr]


def test_without_room_a_stateful_answer_is_sent_all_the_same() -> None:
    bench = StackBench(keep_requests=False, server_transactions=1)
    bench.stack.keep(received(bench, incoming(branch="z9hG4bK1", call_id="1")), now=0.0)
    second = received(bench, incoming(branch="z9hG4bK2", call_id="2"))
    bench.respond(second, 200)
    assert bench.words() == ["200"]
    assert not bench.stack.keep(second, now=0.0)
    bench.drain()
    assert bench.words() == ["200"]


def test_answered_transactions_make_room_for_four_times_as_many_and_no_more() -> None:
    bench = StackBench(server_transactions=2)
    for number in range(8):
        bench.respond(received(bench, incoming(branch=f"z9hG4bK{number}", call_id=str(number))), 200)
    assert bench.words() == ["200"] * 8
    (response,) = bench.receive(incoming(branch="z9hG4bKlate", call_id="late"))
    assert response.status == 503  # type: ignore[union-attr]
    bench.run(40.0)
    assert bench.stack.pending == (0, 0, 0)
    received(bench, incoming(branch="z9hG4bKlater", call_id="later"))


def test_a_shed_transaction_still_knows_repetitions_its_cancel_and_no_stranger() -> None:
    bench = StackBench(keep_requests=False)
    transaction = received(bench)
    bench.respond(transaction, 200)
    transaction.shed()
    assert transaction.last_response is None
    bench.receive(incoming())
    assert bench.take(RequestReceived) == []
    (answer,) = bench.receive(incoming("CANCEL"))
    assert answer.status == 200  # type: ignore[union-attr]
    (answer,) = bench.receive(incoming("CANCEL", call_id="guessed"))
    assert answer.status == 481  # type: ignore[union-attr]


# --- CANCEL


def test_cancel_is_answered_200_and_passed_on_once() -> None:
    bench = StackBench()
    transaction = received(bench)
    bench.respond(transaction, 180)
    for _ in range(2):
        (response,) = bench.receive(incoming("CANCEL"))
        assert response.status == 200  # type: ignore[union-attr]
        assert response.to.tag == transaction.local_tag
        assert response.cseq.method == "CANCEL"
    (event,) = bench.take(CancelReceived)
    assert event.transaction is transaction
    bench.respond(transaction, 487)
    assert bench.words() == ["180", "200", "200", "487"]


def test_cancel_after_the_final_response_is_answered_and_ignored() -> None:
    bench = StackBench()
    bench.respond(received(bench), 200)
    (response,) = bench.receive(incoming("CANCEL"))
    assert response.status == 200  # type: ignore[union-attr]
    assert bench.take(CancelReceived) == []


@pytest.mark.parametrize("keep_requests", [True, False])
def test_cancel_for_nothing_is_answered_481_without_state(keep_requests: bool) -> None:
    bench = StackBench(keep_requests=keep_requests)
    (response,) = bench.receive(incoming("CANCEL"))
    assert response.status == 481  # type: ignore[union-attr]
    assert bench.is_quiet()
    assert bench.kinds() == []


@pytest.mark.parametrize(
    "change", [{"call_id": "forged"}, {"cseq": 9}, {"from_tag": "forged"}, {"sent_by": "10.0.0.1"}]
)
def test_a_cancel_that_guessed_only_the_branch_is_answered_481(change: dict[str, object]) -> None:
    bench = StackBench()
    received(bench)
    (response,) = bench.receive(incoming("CANCEL", **change))  # type: ignore[arg-type]
    assert response.status == 481  # type: ignore[union-attr]
    assert bench.take(CancelReceived) == []


def test_cancel_of_a_non_invite_does_nothing() -> None:
    bench = StackBench()
    received(bench, incoming("OPTIONS"))
    (response,) = bench.receive(incoming("CANCEL"))
    assert response.status == 481  # type: ignore[union-attr]


# --- ACK


def test_ack_to_a_failure_ends_in_its_transaction() -> None:
    bench = StackBench()
    transaction = received(bench)
    bench.respond(transaction, 486)
    bench.receive(incoming("ACK", to_tag=transaction.local_tag))
    bench.receive(incoming("ACK", to_tag=transaction.local_tag))
    assert bench.kinds() == []
    bench.run(10.0)
    assert bench.is_quiet()


def test_ack_to_a_success_goes_to_the_dialog_or_becomes_an_event() -> None:
    bench = StackBench()
    bench.respond(received(bench), 200)
    bench.receive(incoming("ACK", branch="z9hG4bKack", to_tag="ours"))
    assert len(bench.take(AckReceived)) == 1
    usage = Usage()
    bench.stack.register_dialog(DialogId("call-1", "ours", "alice"), usage)
    bench.receive(incoming("ACK", branch="z9hG4bKack", to_tag="ours"))
    bench.receive(incoming("ACK", to_tag="ours"))  # with the branch of the INVITE, as some do
    assert [(request.method, transaction) for request, transaction, _ in usage.received] == [
        ("ACK", None)
    ] * 2
    assert bench.take(AckReceived) == []


# --- dialogs


class Usage:
    """Somebody's dialog."""

    def __init__(self, error: PeerError | None = None) -> None:
        self.received: list[tuple[Request, ServerTransaction | None, Flow]] = []
        self.error = error

    def receive_request(
        self, request: Request, transaction: ServerTransaction | None, flow: Flow, now: float
    ) -> None:
        self.received.append((request, transaction, flow))
        if self.error is not None:
            raise self.error


def test_requests_inside_a_dialog_go_to_its_usage_and_are_kept_at_once() -> None:
    bench, usage = StackBench(keep_requests=False), Usage()
    bench.stack.register_dialog(DialogId("call-1", "ours", "alice"), usage)
    for _ in range(3):
        bench.receive(incoming("BYE", to_tag="ours"))
    assert [request.method for request, _, _ in usage.received] == ["BYE"]
    assert bench.kinds() == []
    bench.stack.unregister_dialog(DialogId("call-1", "ours", "alice"))
    received(bench, incoming("BYE", to_tag="ours", branch="z9hG4bKlater", cseq=2))


def test_a_peer_without_tags_still_has_a_dialog() -> None:
    bench, usage = StackBench(), Usage()
    bench.stack.register_dialog(DialogId("call-1", "ours", ""), usage)
    bench.receive(incoming("BYE", to_tag="ours", from_tag=""))
    assert len(usage.received) == 1


def test_a_fault_that_a_usage_finds_is_answered_for_it() -> None:
    bench, usage = StackBench(), Usage(PeerError("bad Replaces", status=400))
    bench.stack.register_dialog(DialogId("call-1", "ours", "alice"), usage)
    (response,) = bench.receive(incoming("INFO", to_tag="ours"))
    assert response.status == 400  # type: ignore[union-attr]
    assert bench.kinds() == ["PeerMisbehaved"]


# --- lost connections


def tcp_invite(bench: StackBench) -> ServerTransaction:
    return received(bench, incoming(transport="TCP", sent_by="192.0.2.2:5070"), TCP)


def test_a_response_whose_connection_is_lost_asks_for_another_to_the_sent_by() -> None:
    bench = StackBench()
    transaction = tcp_invite(bench)
    bench.stack.flow_failed(TCP, now=0.0)
    bench.respond(transaction, 180)
    bench.respond(transaction, 200)
    (event,) = bench.take(FlowNeeded)
    assert str(event.hop) == "sip:192.0.2.2:5070;transport=tcp"
    assert bench.sent == []
    bench.stack.use_flow(event.outgoing, TCP_2, now=0.0)
    bench.drain()
    assert [flow for _, _, flow in bench.sent] == [TCP_2]
    assert bench.words() == ["200"]


def test_a_response_that_finds_no_connection_is_reported() -> None:
    bench = StackBench()
    transaction = tcp_invite(bench)
    bench.stack.flow_failed(TCP, now=0.0)
    bench.respond(transaction, 486)
    (event,) = bench.take(FlowNeeded)
    bench.stack.no_flow(event.outgoing, now=0.0, detail="refused")
    (failed,) = bench.take(ServerTransactionFailed)
    assert (failed.transaction, failed.detail) == (transaction, "refused")
    bench.run(100.0)
    assert bench.is_quiet()


def test_an_unacknowledged_failure_follows_its_peer_to_a_new_connection() -> None:
    bench = StackBench()
    transaction = tcp_invite(bench)
    bench.respond(transaction, 486)
    bench.stack.flow_failed(TCP, now=0.0)
    assert len(bench.take(FlowNeeded)) == 1
    bench.receive(incoming(transport="TCP", sent_by="192.0.2.2:5070"), TCP_2)
    assert [flow for _, _, flow in bench.sent] == [TCP, TCP_2]


def test_a_datagram_that_could_not_be_sent_is_reported() -> None:
    bench = StackBench()
    transaction = received(bench)
    bench.respond(transaction, 180)
    bench.stack.flow_failed(UDP, now=0.0, detail="unreachable")
    assert [event.detail for event in bench.take(ServerTransactionFailed)] == ["unreachable"]


# --- responses


def test_make_response_gives_every_response_but_100_the_same_tag() -> None:
    bench = StackBench()
    transaction = received(bench)
    assert bench.stack.make_response(transaction, 100).to.tag is None
    tags = {bench.stack.make_response(to, 180).to.tag for to in (transaction, transaction.request)}
    assert tags == {transaction.local_tag}
    assert bench.stack.make_response(transaction, 180, to_tag="own").to.tag == "own"


def test_make_response_keeps_the_tag_of_a_dialog() -> None:
    bench = StackBench()
    transaction = received(bench, incoming("BYE", to_tag="ours"))
    assert bench.stack.make_response(transaction, 481).to.tag == "ours"


def test_make_response_takes_headers_and_a_body() -> None:
    bench = StackBench()
    response = bench.stack.make_response(
        received(bench), 200, "Fine", headers=[("X-A", "b")], body=b"v=0", content_type="application/sdp"
    )
    assert isinstance(response, Response)
    assert (response.reason, response.headers["X-A"], response.body) == ("Fine", "b", b"v=0")
    assert response.headers["Server"] == "Ringback"
