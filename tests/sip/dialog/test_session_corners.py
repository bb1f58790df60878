# SPDX-License-Identifier: Apache-2.0
"""The rows of the session's table that a call rarely takes."""

from typing import Any

import pytest
from session_harness import ANSWER, OFFER, End, call, pair, rings, rings_and_answers

from ringback.sip.dialog.session_states import Input, Occasion, State, advance
from ringback.sip.digest_client import DigestClient
from ringback.sip.events import RequestTimedOut, SessionRequestReceived


def answer_bare(end: End, session: Any) -> None:
    """A 2xx without the answer it owes."""
    response = end.stack.make_response(
        session.transaction, 200, headers=[("Contact", str(end.contact))], to_tag=session.local_tag
    )
    end.stack.respond(session.transaction, response, now=end.now)
    end.drain()


def send(end: End, session: Any, method: str) -> None:
    """A request in the dialog that the session knows nothing of."""
    end.stack.send_request(session.dialog.make_request(method), now=end.now)
    end.drain()


def test_a_2xx_without_an_answer_after_ringing_is_hung_up_on() -> None:
    wire, alice, bob = pair()
    bob.on_call = rings(bob)
    caller = alice.invite(bob)
    wire.run(0.1)
    answer_bare(bob, bob.session)
    wire.run(0.1)
    assert (caller.ended.status, caller.ended.by) == (488, "local")
    assert len(wire.sent("ACK")) == len(wire.sent("BYE")) == 1


def test_a_challenge_after_ringing_is_answered() -> None:
    wire, alice, bob = pair(alice={"credentials": DigestClient("alice", "secret")})

    def challenge_after_ringing(session: Any) -> None:
        if session.invite.credentials:
            session.accept(ANSWER, now=bob.now)
            return
        session.ring(now=bob.now)
        challenge = [("WWW-Authenticate", 'Digest realm="r", nonce="n"')]
        wire.at(0.1, lambda: bob.do(session.reject, 401, headers=challenge))

    bob.on_call = challenge_after_ringing
    caller = alice.invite(bob)
    wire.run(2)
    assert caller.is_established
    assert alice.stack.pending[2] == 1


def test_a_timeout_after_ringing_ends_the_call() -> None:
    wire, alice, bob = pair()
    bob.on_call = rings(bob)
    caller = alice.invite(bob)
    wire.run(0.1)
    transaction = caller.client_transaction
    assert transaction.consumer is not None
    transaction.consumer(RequestTimedOut(transaction))
    assert (caller.ended.status, caller.ended.by) == (408, "timeout")


def test_a_connection_that_breaks_after_the_cancel_ends_the_call_as_cancelled() -> None:
    wire, alice, bob = pair()
    bob.on_call = rings(bob)
    caller = alice.invite(bob)
    wire.run(0.1)
    alice.do(caller.cancel)
    alice.stack.flow_failed(alice.flow_to("10.0.0.2"), now=alice.now, detail="reset")
    alice.drain()
    assert (caller.state, caller.ended.status, caller.ended.by) == (State.ENDED, 487, "local")


def test_a_bye_after_the_cancel_is_confirmed_and_the_end_still_comes() -> None:
    wire, alice, bob = pair()
    bob.on_call = rings(bob)
    wire.drop_first("CANCEL", 3)
    caller = alice.invite(bob)
    wire.run(0.1)
    alice.do(caller.cancel)
    send(bob, bob.session, "BYE")
    wire.run(0.1)
    assert len(wire.sent("200 BYE")) == 1
    wire.run_until_quiet()
    assert (caller.ended.status, bob.session.ended.status) == (487, 487)
    assert wire.is_quiet


def test_a_bye_before_we_rang_is_confirmed_and_the_invite_gets_487() -> None:
    wire, alice, bob = pair()
    bob.on_call = None
    caller = alice.invite(bob)
    wire.run(0.1)
    response = bob.stack.make_response(
        bob.session.transaction, 180, headers=[("Contact", str(bob.contact))], to_tag=bob.session.local_tag
    )
    bob.stack.respond(bob.session.transaction, response, now=bob.now)
    bob.drain()
    wire.run(0.1)
    assert bob.session.state is State.INCOMING
    send(alice, caller, "BYE")
    wire.run_until_quiet()
    assert (bob.session.ended.status, bob.session.ended.by) == (200, "remote")
    assert len(wire.sent("487 INVITE")) == 1


@pytest.mark.parametrize("is_ringing", [False, True])
def test_a_caller_who_cannot_be_reached_any_more_is_let_go(is_ringing: bool) -> None:
    wire, alice, bob = pair()
    bob.on_call = rings(bob) if is_ringing else None
    alice.invite(bob)
    wire.run(0.1)
    bob.stack.flow_failed(bob.flow_to("10.0.0.1"), now=bob.now, detail="port unreachable")
    bob.drain()
    assert (bob.session.state, bob.session.ended.by) == (State.ENDED, "transport")


