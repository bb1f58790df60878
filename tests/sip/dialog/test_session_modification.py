# SPDX-License-Identifier: Apache-2.0
"""Changing a session that stands: re-INVITE, UPDATE, glare, and other requests in the dialog."""

from typing import Any

import pytest
from session_harness import ANSWER, HELD, HOLD, OFFER, End, call, pair, rings

from ringback.sip.errors import InvalidState
from ringback.sip.events import (
    AnswerReceived,
    OfferReceived,
    OfferRefused,
    ResponseReceived,
    SessionRequestReceived,
)


def answers(end: End, sdp: bytes = HELD) -> None:
    def on_event(event: Any) -> None:
        if isinstance(event, OfferReceived):
            event.session.answer(sdp, now=end.now)

    end.on_event = on_event


def refuses(end: End, status: int = 488) -> None:
    def on_event(event: Any) -> None:
        if isinstance(event, OfferReceived):
            event.session.refuse(status, now=end.now)

    end.on_event = on_event


@pytest.mark.parametrize("method", ["reinvite", "update"])
def test_hold_is_offered_and_answered(method: str) -> None:
    wire, alice, bob, caller, callee = call()
    answers(bob)
    alice.do(getattr(caller, method), HOLD)
    wire.run(2)
    assert [event.sdp for event in bob.heard(OfferReceived)] == [HOLD]
    assert alice.heard(AnswerReceived)[-1].sdp == HELD
    assert (caller.local_sdp, caller.remote_sdp) == (HOLD, HELD)
    assert (callee.local_sdp, callee.remote_sdp) == (HELD, HOLD)
    alice.do(caller.bye)
    wire.run_until_quiet()
    assert wire.is_quiet


@pytest.mark.parametrize("method", ["reinvite", "update"])
def test_the_callee_can_change_the_session_too(method: str) -> None:
    wire, alice, bob, caller, callee = call()
    answers(alice)
    bob.do(getattr(callee, method), HOLD)
    wire.run(2)
    assert callee.remote_sdp == HELD
    assert caller.is_established


def test_a_reinvite_without_an_offer_asks_for_one_and_the_ack_carries_the_answer() -> None:
    wire, alice, bob, caller, callee = call()
    answers(bob, HOLD)
    answers(alice, HELD)
    alice.do(caller.reinvite, None)
    wire.run(2)
    assert bob.heard(OfferReceived)[-1].sdp is None
    assert alice.heard(OfferReceived)[-1].sdp == HOLD
    assert wire.sent("ACK")[-1].body == HELD
    assert (callee.local_sdp, callee.remote_sdp) == (HOLD, HELD)
    assert callee.is_established


@pytest.mark.parametrize("method", ["reinvite", "update"])
def test_a_refused_offer_leaves_the_session_as_it_was(method: str) -> None:
    wire, alice, bob, caller, callee = call()
    refuses(bob)
    alice.do(getattr(caller, method), HOLD)
    wire.run(2)
    assert [(event.status) for event in alice.heard(OfferRefused)] == [488]
    assert (caller.local_sdp, caller.remote_sdp) == (OFFER, ANSWER)
    assert (callee.local_sdp, callee.remote_sdp) == (ANSWER, OFFER)
    answers(bob)
    alice.do(getattr(caller, method), HOLD)
    wire.run(2)
    assert caller.remote_sdp == HELD


def test_an_offer_that_repeats_what_stands_is_answered_with_what_stands() -> None:
    wire, alice, bob, caller, _ = call()
    alice.do(caller.reinvite, OFFER)
    wire.run(2)
    assert bob.heard(OfferReceived) == []
    assert wire.sent("200 INVITE")[-1].body == ANSWER


