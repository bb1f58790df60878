# SPDX-License-Identifier: Apache-2.0
"""The rows of the session's table that a call rarely takes."""

from typing import Any

import pytest
from session_harness import ANSWER, HELD, HOLD, OFFER, End, call, pair, rings, rings_and_answers

from ringback.sip.dialog.session_states import Input, Occasion, State, advance
from ringback.sip.digest_client import DigestClient
from ringback.sip.errors import InvalidState
from ringback.sip.events import OfferRefused, RequestTimedOut, SessionRequestReceived


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


# --- changes of a session -------------------------------------------------------------------------------


def answering_raw(end: End, handle: Any) -> None:
    """Re-INVITEs reach `handle(transaction)` instead of the session, as another kind of peer would take them."""
    session = end.session
    usual = session.receive_request

    class Peer:
        def receive_request(self, request: Any, transaction: Any, flow: Any, now: float) -> None:
            if request.method == "INVITE" and transaction is not None:
                handle(transaction)
            else:
                usual(request, transaction, flow, now)

    end.stack.register_dialog(session.dialog.id, Peer())


def test_a_reliable_provisional_response_to_a_reinvite_is_acknowledged_too() -> None:
    wire, alice, bob, caller, callee = call()

    def handle(transaction: Any) -> None:
        for status, headers, body in ((183, [("Require", "100rel"), ("RSeq", "7")], HELD), (200, [], b"")):
            response = bob.stack.make_response(
                transaction,
                status,
                headers=[("Contact", str(bob.contact)), *headers],
                body=body,
                content_type="application/sdp" if body else None,
                to_tag=callee.local_tag,
            )
            bob.stack.respond(transaction, response, now=bob.now)

    answering_raw(bob, handle)
    alice.do(caller.reinvite, HOLD)
    wire.run(0.1)
    assert [message.headers["RAck"] for message in wire.sent("PRACK")] == ["7 2 INVITE"]
    assert (caller.local_sdp, caller.remote_sdp) == (HOLD, HELD)
    assert caller.modification is None
    assert len(wire.sent("ACK")) == 2


def test_a_change_whose_interval_is_too_short_is_asked_for_again_with_a_longer_one() -> None:
    wire, alice, _bob, caller, callee = call(alice={"settings": {"session_expires": 120}})
    callee.timer.shortest = 600
    alice.do(caller.reinvite, OFFER)
    wire.run(1)
    assert [message.headers["Min-SE"] for message in wire.sent("422 INVITE")] == ["600"]
    assert wire.sent("INVITE")[-1].headers["Session-Expires"] == "600;refresher=uac"
    assert caller.timer.interval == callee.timer.interval == 600
    callee.timer.shortest = 900
    alice.do(caller.update)
    wire.run(1)
    assert len(wire.sent("422 UPDATE")) == 1
    assert caller.timer.interval == callee.timer.interval == 900


def test_a_change_that_finds_no_way_leaves_the_session_as_it_was() -> None:
    wire, alice, _, caller, _ = call()
    caller.dialog.remote_target = caller.dialog.remote_target.replace(host="nowhere.example")
    alice.do(caller.reinvite, HOLD)
    wire.run(0.1)
    assert [event.status for event in alice.heard(OfferRefused)] == [503]
    assert caller.local_sdp == OFFER
    assert caller.is_established


def test_a_refresh_waits_for_the_end_of_another_change() -> None:
    wire, alice, bob, caller, _ = call(alice={"settings": {"session_expires": 200}})
    wire.run(96)
    alice.do(caller.reinvite, HOLD)
    wire.run(4)
    assert wire.sent("UPDATE") == []
    bob.do(bob.session.refuse)
    wire.run(60)
    assert len(wire.sent("UPDATE")) == 1
    assert caller.is_established


def test_a_refusal_without_end_is_not_retried_for_ever() -> None:
    wire, alice, bob, caller, callee = call()

    def busy(transaction: Any) -> None:
        response = bob.stack.make_response(transaction, 491, to_tag=callee.local_tag)
        bob.stack.respond(transaction, response, now=bob.now)

    answering_raw(bob, busy)
    alice.do(caller.reinvite, HOLD)
    wire.run(60)
    assert len(wire.sent("491 INVITE")) == 9
    assert [event.status for event in alice.heard(OfferRefused)] == [491]
    assert (caller.local_sdp, caller.is_established) == (OFFER, True)


def test_an_offer_in_a_prack_can_be_refused() -> None:
    wire, alice, bob = pair()
    bob.on_call = lambda session: session.ring(ANSWER, now=bob.now, status=183, reliable=True)
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
    wire.run(0.05)
    bob.do(bob.session.accept)
    bob.do(bob.session.refuse)
    wire.run(0.05)
    assert len(wire.sent("488 PRACK")) == 1
    assert (bob.session.local_sdp, bob.session.remote_sdp) == (ANSWER, OFFER)
    assert bob.session.is_established


def test_headers_of_our_user_go_out_with_its_answers() -> None:
    wire, alice, bob = pair()

    def answer(session: Any) -> None:
        session.ring(now=bob.now, headers=[("Alert-Info", "<urn:alert:tone>")])
        session.accept(ANSWER, now=bob.now, headers=[("Organization", "Us")])

    bob.on_call = answer
    alice.invite(bob)
    wire.run(0.1)
    assert wire.sent(180)[0].headers["Alert-Info"] == "<urn:alert:tone>"
    assert wire.sent("200 INVITE")[0].headers["Organization"] == "Us"


@pytest.mark.parametrize(
    ("command", "status"), [("ring", 100), ("ring", 200), ("reject", 200), ("reject", 700)]
)
def test_a_status_that_means_something_else_is_our_users_mistake(command: str, status: int) -> None:
    wire, alice, bob = pair()
    bob.on_call = rings(bob)
    alice.invite(bob)
    wire.run(0.1)
    with pytest.raises(InvalidState):
        bob.do(getattr(bob.session, command), status=status)


def test_a_caller_does_not_answer_its_own_call() -> None:
    wire, alice, bob = pair()
    bob.on_call = rings(bob)
    caller = alice.invite(bob)
    wire.run(0.1)
    for command in (caller.ring, caller.accept, caller.reject):
        with pytest.raises(InvalidState):
            alice.do(command)


def test_a_session_shows_who_it_is_and_no_more() -> None:
    _, alice, _, caller, callee = call()
    assert repr(caller) == f"<InviteSession {caller.invite.call_id} caller ESTABLISHED>"
    assert repr(callee).endswith("callee ESTABLISHED>")
    assert alice.table.sessions == [caller]
