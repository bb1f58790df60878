# SPDX-License-Identifier: Apache-2.0
import pytest
from transaction_bench import TCP, UDP, Bench, make_request

from ringback.sip.flow import Flow
from ringback.sip.message.message import Response
from ringback.sip.transaction.server import Input, ServerTransaction, State


def started(method: str = "INVITE", *, flow: Flow = UDP) -> ServerTransaction:
    """A transaction whose request arrived at 0.0 and was kept."""
    transaction = ServerTransaction(make_request(method), flow, (), Bench(), "tag")
    transaction.reply_flow = flow
    transaction.start(0.0)
    return transaction


def bench(transaction: ServerTransaction) -> Bench:
    assert isinstance(transaction.owner, Bench)
    return transaction.owner


def respond(transaction: ServerTransaction, status: int) -> Response:
    response = Response.to(transaction.request, status, to_tag=None if status == 100 else "tag")
    transaction.respond(response, bench(transaction).now)
    return response


def repeat(transaction: ServerTransaction, what: Input = Input.REQUEST) -> None:
    transaction.feed(what, bench(transaction).now)


def sent(transaction: ServerTransaction) -> list[tuple[float, str]]:
    return [(at, line.split(" ")[1]) for at, line in bench(transaction).sent]


# --- INVITE


def test_an_unanswered_invite_gets_100_after_200_ms_and_again_when_it_is_repeated() -> None:
    transaction = started()
    bench(transaction).run(0.5)
    repeat(transaction)
    assert sent(transaction) == [(0.2, "100"), (0.5, "100")]
    assert "tag=" not in str(transaction.last_response.to)  # type: ignore[union-attr]


def test_no_100_when_something_was_sent_before() -> None:
    transaction = started()
    bench(transaction).run(0.1)
    respond(transaction, 180)
    bench(transaction).run(60.0)
    assert sent(transaction) == [(0.1, "180")]


def test_a_repetition_before_any_response_gets_nothing() -> None:
    transaction = started()
    repeat(transaction)
    assert sent(transaction) == []


def test_failure_is_repeated_up_to_t2_until_timer_h_reports_the_missing_ack() -> None:
    transaction = started()
    respond(transaction, 486)
    bench(transaction).run(100)
    assert [at for at, _ in sent(transaction)] == [
        0.0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5,
    ]  # fmt: skip
    assert bench(transaction).events == ["failed: no ACK came for the final response"]
    assert bench(transaction).ends == [32.0]


def test_failure_on_a_connection_is_sent_once_and_still_waits_for_the_ack() -> None:
    transaction = started(flow=TCP)
    respond(transaction, 486)
    bench(transaction).run(100)
    assert sent(transaction) == [(0.0, "486")]
    assert bench(transaction).events == ["failed: no ACK came for the final response"]
    assert bench(transaction).ends == [32.0]


def test_ack_stops_repetition_and_lingers_for_t4_on_udp() -> None:
    transaction = started()
    respond(transaction, 486)
    bench(transaction).run(1.0)
    repeat(transaction, Input.ACK)
    repeat(transaction, Input.ACK)
    repeat(transaction)
    bench(transaction).run(100)
    assert [at for at, _ in sent(transaction)] == [0.0, 0.5]
    assert bench(transaction).ends == [6.0]
    assert bench(transaction).events == []


def test_ack_on_a_connection_ends_at_once() -> None:
    transaction = started(flow=TCP)
    respond(transaction, 486)
    repeat(transaction, Input.ACK)
    assert bench(transaction).ends == [0.0]


@pytest.mark.parametrize("flow", [UDP, TCP])
def test_success_is_never_repeated_here_and_absorbs_invites_for_64_t1(flow: Flow) -> None:
    transaction = started(flow=flow)
    respond(transaction, 200)
    repeat(transaction)
    bench(transaction).run(100)
    assert sent(transaction) == [(0.0, "200")]
    assert bench(transaction).ends == [32.0]


def test_more_successes_of_our_user_are_sent_in_the_accepted_state() -> None:
    transaction = started()
    response = respond(transaction, 200)
    bench(transaction).run(0.5)
    transaction.respond(response, 0.5)
    respond(transaction, 200)
    assert sent(transaction) == [(0.0, "200"), (0.5, "200"), (0.5, "200")]


@pytest.mark.parametrize(("first", "late"), [(486, 200), (486, 180), (486, 487), (200, 486), (200, 180)])
def test_what_comes_after_a_final_response_is_discarded(first: int, late: int) -> None:
    transaction = started(flow=TCP)
    respond(transaction, first)
    respond(transaction, late)
    assert sent(transaction) == [(0.0, str(first))]
    assert transaction.last_response.status == first  # type: ignore[union-attr]


def test_a_storm_of_repetitions_is_answered_twenty_times_a_second() -> None:
    transaction = started()
    respond(transaction, 180)
    for _ in range(1000):
        repeat(transaction)
    assert len(sent(transaction)) == 1 + 20
    assert bench(transaction).statistics.unanswered_repetitions == 980
    bench(transaction).run(1.0)
    repeat(transaction)
    assert len(sent(transaction)) == 1 + 20 + 1


@pytest.mark.parametrize("status", [180, 200, 486])
def test_a_transport_error_is_reported_and_the_state_stays(status: int) -> None:
    transaction = started()
    respond(transaction, status)
    before = transaction.state
    transaction.fail("unreachable", 0.0)
    assert transaction.state is before
    assert bench(transaction).events == ["failed: unreachable"]


# --- everything else


def test_an_unanswered_non_invite_gets_100_when_timer_e_has_reached_t2() -> None:
    transaction = started("OPTIONS")
    repeat(transaction)
    bench(transaction).run(20.0)
    assert sent(transaction) == [(3.5, "100")]


def test_no_early_100_to_a_non_invite_on_udp() -> None:
    transaction = started("OPTIONS")
    respond(transaction, 100)
    assert sent(transaction) == []
    assert transaction.state is State.TRYING


def test_an_early_100_to_a_non_invite_on_a_connection_is_allowed() -> None:
    transaction = started("OPTIONS", flow=TCP)
    respond(transaction, 100)
    assert sent(transaction) == [(0.0, "100")]


def test_no_provisional_response_but_100_to_a_non_invite() -> None:
    transaction = started("OPTIONS", flow=TCP)
    respond(transaction, 183)
    assert sent(transaction) == []


def test_no_408_to_a_non_invite() -> None:
    transaction = started("OPTIONS")
    respond(transaction, 408)
    assert sent(transaction) == []
    assert bench(transaction).ends == [0.0]


def test_a_non_invite_that_nobody_answers_ends_when_its_client_has_given_up() -> None:
    transaction = started("OPTIONS")
    bench(transaction).run(100)
    assert sent(transaction) == [(3.5, "100")]
    assert bench(transaction).ends == [32.0]


def test_the_final_response_is_repeated_with_the_request_for_64_t1() -> None:
    transaction = started("OPTIONS")
    bench(transaction).run(1.0)
    respond(transaction, 200)
    bench(transaction).run(5.0)
    repeat(transaction)
    bench(transaction).run(100)
    assert sent(transaction) == [(1.0, "200"), (5.0, "200")]
    assert bench(transaction).ends == [33.0]


def test_the_final_response_ends_a_non_invite_on_a_connection_at_once() -> None:
    transaction = started("OPTIONS", flow=TCP)
    respond(transaction, 200)
    assert bench(transaction).ends == [0.0]
    assert bench(transaction).deadlines.next() is None
