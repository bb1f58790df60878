# SPDX-License-Identifier: Apache-2.0
"""The ways of a call from its INVITE to its ACK."""

import pytest
from session_harness import ANSWER, OFFER, call, pair, rings, rings_and_answers

from ringback.sip.dialog.session_states import State
from ringback.sip.errors import InvalidState
from ringback.sip.events import AnswerReceived, OfferReceived, SessionEstablished, SessionProgress
from ringback.sip.message.message import Request, Response


def kinds(events: list) -> list[str]:
    return [type(event).__name__ for event in events]


def test_a_call_rings_is_answered_acknowledged_and_hung_up() -> None:
    wire, alice, bob, caller, callee = call()
    assert kinds(alice.events) == ["SessionProgress", "AnswerReceived", "SessionEstablished"]
    assert kinds(bob.events) == ["SessionEstablished"]
    alice.do(caller.bye)
    wire.run_until_quiet()
    assert [(end.status, end.by) for end in (caller.ended, callee.ended)] == [(200, "local"), (200, "remote")]
    assert wire.is_quiet
    assert alice.strays == bob.strays == []


def test_offer_and_answer_are_readable_at_both_ends() -> None:
    _, _, _, caller, callee = call()
    assert (caller.local_sdp, caller.remote_sdp) == (OFFER, ANSWER)
    assert (callee.local_sdp, callee.remote_sdp) == (ANSWER, OFFER)


def test_the_callee_can_hang_up_too() -> None:
    wire, _, bob, caller, callee = call()
    bob.do(callee.bye, reason='Q.850;cause=16;text="bye"')
    wire.run_until_quiet()
    assert (caller.ended.by, caller.ended.reason) == ("remote", 'Q.850;cause=16;text="bye"')
    assert callee.ended.by == "local"
    assert wire.is_quiet


def test_an_invite_without_an_offer_gets_one_in_the_2xx_and_answers_in_the_ack() -> None:
    wire, alice, bob = pair()
    bob.on_call = rings_and_answers(bob, sdp=OFFER)
    caller = alice.invite(bob, sdp=None)
    alice.on_event = lambda event: (
        caller.answer(ANSWER, now=alice.now) if isinstance(event, OfferReceived) else None
    )
    wire.run(2)
    assert [message.body for message in wire.sent("ACK")] == [ANSWER]
    assert bob.session.is_established
    assert bob.session.remote_sdp == ANSWER
    assert [event.sdp for event in bob.heard(AnswerReceived)] == [ANSWER]


def test_the_ack_waits_for_our_users_answer_and_the_2xx_is_repeated_until_then() -> None:
    wire, alice, bob = pair()
    bob.on_call = rings_and_answers(bob, sdp=OFFER)
    caller = alice.invite(bob, sdp=None)
    wire.run(5)
    assert wire.sent("ACK") == []
    assert len(wire.sent("200 INVITE")) >= 4
    alice.do(caller.answer, ANSWER)
    wire.run(5)
    assert bob.session.is_established


def test_an_offer_in_a_2xx_that_is_refused_is_acknowledged_and_hung_up() -> None:
    wire, alice, bob = pair()
    bob.on_call = rings_and_answers(bob, sdp=OFFER)
    caller = alice.invite(bob, sdp=None)
    wire.run(1)
    alice.do(caller.refuse)
    wire.run_until_quiet()
    assert [message.body for message in wire.sent("ACK")] == [b""]
    assert len(wire.sent("BYE", by="alice")) == 1
    assert wire.is_quiet


def test_hanging_up_before_answering_the_offer_of_a_2xx_sends_the_ack_first() -> None:
    wire, alice, bob = pair()
    bob.on_call = rings_and_answers(bob, sdp=OFFER)
    caller = alice.invite(bob, sdp=None)
    wire.run(1)
    alice.do(caller.bye)
    wire.run_until_quiet()
    assert [m.method for _, source, _, m in wire.trace if source == "10.0.0.1" and isinstance(m, Request)][
        -2:
    ] == [
        "ACK",
        "BYE",
    ]
    assert wire.is_quiet


