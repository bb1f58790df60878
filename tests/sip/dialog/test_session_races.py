# SPDX-License-Identifier: Apache-2.0
"""What crosses on the way: RFC 3261 section 9, RFC 5407, and the late ACK."""

import pytest
from session_harness import ANSWER, OFFER, call, pair, rings, rings_and_answers

from ringback.sip.dialog.session_states import State
from ringback.sip.errors import InvalidState
from ringback.sip.events import AckReceived, SessionEnded, SessionEstablished
from ringback.sip.message.message import Request, Response


def test_a_call_that_rings_is_cancelled() -> None:
    wire, alice, bob = pair()
    bob.on_call = rings(bob)
    caller = alice.invite(bob)
    wire.run(1)
    alice.do(caller.cancel, reason='SIP;cause=200;text="Call completed elsewhere"')
    wire.run_until_quiet()
    assert (caller.ended.status, caller.ended.by) == (487, "local")
    assert (bob.session.ended.status, bob.session.ended.by) == (487, "remote")
    assert bob.session.ended.reason == 'SIP;cause=200;text="Call completed elsewhere"'
    assert wire.is_quiet


def test_a_cancel_waits_for_a_provisional_response() -> None:
    wire, alice, bob = pair()
    bob.on_call = None
    caller = alice.invite(bob)
    alice.do(caller.cancel)
    assert wire.sent("CANCEL") == []
    wire.run_until_quiet()
    assert len(wire.sent("CANCEL")) == 1
    assert (caller.ended.status, bob.session.ended.status) == (487, 487)
    assert wire.is_quiet


def test_cancelling_before_anything_was_heard_of_the_callee_times_out_quietly() -> None:
    wire, alice, bob = pair()
    wire.drop_all("INVITE")
    caller = alice.invite(bob)
    alice.do(caller.cancel)
    wire.run_until_quiet()
    assert wire.sent("CANCEL") == []
    assert (caller.ended.status, caller.ended.by) == (487, "local")
    assert wire.is_quiet


def test_hanging_up_an_unanswered_call_cancels_it() -> None:
    wire, alice, bob = pair()
    bob.on_call = rings(bob)
    caller = alice.invite(bob)
    wire.run(1)
    alice.do(caller.bye)
    wire.run_until_quiet()
    assert caller.ended.status == 487
    assert wire.sent("BYE") == []


def test_hanging_up_a_call_that_rings_here_refuses_it() -> None:
    wire, alice, bob = pair()
    bob.on_call = rings(bob)
    caller = alice.invite(bob)
    wire.run(1)
    bob.do(bob.session.bye)
    wire.run_until_quiet()
    assert caller.ended.status == 480
    assert wire.is_quiet


def test_a_2xx_that_crosses_the_cancel_is_acknowledged_and_released() -> None:
    wire, alice, bob = pair(delay=(0.1, 0.1))
    bob.on_call = rings_and_answers(bob, after=0.5)
    caller = alice.invite(bob)
    wire.run(0.65)
    assert bob.session.state is State.ACCEPTED
    alice.do(caller.cancel)
    wire.run_until_quiet()
    assert len(wire.sent("200 CANCEL")) == 1
    assert len(wire.sent("ACK")) == len(wire.sent("BYE")) == 1
    assert (caller.ended.status, caller.ended.by) == (487, "local")
    assert (bob.session.ended.status, bob.session.ended.by) == (200, "remote")
    assert alice.established == []
    assert wire.is_quiet


def test_a_refusal_that_crosses_the_cancel_is_what_counts() -> None:
    wire, alice, bob = pair(delay=(0.1, 0.1))

    def busy(session: object) -> None:
        bob.session.ring(now=bob.now)
        wire.at(0.5, lambda: bob.do(bob.session.reject, 486))

    bob.on_call = busy
    caller = alice.invite(bob)
    wire.run(0.65)
    alice.do(caller.cancel)
    wire.run_until_quiet()
    assert (caller.ended.status, caller.ended.by) == (486, "remote")
    assert wire.is_quiet


def test_a_cancelled_call_without_an_end_is_given_up_after_64_t1() -> None:
    wire, alice, bob = pair()
    bob.on_call = rings(bob)
    wire.drop_all("CANCEL")
    caller = alice.invite(bob)
    wire.run(1)
    alice.do(caller.cancel)
    wire.run(31)
    assert caller.ended is None
    wire.run(2)
    assert (caller.ended.status, caller.ended.by) == (487, "local")


