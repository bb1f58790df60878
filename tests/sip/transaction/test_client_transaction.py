# SPDX-License-Identifier: Apache-2.0
import pytest
from transaction_bench import TCP, UDP, Bench, make_request

from ringback.sip.flow import Flow
from ringback.sip.message.message import Response
from ringback.sip.transaction.client import ClientTransaction, State
from ringback.sip.transaction.timers import Timers


def started(method: str = "INVITE", *, flow: Flow = UDP, timers: Timers | None = None) -> ClientTransaction:
    """A transaction whose request was just sent, at 0.0."""
    transaction = ClientTransaction(make_request(method), Bench(timers=timers or Timers()), flow=flow)
    transaction.start(0.0)
    return transaction


def bench(transaction: ClientTransaction) -> Bench:
    assert isinstance(transaction.owner, Bench)
    return transaction.owner


def answer(transaction: ClientTransaction, status: int, *, tag: str = "bob") -> None:
    response = Response.to(transaction.request, status, to_tag=None if status == 100 else tag)
    transaction.receive(response, bench(transaction).now)


def run(transaction: ClientTransaction, *, until: float) -> list[float]:
    """The instants at which the request was repeated, and the last deadline."""
    start = len(bench(transaction).instants(transaction.request.method))
    bench(transaction).run(until)
    repeated = bench(transaction).instants(transaction.request.method)[start:]
    return repeated + bench(transaction).ends


# --- INVITE


def test_invite_on_udp_is_repeated_at_doubling_intervals_then_times_out() -> None:
    transaction = started()
    assert run(transaction, until=100) == [0.5, 1.5, 3.5, 7.5, 15.5, 31.5, 32.0]
    assert bench(transaction).events == ["timeout"]


def test_invite_on_a_connection_is_sent_once_and_times_out() -> None:
    transaction = started(flow=TCP)
    assert run(transaction, until=100) == [32.0]
    assert bench(transaction).events == ["timeout"]


def test_intervals_follow_t1() -> None:
    assert run(started(timers=Timers(t1=0.25)), until=4.0) == [0.25, 0.75, 1.75, 3.75]


def test_provisional_response_stops_repetition_and_timeout() -> None:
    transaction = started()
    bench(transaction).run(0.7)
    answer(transaction, 180)
    assert transaction.state is State.PROCEEDING
    assert run(transaction, until=1000) == []
    assert bench(transaction).deadlines.next() is None


def test_every_provisional_is_passed_up() -> None:
    transaction = started()
    for status in (100, 180, 180, 183):
        answer(transaction, status)
    assert bench(transaction).events == ["100", "180", "180", "183"]


def test_failure_is_acked_each_time_but_passed_up_once() -> None:
    transaction = started()
    for instant in (1.0, 2.0, 3.0):
        bench(transaction).run(instant)
        answer(transaction, 486)
    assert bench(transaction).events == ["486"]
    assert bench(transaction).instants("ACK") == [1.0, 2.0, 3.0]
    assert run(transaction, until=100) == [33.0]


def test_failure_on_a_connection_ends_at_once() -> None:
    transaction = started(flow=TCP)
    answer(transaction, 486)
    assert bench(transaction).instants("ACK") == [0.0]
    assert transaction.state is State.TERMINATED
    assert bench(transaction).ends == [0.0]


@pytest.mark.parametrize("flow", [UDP, TCP])
def test_success_is_passed_up_each_time_and_never_acked_here(flow: Flow) -> None:
    transaction = started(flow=flow)
    answer(transaction, 200)
    answer(transaction, 200, tag="other-fork")
    assert bench(transaction).events == ["200", "200"]
    assert bench(transaction).instants("ACK") == []
    assert run(transaction, until=100) == [32.0]


def test_late_failure_after_success_is_ignored() -> None:
    transaction = started()
    answer(transaction, 200)
    answer(transaction, 486)
    answer(transaction, 180)
    assert bench(transaction).events == ["200"]