def test_a_caller_who_forgot_the_call_before_its_ack_is_said_goodbye() -> None:
    wire, alice, bob = pair()
    wire.drop_all("ACK")
    caller = alice.invite(bob)
    wire.run(0.3)
    assert bob.session.state is State.ACCEPTED
    bob.do(bob.session.request, "INFO")
    wire.run(0.05)
    alice.do(caller.respond, alice.heard(SessionRequestReceived)[0].transaction, 481)
    wire.run(0.1)
    assert (bob.session.ended.status, bob.session.ended.by) == (481, "remote")
    assert len(wire.sent("BYE")) == 1


def test_a_session_that_expires_before_its_ack_is_hung_up() -> None:
    wire, alice, bob = pair()
    wire.drop_all("ACK")
    alice.invite(bob)
    wire.run(0.3)
    advance(bob.session, Input.EXPIRED, Occasion(bob.now, status=408))
    bob.drain()
    assert (bob.session.ended.status, bob.session.ended.by) == (408, "timeout")
    assert len(wire.sent("BYE")) == 1


def departing(sdp: bytes | None = OFFER) -> tuple[Any, End, End]:
    """Bob has hung up and waits for the ACK that he needs for his BYE."""
    wire, alice, bob = pair()
    bob.on_call = rings_and_answers(bob, sdp=ANSWER if sdp else OFFER)
    wire.drop_first("ACK")
    alice.invite(bob, sdp=sdp)
    wire.run(0.3)
    bob.do(bob.session.bye)
    assert bob.session.state is State.DEPARTING
    return wire, alice, bob


def test_whoever_waits_to_leave_leaves_when_the_peer_does() -> None:
    wire, alice, bob = departing()
    alice.do(alice.session.bye)
    wire.run(0.1)
    assert bob.session.state is State.ENDED
    assert wire.sent("BYE", by="bob") == []
    wire.run_until_quiet()
    assert wire.is_quiet


def test_whoever_waits_to_leave_leaves_with_an_ack_that_refuses() -> None:
    wire, alice, bob = departing(sdp=None)
    alice.do(alice.session.refuse)
    wire.run_until_quiet()
    assert bob.session.state is State.ENDED
    assert wire.is_quiet


def test_whoever_waits_to_leave_leaves_when_an_ack_without_its_answer_comes() -> None:
    wire, alice, bob = departing(sdp=None)
    ack = alice.session.dialog.make_request("ACK", cseq=1)
    wire.drops.clear()
    alice.stack.send_stateless(ack, now=alice.now)
    alice.drain()
    wire.run(0.05)
    assert bob.session.state is State.ENDED
    assert len(wire.sent("BYE", by="bob")) == 1


def test_whoever_waits_to_leave_leaves_when_the_peer_has_no_such_dialog() -> None:
    wire, alice, bob = pair()
    wire.drop_all("ACK")
    alice.invite(bob)
    wire.run(0.3)
    bob.do(bob.session.request, "INFO")
    bob.do(bob.session.bye)
    wire.run(0.05)
    alice.do(alice.session.respond, alice.heard(SessionRequestReceived)[0].transaction, 481)
    wire.run(0.05)
    assert bob.session.state is State.ENDED
    assert bob.session.ended.by == "local"


def test_whoever_waits_to_leave_takes_no_change_and_no_message() -> None:
    wire, alice, _bob = departing()
    alice.do(alice.session.update)
    alice.do(alice.session.request, "INFO")
    wire.run(0.05)
    assert len(wire.sent("487 UPDATE")) == 1
    assert len(wire.sent("481 INFO")) == 1


def test_a_target_that_was_left_for_the_next_one_stops_ringing_when_the_other_answers() -> None:
    """RFC 3263 4.3: the first target was silent, the second rings, and then the first answers after all."""
    wire, alice, bob = pair(delay=(0.01, 0.01))
    carol = wire.end("carol", "10.0.0.3")
    carol.on_call = rings(carol)
    bob.on_call = rings_and_answers(bob, after=3.0)
    targets = ["10.0.0.2", "10.0.0.3"]
    original = alice.handle

    def handle(event: Any) -> None:
        if type(event).__name__ == "FlowNeeded" and getattr(event.outgoing.request, "method", "") == "INVITE":
            host = targets[min(event.attempt, 1)]
            alice.stack.use_flow(event.outgoing, alice.flow_to(host), now=alice.now, more=event.attempt == 0)
        else:
            original(event)

    alice.handle = handle  # type: ignore[method-assign]
    wire.drops.append(
        lambda message: getattr(message, "status", 0) == 180 and message.contacts[0].uri.user == "bob"
    )
    caller = alice.invite(bob)
    wire.run(10)
    assert caller.is_established
    assert bob.session.is_established
    assert (carol.session.ended.status, carol.session.ended.by) == (487, "remote")
    alice.do(caller.bye)
    wire.run_until_quiet()
    assert wire.is_quiet


def test_a_call_is_not_harmed_by_a_second_invite_of_the_same_number() -> None:
    """RELIABILITY row 53: two INVITEs with one CSeq."""
    wire, alice, bob, caller, callee = call()
    again = caller.dialog.make_request("INVITE", cseq=1, body=OFFER, content_type="application/sdp")
    alice.stack.send_request(again, now=alice.now)
    alice.drain()
    wire.run(1)
    assert len(wire.sent("500 INVITE")) == 1
    assert callee.is_established
    assert len(bob.sessions) == 1