def test_a_call_that_was_given_up_and_is_answered_all_the_same_is_released() -> None:
    wire, alice, bob = pair()
    bob.on_call = rings(bob)
    wire.drop_all("CANCEL")
    caller = alice.invite(bob)
    wire.run(1)
    alice.do(caller.cancel)
    wire.run(31.9)
    bob.do(bob.session.accept, ANSWER)
    wire.run_until_quiet()
    assert caller.ended is not None
    assert bob.session.ended is not None
    assert alice.established == []
    assert wire.is_quiet


def test_a_cancel_after_the_answer_changes_nothing() -> None:
    _, alice, _, caller, _ = call()
    with pytest.raises(InvalidState):
        alice.do(caller.cancel)


def test_a_late_ack_after_the_bye_does_not_open_the_session_again() -> None:
    """The race that seeds found in the prototype: the ACK to a repeated 2xx arrives after the BYE."""
    wire, alice, bob = pair()
    wire.drop_first("ACK")
    caller = alice.invite(bob)
    wire.run(0.3)
    assert caller.is_established
    assert bob.session.state is State.ACCEPTED
    alice.do(caller.bye)
    wire.run(0.05)
    assert bob.session.ended.by == "remote"
    ack = caller.usage.acknowledgements[1]
    alice.stack.send_stateless(ack, now=alice.now)
    alice.drain()
    wire.run_until_quiet()
    assert bob.session.state is State.ENDED
    assert bob.heard(SessionEstablished) == []
    assert [type(event) for event in bob.strays] == [AckReceived]
    assert wire.is_quiet


def test_a_bye_before_the_ack_is_confirmed_and_stops_the_repetition_of_the_2xx() -> None:
    wire, alice, bob = pair()
    wire.drop_all("ACK")
    caller = alice.invite(bob)
    wire.run(0.3)
    alice.do(caller.bye)
    wire.run(0.1)
    before = len(wire.sent("200 INVITE"))
    wire.run_until_quiet()
    assert len(wire.sent("200 INVITE")) == before
    assert len(wire.sent("200 BYE")) == 1
    assert wire.is_quiet


def test_a_callee_that_hangs_up_before_the_ack_waits_for_it() -> None:
    wire, alice, bob = pair()
    wire.drop_first("ACK")
    alice.invite(bob)
    wire.run(0.3)
    bob.do(bob.session.bye)
    assert bob.session.state is State.DEPARTING
    assert bob.session.ended.by == "local"
    assert wire.sent("BYE") == []
    wire.run_until_quiet()
    assert len(wire.sent("BYE", by="bob")) == 1
    assert alice.session.ended.by == "remote"
    assert bob.established == []
    assert wire.is_quiet


def test_a_callee_that_hangs_up_and_never_gets_an_ack_says_goodbye_after_64_t1() -> None:
    wire, alice, bob = pair()
    wire.drop_all("ACK")
    alice.invite(bob)
    wire.run(0.3)
    bob.do(bob.session.bye)
    wire.run_until_quiet()
    assert len(wire.sent("BYE")) == 1
    assert alice.session.ended.by == "remote"
    assert wire.is_quiet


def test_byes_that_cross_are_both_confirmed() -> None:
    wire, alice, bob, caller, callee = call(delay=(0.1, 0.1))
    alice.do(caller.bye)
    bob.do(callee.bye)
    wire.run_until_quiet()
    assert len(wire.sent("200 BYE")) == 2
    assert (caller.ended.by, callee.ended.by) == ("local", "local")
    assert len(alice.ended) == len(bob.ended) == 1
    assert wire.is_quiet


def test_a_reinvite_that_crosses_a_bye_is_told_that_the_call_is_gone() -> None:
    wire, alice, bob, caller, callee = call(delay=(0.1, 0.1))
    alice.do(caller.bye)
    bob.do(callee.reinvite, OFFER)
    wire.run_until_quiet()
    assert len(wire.sent("481 INVITE")) == 1
    assert len(wire.sent("200 BYE")) == 1
    assert (caller.ended.by, callee.ended.by) == ("local", "remote")
    assert wire.is_quiet


def test_a_bye_while_a_reinvite_waits_for_our_user_ends_both() -> None:
    wire, alice, _bob, caller, callee = call()
    alice.do(caller.reinvite, OFFER + b"a=x\r\n")
    wire.run(0.1)
    alice.do(caller.bye)
    wire.run_until_quiet()
    assert len(wire.sent("487 INVITE")) == 1
    assert callee.ended.by == "remote"
    assert wire.is_quiet