def test_a_2xx_without_an_answer_is_acknowledged_and_hung_up() -> None:
    wire, alice, bob = pair()

    def answer_without_sdp(session: object) -> None:
        response = bob.stack.make_response(
            bob.session.transaction,
            200,
            headers=[("Contact", str(bob.contact))],
            to_tag=bob.session.local_tag,
        )
        bob.stack.respond(bob.session.transaction, response, now=bob.now)

    bob.on_call = answer_without_sdp
    caller = alice.invite(bob)
    wire.run(1)
    assert (caller.ended.status, caller.ended.by) == (488, "local")
    assert len(wire.sent("ACK")) == len(wire.sent("BYE")) == 1


def test_an_ack_without_the_answer_it_owes_ends_the_call() -> None:
    wire, alice, bob = pair()
    bob.on_call = rings_and_answers(bob, sdp=OFFER)
    caller = alice.invite(bob, sdp=None)
    wire.run(1)
    caller.pending.clear()
    from ringback.sip.dialog.acknowledging import acknowledge

    acknowledge(caller.usage, caller.invite, now=alice.now)
    alice.drain()
    wire.run(1)
    assert bob.session.ended.status == 488
    assert caller.ended.by == "remote"


def test_a_preview_of_the_answer_is_heard_early_and_the_answer_again_in_the_2xx() -> None:
    wire, alice, bob = pair()

    def early(session: object) -> None:
        bob.session.ring(ANSWER, now=bob.now, status=183)
        bob.wire.at(0.5, lambda: bob.do(bob.session.accept))

    bob.on_call = early
    caller = alice.invite(bob)
    wire.run(0.3)
    assert caller.remote_sdp == ANSWER
    wire.run(2)
    assert [event.is_early for event in alice.heard(AnswerReceived)] == [True, False]
    assert wire.sent("200 INVITE")[0].body == ANSWER


def test_a_call_that_owes_an_answer_cannot_be_accepted_without_one() -> None:
    wire, alice, bob = pair()
    bob.on_call = rings(bob)
    alice.invite(bob)
    wire.run(1)
    with pytest.raises(InvalidState):
        bob.session.accept(now=bob.now)


@pytest.mark.parametrize("status", [302, 404, 486, 503, 603])
def test_a_refusal_ends_the_callers_session_with_the_response(status: int) -> None:
    wire, alice, bob = pair()
    bob.on_call = lambda session: session.reject(status, "No", now=bob.now)
    caller = alice.invite(bob)
    wire.run_until_quiet()
    assert (caller.ended.status, caller.ended.by, caller.ended.response.reason) == (status, "remote", "No")
    assert (bob.session.ended.status, bob.session.ended.by) == (status, "local")
    assert wire.is_quiet


def test_a_lost_ack_is_sent_again_for_each_2xx_that_comes() -> None:
    wire, alice, bob = pair()
    wire.drop_first("ACK", 2)
    alice.invite(bob)
    wire.run(10)
    assert len(wire.sent("200 INVITE")) == len(wire.sent("ACK")) == 3
    assert len(alice.established) == len(bob.established) == 1
    assert bob.session.is_established


def test_a_2xx_is_repeated_at_doubling_intervals_up_to_t2_and_then_the_callee_hangs_up() -> None:
    wire, alice, bob = pair()
    wire.drop_all("ACK")
    alice.invite(bob)
    wire.run_until_quiet()
    times = [at for at, _, _, message in wire.trace if isinstance(message, Response) and message.status == 200
             and message.cseq.method == "INVITE"]  # fmt: skip
    assert [round(at - times[0], 3) for at in times] == [
        0,
        0.5,
        1.5,
        3.5,
        7.5,
        11.5,
        15.5,
        19.5,
        23.5,
        27.5,
        31.5,
    ]
    assert (bob.session.ended.status, bob.session.ended.by) == (408, "timeout")
    assert (alice.session.ended.status, alice.session.ended.by) == (200, "remote")
    assert wire.sent("BYE")[0].headers["Reason"] == 'SIP;cause=408;text="No ACK"'
    assert wire.is_quiet


def test_a_lost_2xx_comes_again_and_the_call_stands() -> None:
    wire, alice, bob = pair()
    wire.drop_first("200 INVITE", 3)
    alice.invite(bob)
    wire.run(10)
    assert alice.session.is_established
    assert bob.session.is_established