def test_a_storm_of_failures_is_acked_twenty_times_a_second() -> None:
    transaction = started()
    for _ in range(1000):
        answer(transaction, 486)
    assert len(bench(transaction).instants("ACK")) == 20
    bench(transaction).run(1.0)
    answer(transaction, 486)
    assert len(bench(transaction).instants("ACK")) == 21


@pytest.mark.parametrize("before", [(), (180,)])
def test_lost_connection_before_the_final_response_is_reported(before: tuple[int, ...]) -> None:
    transaction = started(flow=TCP)
    for status in before:
        answer(transaction, status)
    transaction.fail("reset by peer", 1.0)
    assert bench(transaction).events[-1] == "transport: reset by peer"
    assert transaction.has_ended
    assert bench(transaction).deadlines.next() is None


def test_lost_flow_after_the_final_response_is_not_reported() -> None:
    transaction = started()
    answer(transaction, 486)
    transaction.fail("unreachable", 1.0)
    assert bench(transaction).events == ["486"]
    assert transaction.has_ended


def test_a_cancelled_invite_is_given_up_after_64_t1() -> None:
    transaction = started()
    answer(transaction, 180)
    bench(transaction).run(10.0)
    transaction.limit_wait_after_cancel(10.0)
    assert run(transaction, until=100) == [42.0]
    assert bench(transaction).events == ["180", "timeout"]


def test_the_ack_is_derived_from_the_invite_and_the_response() -> None:
    transaction = started()
    answer(transaction, 486, tag="from-response")
    from ringback.sip.message.parser import parse_message
    from ringback.sip.transaction.derived_requests import make_ack

    assert transaction.last_response is not None
    ack = parse_message(make_ack(transaction.request, transaction.last_response).to_bytes())
    assert ack.method == "ACK"  # type: ignore[union-attr]
    assert ack.to.tag == "from-response"
    assert str(ack.top_via) == str(transaction.request.top_via)
    assert (ack.cseq.number, ack.cseq.method) == (1, "ACK")


# --- everything else


def test_non_invite_on_udp_is_repeated_up_to_t2_then_times_out() -> None:
    transaction = started("OPTIONS")
    assert run(transaction, until=100) == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5, 32.0]
    assert bench(transaction).events == ["timeout"]


def test_non_invite_on_a_connection_is_sent_once_and_times_out() -> None:
    transaction = started("OPTIONS", flow=TCP)
    assert run(transaction, until=100) == [32.0]


def test_non_invite_is_repeated_every_t2_after_a_provisional_response() -> None:
    transaction = started("OPTIONS")
    bench(transaction).run(0.6)
    answer(transaction, 100)
    assert run(transaction, until=100) == [1.5, 5.5, 9.5, 13.5, 17.5, 21.5, 25.5, 29.5, 32.0]
    assert bench(transaction).events == ["100", "timeout"]


def test_final_response_to_non_invite_lingers_for_t4_on_udp() -> None:
    transaction = started("OPTIONS")
    bench(transaction).run(2.0)
    answer(transaction, 200)
    answer(transaction, 200)
    assert bench(transaction).events == ["200"]
    assert run(transaction, until=100) == [7.0]


def test_final_response_to_non_invite_ends_at_once_on_a_connection() -> None:
    transaction = started("OPTIONS", flow=TCP)
    answer(transaction, 404)
    assert bench(transaction).ends == [0.0]


# --- what is left of an attempt


def test_what_is_left_behind_still_acknowledges_and_ends_when_it_would_have() -> None:
    transaction = started()
    bench(transaction).run(1.0)
    answer(transaction, 503)
    rest = transaction.leave_behind()
    assert transaction.state is State.NEW
    assert rest.successor is transaction
    answer(rest, 503)
    assert bench(transaction).instants("ACK") == [1.0, 1.0]
    bench(transaction).run(100)
    assert bench(transaction).ends == [33.0]