def test_hanging_up_while_a_reinvite_waits_for_our_user_answers_it_first() -> None:
    wire, alice, bob, caller, callee = call()
    alice.do(caller.reinvite, OFFER + b"a=x\r\n")
    wire.run(0.1)
    bob.do(callee.bye)
    wire.run_until_quiet()
    assert len(wire.sent("487 INVITE")) == 1
    assert caller.ended.by == "remote"
    assert wire.is_quiet


def test_a_2xx_to_our_reinvite_that_comes_after_the_bye_is_still_acknowledged() -> None:
    wire, alice, _bob, caller, _callee = call(delay=(0.1, 0.1))
    alice.do(caller.reinvite, OFFER)
    wire.run(0.15)
    alice.do(caller.bye)
    wire.run_until_quiet()
    assert len(wire.sent("ACK")) >= 2
    assert wire.is_quiet


def test_a_bye_that_is_not_answered_ends_all_the_same() -> None:
    wire, alice, _bob, caller, _ = call()
    wire.drop_all("BYE")
    alice.do(caller.bye)
    assert caller.ended.by == "local"
    wire.run(40)
    assert alice.stack.pending == (0, 0, 0)
    assert len(alice.table) == 0


def test_a_caller_may_hang_up_an_early_dialog_with_a_bye() -> None:
    wire, alice, bob = pair()
    bob.on_call = rings(bob)
    caller = alice.invite(bob)
    wire.run(1)
    bye = caller.dialog.make_request("BYE")
    alice.stack.send_request(bye, now=alice.now)
    alice.drain()
    wire.run_until_quiet()
    assert len(wire.sent("200 BYE")) == len(wire.sent("487 INVITE")) == 1
    assert (bob.session.ended.status, bob.session.ended.by) == (200, "remote")


def test_a_bye_in_the_only_early_dialog_ends_the_call_and_a_late_2xx_is_released() -> None:
    wire, alice, bob = pair(delay=(0.01, 0.01))
    bob.on_call = rings(bob)
    caller = alice.invite(bob)
    wire.run(1)
    bye = bob.session.dialog.make_request("BYE")
    bob.stack.send_request(bye, now=bob.now)
    bob.drain()
    wire.run(0.02)
    assert caller.ended.by == "remote"
    wire.run_until_quiet()
    assert bob.session.ended.status == 487
    assert wire.is_quiet


def test_a_request_with_a_lower_number_is_refused_and_gaps_are_fine() -> None:
    wire, alice, bob, caller, callee = call()
    replies: list[int] = []
    for number in (10, 9, 10, 12):
        info = caller.dialog.make_request("OPTIONS", cseq=number)
        alice.stack.send_request(
            info, now=alice.now, consumer=lambda event: replies.append(event.response.status)
        )
        alice.drain()
        wire.run(0.05)
        for event in bob.heard(type(bob.events[-1])):
            if hasattr(event, "transaction"):
                bob.do(callee.respond, event.transaction, 200)
        wire.run(0.05)
    assert replies == [200, 500, 500, 200]


def test_an_ack_for_nothing_is_nobodys_business() -> None:
    wire, alice, bob, caller, callee = call()
    ack = caller.dialog.make_request("ACK", cseq=77)
    alice.stack.send_stateless(ack, now=alice.now)
    alice.drain()
    wire.run(1)
    assert callee.is_established
    assert len(bob.established) == 1


def test_nothing_is_heard_of_a_session_after_its_end() -> None:
    wire, alice, bob, caller, _ = call()
    alice.do(caller.bye)
    wire.run_until_quiet()
    assert isinstance(alice.events[-1], SessionEnded)
    assert isinstance(bob.events[-1], SessionEnded)
    assert alice.do(caller.bye) is None
    with pytest.raises(InvalidState):
        alice.do(caller.request, "INFO")


def test_an_invite_whose_caller_vanishes_while_it_rings_is_let_go() -> None:
    wire, alice, bob = pair()
    bob.on_call = rings(bob)
    alice.invite(bob)
    wire.run(1)
    bob.stack.flow_failed(bob.session.flow, now=bob.now, detail="unreachable")
    bob.session.ring(now=bob.now)
    bob.drain()
    assert bob.session.ended is None or bob.session.ended.by == "transport"


def test_a_second_2xx_does_not_make_a_second_call() -> None:
    wire, alice, bob = pair(duplicate=1.0)
    alice.invite(bob)
    wire.run(3)
    assert len(alice.established) == len(bob.established) == 1
    assert len(bob.sessions) == 1


def test_messages_of_the_peer_are_answered_and_no_response_is_answered() -> None:
    wire, _alice, _bob, _caller, _ = call()
    for _, _, _, message in wire.trace:
        if isinstance(message, Response):
            assert message.cseq.method != "ACK"
        else:
            assert isinstance(message, Request)