def test_reinvites_that_cross_are_both_refused_with_491_and_tried_again_by_one_and_then_the_other() -> None:
    wire, alice, bob, caller, callee = call(delay=(0.1, 0.1))
    answers(alice, HELD)
    answers(bob, HELD)
    alice.do(caller.reinvite, HOLD)
    bob.do(callee.reinvite, HOLD + b"a=bob\r\n")
    start = wire.now
    wire.run(8)
    assert len(wire.sent("491 INVITE")) == 2
    again = [
        (at - start, source)
        for at, source, _, m in wire.trace
        if at > start + 0.1 and getattr(m, "method", "") == "INVITE"
    ]
    assert [source for _, source in again] == ["10.0.0.2", "10.0.0.1"]
    assert again[0][0] <= 2.3
    assert 2.1 <= again[1][0] <= 4.3
    assert caller.is_established
    assert callee.is_established
    assert caller.modification is callee.modification is None
    assert caller.local_sdp == callee.remote_sdp


def test_updates_that_cross_are_refused_with_491_and_tried_again() -> None:
    wire, alice, bob, caller, callee = call(delay=(0.1, 0.1))
    answers(alice)
    answers(bob)
    alice.do(caller.update, HOLD)
    bob.do(callee.update, HOLD + b"a=bob\r\n")
    wire.run(10)
    assert len(wire.sent("491 UPDATE")) == 2
    assert len(wire.sent("200 UPDATE")) == 2


def test_a_second_reinvite_before_the_first_is_answered_gets_500_with_retry_after() -> None:
    wire, alice, _bob, caller, _ = call()
    alice.do(caller.reinvite, HOLD)
    wire.run(0.1)
    second = caller.dialog.make_request("INVITE", body=HOLD, content_type="application/sdp")
    alice.stack.send_request(second, now=alice.now)
    alice.drain()
    wire.run(0.1)
    (refusal,) = wire.sent("500 INVITE")
    assert 0 <= refusal.retry_after.seconds <= 10


def test_one_change_at_a_time_from_here() -> None:
    _, alice, _, caller, _ = call()
    alice.do(caller.reinvite, HOLD)
    with pytest.raises(InvalidState):
        alice.do(caller.reinvite, OFFER)
    with pytest.raises(InvalidState):
        alice.do(caller.update, OFFER)


def test_no_change_while_an_offer_of_the_peer_waits_for_our_answer() -> None:
    wire, alice, bob, caller, callee = call()
    alice.do(caller.reinvite, HOLD)
    wire.run(0.1)
    with pytest.raises(InvalidState):
        bob.do(callee.reinvite, OFFER)
    with pytest.raises(InvalidState):
        bob.do(callee.update, OFFER)


def test_an_update_without_an_offer_only_refreshes() -> None:
    wire, alice, bob, caller, callee = call()
    alice.do(caller.update)
    wire.run(1)
    assert bob.heard(OfferReceived) == []
    assert wire.sent("200 UPDATE")[0].body == b""
    assert wire.sent("200 UPDATE")[0].contacts
    assert callee.is_established


def test_an_update_to_a_peer_that_does_not_allow_it_is_our_users_mistake() -> None:
    wire, alice, bob = pair(bob={"settings": {"allow": ("INVITE", "ACK", "BYE", "CANCEL")}})
    caller = alice.invite(bob)
    wire.run(1)
    with pytest.raises(InvalidState):
        alice.do(caller.update, HOLD)


def test_an_update_whose_offer_nobody_answers_gets_504() -> None:
    wire, alice, _bob, caller, _ = call()
    alice.do(caller.update, HOLD)
    wire.run(20)
    assert [event.status for event in alice.heard(OfferRefused)] == [504]
    assert caller.is_established


def test_an_update_in_an_early_dialog_after_a_reliable_answer() -> None:
    wire, alice, bob = pair()
    bob.on_call = lambda session: session.ring(ANSWER, now=bob.now, status=183, reliable=True)
    caller = alice.invite(bob)
    wire.run(1)
    answers(bob)
    alice.do(caller.update, HOLD)
    wire.run(1)
    assert caller.remote_sdp == HELD
    bob.do(bob.session.accept)
    wire.run(1)
    assert caller.is_established
    assert caller.remote_sdp == HELD
    assert wire.sent("200 INVITE")[0].body == b""