def test_when_every_2xx_is_lost_the_callees_bye_ends_the_callers_session_too() -> None:
    wire, alice, bob = pair()
    wire.drop_all("200 INVITE")
    alice.invite(bob)
    wire.run_until_quiet()
    assert (alice.session.ended.by, bob.session.ended.by) == ("remote", "timeout")
    assert wire.is_quiet


def test_nobody_there_is_a_timeout() -> None:
    wire, alice, bob = pair()
    wire.drop_all("INVITE")
    caller = alice.invite(bob)
    wire.run_until_quiet()
    assert (caller.ended.status, caller.ended.by) == (408, "timeout")
    assert wire.is_quiet


def test_no_way_there_is_a_transport_failure() -> None:
    wire, alice, _ = pair()
    caller = alice.invite("sip:bob@nowhere.example")
    wire.run_until_quiet()
    assert (caller.ended.status, caller.ended.by) == (503, "transport")
    assert wire.is_quiet


def test_a_connection_that_breaks_while_it_rings_ends_the_call() -> None:
    wire, alice, bob = pair()
    bob.on_call = rings(bob)
    caller = alice.invite(bob)
    wire.run(1)
    alice.stack.flow_failed(alice.flow_to("10.0.0.2"), now=alice.now, detail="reset")
    alice.drain()
    assert (caller.ended.status, caller.ended.by, caller.ended.reason) == (503, "transport", "reset")


def test_ringing_is_repeated_every_minute_for_the_proxies_on_the_way() -> None:
    wire, alice, bob = pair()
    bob.on_call = rings(bob)
    alice.invite(bob)
    wire.run(200)
    assert len(wire.sent(180)) == 4
    assert len(alice.heard(SessionProgress)) == 4


def test_a_session_is_only_made_of_an_invite_with_a_contact() -> None:
    _, alice, _ = pair()
    with pytest.raises(InvalidState):
        alice.table.invite(
            Request.new("INVITE", "sip:b@x", from_="<sip:a@x>", to="<sip:b@x>", call_id="c", cseq=1),
            now=0,
            consumer=None,
        )


def test_a_from_tag_is_made_when_there_is_none() -> None:
    wire, alice, _bob = pair()
    request = Request.new(
        "INVITE",
        "sip:bob@10.0.0.2",
        from_="<sip:a@x>",
        to="<sip:b@x>",
        call_id="c",
        cseq=1,
        headers=[("Contact", str(alice.contact))],
    )
    session = alice.table.invite(request, now=alice.now, consumer=alice.hear, sdp=OFFER)
    alice.drain()
    wire.run(2)
    assert session.is_established
    assert len(session.local_tag) >= 16


# --- what makes an INVITE no call ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ([("Require", "teleportation")], b"", 420),
        ([("Session-Expires", "30"), ("Supported", "timer")], b"", 422),
        ([("Content-Type", "application/x-unknown")], b"?", 415),
        (
            [("Content-Type", "application/x-unknown"), ("Content-Disposition", "x;handling=optional")],
            b"?",
            180,
        ),
    ],
)
def test_what_cannot_be_a_call_is_refused_at_once(
    headers: list[tuple[str, str]], body: bytes, status: int
) -> None:
    wire, alice, bob = pair()
    bob.on_call = rings(bob)
    request = Request.new(
        "INVITE",
        "sip:bob@10.0.0.2",
        from_="<sip:a@x>;tag=1",
        to="<sip:b@x>",
        call_id="c",
        cseq=1,
        headers=[("Contact", str(alice.contact)), *headers],
        body=body,
    )
    alice.stack.send_request(request, now=alice.now)
    alice.drain()
    wire.run(0.1)
    assert len(wire.sent(status)) == 1
    assert (bob.session.ended is not None) == (status >= 300)


def test_a_second_invite_inside_a_dialog_nobody_knows_gets_481() -> None:
    wire, alice, bob, caller, callee = call()
    bob.stack.unregister_dialog(callee.dialog.id)
    alice.do(caller.reinvite, OFFER)
    wire.run(1)
    assert len(wire.sent("481 INVITE")) == 1
    assert (caller.ended.status, caller.ended.by) == (481, "remote")


# --- forks ----------------------------------------------------------------------------------------------


