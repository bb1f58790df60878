# SPDX-License-Identifier: Apache-2.0
"""Reliable provisional responses and PRACK: RFC 3262, from both ends."""

from typing import Any

import pytest
from session_harness import ANSWER, HELD, HOLD, OFFER, End, Wire, pair

from ringback.sip.dialog.session_states import State
from ringback.sip.errors import InvalidState
from ringback.sip.events import AnswerReceived, OfferReceived, SessionProgress

UNSUPPORTED = {"settings": {"supported": ("timer",)}}


def early(sdp: bytes | None = ANSWER, **more: Any) -> tuple[Wire, End, End]:
    """Bob sends a reliable 183 and nothing else."""
    wire, alice, bob = pair(**more)
    bob.on_call = lambda session: session.ring(sdp, now=bob.now, status=183, reliable=True)
    return wire, alice, bob


def test_a_reliable_answer_is_acknowledged_and_the_2xx_carries_none() -> None:
    wire, alice, bob = early()
    caller = alice.invite(bob)
    wire.run(1)
    (prack,) = wire.sent("PRACK")
    (response,) = wire.sent(183)
    assert prack.headers["RAck"] == f"{response.rseq} 1 INVITE"
    assert 1 <= response.rseq < 2**31
    assert [event.is_early for event in alice.heard(AnswerReceived)] == [True]
    bob.do(bob.session.accept)
    wire.run(1)
    assert wire.sent("200 INVITE")[0].body == b""
    assert caller.is_established
    assert (caller.remote_sdp, bob.session.remote_sdp) == (ANSWER, OFFER)
    assert len(alice.heard(AnswerReceived)) == 1