def test_an_update_with_an_offer_before_the_first_answer_is_refused() -> None:
    wire, alice, bob = pair()
    bob.on_call = rings(bob)
    caller = alice.invite(bob)
    wire.run(1)
    with pytest.raises(InvalidState):
        alice.do(caller.update, HOLD)
    update = caller.dialog.make_request("UPDATE", body=HOLD, content_type="application/sdp")
    alice.stack.send_request(update, now=alice.now)
    alice.drain()
    wire.run(1)
    assert len(wire.sent("500 UPDATE")) == 1


def test_a_reinvite_before_the_ack_has_come_is_taken() -> None:
    wire, alice, bob = pair()
    wire.drop_first("ACK")
    caller = alice.invite(bob)
    wire.run(0.3)
    answers(bob)
    alice.do(caller.reinvite, HOLD)
    wire.run(5)
    assert caller.remote_sdp == HELD
    assert bob.session.is_established


def test_a_lost_ack_to_a_reinvite_is_sent_again() -> None:
    wire, alice, bob, caller, callee = call()
    answers(bob)
    wire.drop_first("ACK", 2)
    alice.do(caller.reinvite, HOLD)
    wire.run(10)
    assert callee.is_established
    assert not callee.acceptances


def test_a_reinvite_whose_2xx_is_never_acknowledged_ends_the_session() -> None:
    wire, alice, bob, caller, callee = call()
    answers(bob)
    wire.drop_all("ACK")
    alice.do(caller.reinvite, HOLD)
    wire.run_until_quiet()
    assert callee.ended.by == "timeout"
    assert caller.ended.by == "remote"
    assert wire.is_quiet


def test_a_reinvite_that_its_sender_takes_back_leaves_the_session_as_it_was() -> None:
    wire, alice, _bob, caller, callee = call()
    alice.do(caller.reinvite, HOLD)
    wire.run(1)
    invites = [each for each in alice.stack._sender.transactions if each.is_invite]
    transaction = next(each for each in invites if each.request.to.tag is not None)
    alice.stack.cancel(transaction, now=alice.now)
    alice.drain()
    wire.run(1)
    assert len(wire.sent("487 INVITE")) == 1
    assert callee.remote_invite is None
    assert (callee.local_sdp, callee.remote_sdp) == (ANSWER, OFFER)
    assert caller.is_established


@pytest.mark.parametrize("status", [408, 481])
def test_a_reinvite_that_finds_no_dialog_ends_the_session_with_a_bye(status: int) -> None:
    wire, alice, bob, caller, callee = call()
    refuses(bob, status)
    alice.do(caller.reinvite, HOLD)
    wire.run_until_quiet()
    assert (caller.ended.status, caller.ended.by) == (status, "timeout" if status == 408 else "remote")
    assert callee.ended.by == "remote"
    assert wire.is_quiet


def test_a_reinvite_that_nobody_answers_ends_the_session() -> None:
    wire, alice, _bob, caller, _ = call()
    wire.drop_all("INVITE")
    alice.do(caller.reinvite, HOLD)
    wire.run(40)
    assert caller.ended.by == "timeout"


def test_500_with_retry_after_is_tried_again_then() -> None:
    wire, alice, bob, caller, callee = call()
    tries = []

    def on_event(event: Any) -> None:
        if isinstance(event, OfferReceived):
            tries.append(bob.now)
            if len(tries) == 1:
                offer = callee.pending.popleft()
                callee.remote_invite = None
                offer.usage.negotiation.withdraw()
                callee.respond(offer.transaction, 500, headers=[("Retry-After", "3")], now=bob.now)
            else:
                callee.answer(HELD, now=bob.now)

    bob.on_event = on_event
    alice.do(caller.reinvite, HOLD)
    wire.run(10)
    assert tries[1] - tries[0] == pytest.approx(3.02, abs=0.1)
    assert caller.remote_sdp == HELD