def fork(status: int = 200, answers: int = 3):
    """Bob's host answers each INVITE with several tags, as a forking proxy would deliver."""
    wire, alice, bob = pair()

    def answer(session: object) -> None:
        for index in range(answers):
            response = Response.to(
                session.invite,  # type: ignore[attr-defined]
                status,
                to_tag=f"fork{index}",
                headers=[("Contact", f"<sip:fork{index}@10.0.0.2>")],
                body=ANSWER,
                content_type="application/sdp",
            )
            bob.stack.send_stateless(response, now=bob.now, flow=bob.flow_to("10.0.0.1"))
        session.stack.deadlines  # noqa: B018

    bob.on_call = answer
    return wire, alice, bob


def test_the_first_of_several_2xx_is_the_call_and_the_others_are_released() -> None:
    wire, alice, _ = fork()
    caller = alice.invite("sip:bob@10.0.0.2")
    wire.run(0.5)
    assert caller.is_established
    assert caller.dialog.remote_tag == "fork0"
    assert sorted(message.to.tag for message in wire.sent("ACK")) == ["fork0", "fork1", "fork2"]
    assert sorted(message.to.tag for message in wire.sent("BYE")) == ["fork1", "fork2"]
    assert len(alice.established) == 1


def test_a_repeated_2xx_of_a_released_fork_gets_its_ack_again_and_no_second_bye() -> None:
    wire, alice, bob = fork()
    alice.invite("sip:bob@10.0.0.2")
    wire.run(0.5)
    bob.on_call(bob.session)
    bob.drain()
    wire.run(0.5)
    assert len(wire.sent("ACK")) == 6
    assert len({message.to.tag for message in wire.sent("BYE")}) == 2
    assert {message.cseq.number for message in wire.sent("BYE")} == {2}


def test_early_dialogs_of_a_fork_live_side_by_side_until_one_answers() -> None:
    wire, alice, bob = fork(status=183)
    caller = alice.invite("sip:bob@10.0.0.2")
    wire.run(0.1)
    assert sorted(caller.usages) == ["fork0", "fork1", "fork2"]
    assert alice.stack.pending[2] == 3
    bob.do(bob.session.accept, ANSWER)
    wire.run(1)
    assert caller.is_established
    assert list(caller.usages) == [bob.session.local_tag]
    assert alice.stack.pending[2] == 1


def test_a_fork_does_not_grow_beyond_its_limit() -> None:
    wire, alice, _ = fork(status=183, answers=200)
    caller = alice.invite("sip:bob@10.0.0.2")
    wire.run(0.1)
    assert len(caller.usages) == 32


def test_a_bye_in_one_of_several_early_dialogs_ends_only_that_one() -> None:
    wire, alice, bob = fork(status=183, answers=2)
    caller = alice.invite("sip:bob@10.0.0.2")
    wire.run(0.1)
    bye = Request.new(
        "BYE",
        str(alice.contact.uri),
        from_="<sip:bob@10.0.0.2>;tag=fork0",
        to=f"<sip:alice@example.com>;tag={caller.local_tag}",
        call_id=caller.invite.call_id,
        cseq=1,
    )
    bob.stack.send_request(bye, now=bob.now, flow=bob.flow_to("10.0.0.1"))
    bob.drain()
    wire.run(0.1)
    assert list(caller.usages) == ["fork1"]
    assert caller.state is State.PROCEEDING
    assert len(wire.sent("200 BYE")) == 1


def test_established_is_heard_before_nothing_else_is_lost() -> None:
    _, alice, _, _, _ = call()
    assert isinstance(alice.events[-1], SessionEstablished)


def test_an_invite_that_expires_while_it_rings_gets_487() -> None:
    wire, alice, bob = pair()
    bob.on_call = rings(bob)
    caller = alice.invite(bob, headers=[("Expires", "30")])
    wire.run(29)
    assert caller.ended is None
    wire.run_until_quiet()
    assert (caller.ended.status, bob.session.ended.by) == (487, "local")
    assert wire.is_quiet


def test_an_invite_that_was_answered_does_not_expire() -> None:
    wire, alice, bob = pair()
    caller = alice.invite(bob, headers=[("Expires", "30")])
    wire.run(60)
    assert caller.is_established