def test_a_reliable_response_is_repeated_at_doubling_intervals_without_a_ceiling_and_then_504() -> None:
    wire, alice, bob = early()
    wire.drop_all("PRACK")
    alice.invite(bob)
    wire.run_until_quiet()
    times = [at for at, _, _, m in wire.trace if getattr(m, "status", 0) == 183]
    assert [round(at - times[0], 2) for at in times] == [0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert (bob.session.ended.status, bob.session.ended.by) == (504, "timeout")
    assert (alice.session.ended.status, alice.session.ended.by) == (504, "remote")
    assert wire.is_quiet


def test_a_repeated_reliable_response_is_heard_once() -> None:
    wire, alice, bob = early()
    wire.drop_first("PRACK", 2)
    alice.invite(bob)
    wire.run(5)
    assert len(alice.heard(SessionProgress)) == 1
    assert len({message.cseq.number for message in wire.sent("PRACK")}) == 1
    assert len(wire.sent("200 PRACK")) >= 1


def test_an_offer_in_a_reliable_response_is_answered_in_the_prack() -> None:
    wire, alice, bob = early(OFFER)
    caller = alice.invite(bob, sdp=None)
    wire.run(0.1)
    assert wire.sent("PRACK") == []
    alice.do(caller.answer, ANSWER)
    wire.run(0.1)
    assert wire.sent("PRACK")[0].body == ANSWER
    assert [event.sdp for event in bob.heard(AnswerReceived)] == [ANSWER]
    bob.do(bob.session.accept)
    wire.run(1)
    assert (caller.is_established, caller.remote_sdp) == (True, OFFER)


def test_an_offer_in_a_reliable_response_that_is_refused_gives_the_call_up() -> None:
    wire, alice, bob = early(OFFER)
    caller = alice.invite(bob, sdp=None)
    wire.run(0.1)
    alice.do(caller.refuse)
    wire.run_until_quiet()
    assert (caller.ended.status, bob.session.ended.status) == (487, 487)
    assert wire.is_quiet


def test_an_offer_in_a_prack_is_answered_in_its_2xx_and_the_call_is_not_accepted_before() -> None:
    wire, alice, bob = early()
    caller = alice.invite(bob)
    wire.drop_first("PRACK")
    wire.run(0.1)
    prack = caller.dialog.make_request(
        "PRACK",
        headers=[("RAck", f"{wire.sent(183)[0].rseq} 1 INVITE")],
        body=HOLD,
        content_type="application/sdp",
    )
    alice.stack.send_request(prack, now=alice.now)
    alice.drain()
    wire.run(0.1)
    assert [event.sdp for event in bob.heard(OfferReceived)] == [HOLD]
    bob.do(bob.session.accept)
    assert bob.session.state is State.RINGING
    bob.do(bob.session.answer, HELD)
    assert bob.session.state is State.ACCEPTED
    wire.run(1)
    assert HELD in [message.body for message in wire.sent("200 PRACK")]


def test_the_2xx_waits_for_the_prack_of_a_description() -> None:
    wire, alice, bob = early()
    wire.drop_first("PRACK")
    alice.invite(bob)
    wire.run(0.1)
    bob.do(bob.session.accept)
    assert bob.session.state is State.RINGING
    wire.run(3)
    assert bob.session.is_established
    times = {getattr(m, "method", m): at for at, _, _, m in wire.trace}
    assert times["PRACK"] < next(at for at, _, _, m in wire.trace if m in wire.sent("200 INVITE"))


def test_a_call_whose_2xx_waits_can_still_be_refused() -> None:
    wire, alice, bob = early()
    wire.drop_first("PRACK", 3)
    alice.invite(bob)
    wire.run(0.1)
    bob.do(bob.session.accept)
    bob.do(bob.session.reject, 486)
    wire.run_until_quiet()
    assert alice.session.ended.status == 486
    assert wire.is_quiet


def test_reliable_responses_go_out_one_after_the_other() -> None:
    wire, alice, bob = pair()

    def ring_three_times(session: Any) -> None:
        for status in (180, 181, 182):
            session.ring(now=bob.now, status=status, reliable=True)

    bob.on_call = ring_three_times
    alice.invite(bob)
    wire.run(1)
    sent = [wire.sent(status)[0] for status in (180, 181, 182)]
    assert [response.rseq - sent[0].rseq for response in sent] == [0, 1, 2]
    assert len(wire.sent("PRACK")) == 3
    assert [event.response.status for event in alice.heard(SessionProgress)] == [180, 181, 182]


def test_reliable_responses_that_arrive_out_of_order_are_taken_in_order() -> None:
    wire, alice, bob = pair()
    bob.on_call = lambda session: session.ring(now=bob.now, status=180, reliable=True)
    caller = alice.invite(bob)
    wire.run(0.1)
    later = wire.sent(180)[0].copy()
    later.headers["RSeq"] = str(wire.sent(180)[0].rseq + 2)
    later.status = 182
    bob.stack.send_stateless(later, now=bob.now, flow=bob.flow_to("10.0.0.1"))
    bob.drain()
    wire.run(0.1)
    assert [event.response.status for event in alice.heard(SessionProgress)] == [180]
    assert caller.state is State.PROCEEDING


@pytest.mark.parametrize("rack", ["1 1 INVITE", "nonsense", "999999999 7 INVITE"])
def test_a_prack_for_nothing_gets_481(rack: str) -> None:
    wire, alice, bob = early()
    caller = alice.invite(bob)
    wire.run(0.1)
    prack = caller.dialog.make_request("PRACK")
    prack.headers.add("RAck", rack)
    alice.stack.send_request(prack, now=alice.now)
    alice.drain()
    wire.run(0.1)
    assert [m.status for m in wire.sent("481 PRACK") + wire.sent("400 PRACK")] in ([481], [400])
    assert bob.session.state is State.RINGING


def test_reliability_is_used_only_where_the_caller_can() -> None:
    wire, alice, bob = early(alice=UNSUPPORTED)
    alice.invite(bob)
    wire.run(1)
    assert wire.sent("PRACK") == []
    assert wire.sent(183)[0].rseq is None


def test_reliability_is_used_wherever_the_caller_demands_it() -> None:
    wire, alice, bob = pair()
    bob.on_call = lambda session: session.ring(now=bob.now)
    alice.invite(bob, headers=[("Require", "100rel")])
    wire.run(1)
    assert wire.sent(180)[0].require == ["100rel"]
    assert len(wire.sent("PRACK")) == 1


def test_a_callee_that_cannot_refuses_a_demand_for_reliability() -> None:
    wire, alice, bob = pair(bob=UNSUPPORTED)
    caller = alice.invite(bob, headers=[("Require", "100rel")])
    wire.run(1)
    assert caller.ended.status == 420


def test_a_prack_after_the_2xx_is_still_confirmed() -> None:
    wire, alice, bob = early(None)
    wire.drop_first("PRACK")
    alice.invite(bob)
    wire.run(0.1)
    bob.do(bob.session.accept, ANSWER)
    wire.run(3)
    assert len(wire.sent("200 PRACK")) == 1
    assert bob.session.is_established


def test_ringing_on_reliably_is_acknowledged_each_time() -> None:
    wire, alice, bob = pair()
    bob.on_call = lambda session: session.ring(now=bob.now, reliable=True)
    alice.invite(bob)
    wire.run(130)
    assert len({response.rseq for response in wire.sent(180)}) == 3
    assert len(wire.sent("200 PRACK")) == 3


def test_a_second_description_after_the_answer_is_our_users_mistake() -> None:
    wire, alice, bob = early()
    alice.invite(bob)
    wire.run(1)
    with pytest.raises(InvalidState):
        bob.do(bob.session.ring, HOLD, reliable=True)


def test_cancelling_during_early_media_ends_all() -> None:
    wire, alice, bob = early()
    caller = alice.invite(bob)
    wire.run(0.015)
    alice.do(caller.cancel)
    wire.run_until_quiet()
    assert (caller.ended.status, bob.session.ended.status) == (487, 487)
    assert wire.is_quiet