def test_the_contact_of_a_reinvite_and_of_its_2xx_moves_the_targets() -> None:
    wire, alice, bob, caller, callee = call()
    answers(bob)
    caller.dialog.contact = caller.dialog.contact.parse("<sip:alice@10.0.0.1:5060;moved=yes>")
    callee.contact = callee.contact.parse("<sip:bob@10.0.0.2:5060;moved=yes>")
    alice.do(caller.reinvite, HOLD)
    wire.run(1)
    assert str(callee.dialog.remote_target) == "sip:alice@10.0.0.1:5060;moved=yes"
    assert str(caller.dialog.remote_target) == "sip:bob@10.0.0.2:5060;moved=yes"


# --- other requests ---------------------------------------------------------------------------------------


def test_info_is_passed_up_and_its_answer_comes_back() -> None:
    wire, alice, bob, caller, callee = call()
    heard: list[Any] = []
    alice.do(
        caller.request, "INFO", body=b"Signal=1", content_type="application/dtmf-relay", consumer=heard.append
    )
    wire.run(0.1)
    (event,) = bob.heard(SessionRequestReceived)
    assert (event.request.method, event.request.body) == ("INFO", b"Signal=1")
    bob.do(callee.respond, event.transaction, 200)
    wire.run(0.1)
    assert [event.response.status for event in heard if isinstance(event, ResponseReceived)] == [200]


@pytest.mark.parametrize(("method", "status"), [("PUBLISH", 405), ("DANCE", 501)])
def test_methods_that_have_no_place_in_a_call_are_refused(method: str, status: int) -> None:
    wire, alice, _bob, caller, _ = call()
    alice.do(caller.request, method)
    wire.run(1)
    (refusal,) = wire.sent(status)
    assert "INVITE" in refusal.allow
    assert caller.is_established


def test_an_extension_that_is_required_and_unknown_is_refused_by_name() -> None:
    wire, alice, _bob, caller, _ = call()
    alice.do(caller.request, "INFO", headers=[("Require", "teleportation")])
    wire.run(1)
    (refusal,) = wire.sent(420)
    assert refusal.unsupported == ["teleportation"]


def test_a_bye_is_taken_whatever_it_requires() -> None:
    wire, alice, _bob, caller, callee = call()
    bye = caller.dialog.make_request("BYE", headers=[("Require", "teleportation")])
    alice.stack.send_request(bye, now=alice.now)
    alice.drain()
    wire.run(0.1)
    assert callee.ended.by == "remote"


def test_481_to_an_info_ends_the_session() -> None:
    wire, alice, bob, caller, callee = call()
    alice.do(caller.request, "INFO")
    wire.run(0.1)
    bob.do(callee.respond, bob.heard(SessionRequestReceived)[0].transaction, 481)
    wire.run(1)
    assert (caller.ended.status, caller.ended.by) == (481, "remote")


def test_requests_our_user_never_answers_have_a_limit_and_are_answered_at_the_end() -> None:
    wire, alice, bob, caller, callee = call()
    for _ in range(70):
        alice.do(caller.request, "INFO")
    wire.run(0.2)
    assert len(callee.unanswered) == 64
    assert len(wire.sent("500 INFO")) == 6
    bob.do(callee.bye)
    wire.run(0.1)
    assert len(wire.sent("487 INFO")) == 64


def test_commands_with_a_method_of_their_own_are_not_sent_as_requests() -> None:
    _, alice, _, caller, _ = call()
    for method in ("BYE", "INVITE", "ACK", "CANCEL", "PRACK", "UPDATE"):
        with pytest.raises(InvalidState):
            alice.do(caller.request, method)
