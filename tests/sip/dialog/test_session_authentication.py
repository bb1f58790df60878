# SPDX-License-Identifier: Apache-2.0
"""Challenges in and around a call: whose are answered, and whose are not."""

from typing import Any

from session_harness import ANSWER, HOLD, OFFER, End, Wire, pair, rings_and_answers

from ringback.sip.digest import ha1
from ringback.sip.digest_client import DigestClient
from ringback.sip.digest_server import DigestServer
from ringback.sip.events import RequestReceived
from ringback.sip.message.message import Request
from ringback.sip.stack import SipStack

REALM = "example.com"


def credentials() -> DigestClient:
    return DigestClient("alice", "secret")


class Gate:
    """Challenges requests of some methods before they reach their session, as a server would."""

    def __init__(
        self, end: End, *methods: str, status: int = 401, realm: str = REALM, always: bool = False
    ) -> None:
        self.end, self.methods, self.status, self.always = end, methods, status, always
        self.server = DigestServer(b"0123456789abcdef", realm=realm)
        self.receive, self.register = end.receive, end.stack.register_dialog
        end.receive = self.receive_request  # type: ignore[method-assign]
        end.stack.register_dialog = self.register_dialog  # type: ignore[method-assign]

    def receive_request(self, event: RequestReceived) -> None:
        if not self.challenges(event.request, event.transaction):
            self.receive(event)

    def register_dialog(self, dialog_id: Any, usage: Any) -> None:
        gate = self

        class Guarded:
            def receive_request(self, request: Request, transaction: Any, flow: Any, now: float) -> None:
                if transaction is None or not gate.challenges(request, transaction):
                    usage.receive_request(request, transaction, flow, now)

        SipStack.register_dialog(self.end.stack, dialog_id, Guarded())

    def challenges(self, request: Request, transaction: Any) -> bool:
        if request.method not in self.methods:
            return False
        given = request.credentials
        verdict = self.server.verify(
            given, request.method, request.target, request.body, self.secret, "x", now=self.end.now
        )
        if verdict.user is not None and not self.always:
            return False
        field = "WWW-Authenticate" if self.status == 401 else "Proxy-Authenticate"
        stale = verdict.stale or (self.always and bool(given))
        headers = [(field, each) for each in self.server.challenges("x", now=self.end.now, stale=stale)]
        response = self.end.stack.make_response(transaction, self.status, headers=headers)
        self.end.stack.respond(transaction, response, now=self.end.now)
        return True

    @staticmethod
    def secret(user: str, algorithm: str) -> str | None:
        return ha1(user, REALM, "secret", algorithm) if user == "alice" else None


def gated(*methods: str, **more: Any) -> tuple[Wire, End, End]:
    wire, alice, bob = pair(alice={"credentials": credentials()})
    Gate(bob, *methods, **more)
    return wire, alice, bob


def authorized(wire: Wire, method: str, by: str = "alice") -> list[bool]:
    return [bool(message.credentials) for message in wire.sent(method, by=by)]


def test_a_challenged_invite_is_sent_again_with_credentials() -> None:
    wire, alice, bob = gated("INVITE")
    caller = alice.invite(bob)
    wire.run(2)
    assert caller.is_established
    assert authorized(wire, "INVITE") == [False, True]
    assert [message.cseq.number for message in wire.sent("INVITE")] == [1, 2]
    assert len({message.call_id for message in wire.sent("INVITE")}) == 1


def test_407_is_answered_like_401() -> None:
    wire, alice, bob = gated("INVITE", status=407)
    caller = alice.invite(bob)
    wire.run(2)
    assert caller.is_established


def test_the_ack_carries_the_number_and_the_credentials_of_its_invite() -> None:
    wire, alice, bob = gated("INVITE")
    alice.invite(bob)
    wire.run(2)
    (ack,) = [message for message in wire.sent("ACK") if message.cseq.number == 2]
    assert ack.headers["Authorization"] == wire.sent("INVITE")[1].headers["Authorization"]


def test_without_credentials_a_challenge_is_a_refusal() -> None:
    wire, alice, bob = pair()
    Gate(bob, "INVITE")
    caller = alice.invite(bob)
    wire.run(1)
    assert (caller.ended.status, caller.ended.by) == (401, "remote")


def test_a_server_that_never_tires_of_new_nonces_gets_two_attempts() -> None:
    wire, alice, bob = gated("INVITE", always=True)
    caller = alice.invite(bob)
    wire.run_until_quiet()
    assert authorized(wire, "INVITE") == [False, True, True]
    assert caller.ended.status == 401
    assert wire.is_quiet


def test_a_challenged_reinvite_and_bye_of_our_own_call_are_answered_for_the_realm_that_knows_us() -> None:
    wire, alice, bob = gated("INVITE", "BYE")
    caller = alice.invite(bob)
    wire.run(2)
    bob.on_event = lambda event: (
        event.session.answer(ANSWER, now=bob.now) if type(event).__name__ == "OfferReceived" else None
    )
    alice.do(caller.reinvite, HOLD)
    wire.run(2)
    assert caller.local_sdp == HOLD
    alice.do(caller.bye)
    wire.run_until_quiet()
    assert authorized(wire, "BYE") == [False, True]
    assert bob.session.ended.by == "remote"
    numbers = [message.cseq.number for message in wire.sent("INVITE") + wire.sent("BYE")]
    assert numbers == sorted(set(numbers))
    assert wire.is_quiet


def test_a_callee_that_challenges_our_bye_but_did_not_our_invite_learns_nothing() -> None:
    """RELIABILITY row 25: the SIP digest leak."""
    wire, alice, bob = gated("BYE")
    caller = alice.invite(bob)
    wire.run(2)
    alice.do(caller.bye)
    wire.run_until_quiet()
    assert authorized(wire, "BYE") == [False]
    assert caller.ended.by == "local"


def test_a_caller_that_challenges_the_bye_of_its_victim_learns_nothing() -> None:
    """The leak as it was published: they call us, we answer, they say nothing, and challenge our BYE."""
    wire, alice, bob = pair(bob={"credentials": credentials()})
    Gate(alice, "BYE", "INVITE", "INFO")
    alice.invite(bob)
    wire.run(2)
    bob.do(bob.session.request, "INFO")
    bob.do(bob.session.reinvite, OFFER)
    wire.run(1)
    bob.do(bob.session.bye)
    wire.run_until_quiet()
    assert authorized(wire, "BYE", by="bob") == [False]
    assert authorized(wire, "INFO", by="bob") == [False]
    assert authorized(wire, "INVITE", by="bob") == [False]


def test_another_realm_learns_nothing_inside_the_call() -> None:
    wire, alice, bob = gated("INVITE")
    caller = alice.invite(bob)
    wire.run(2)
    Gate(bob, "BYE", realm="evil.example")
    bob.stack.register_dialog(bob.session.dialog.id, bob.session)
    alice.do(caller.bye)
    wire.run_until_quiet()
    assert authorized(wire, "BYE") == [False]


def test_another_host_learns_nothing_inside_the_call() -> None:
    wire, alice, bob = gated("INVITE")
    caller = alice.invite(bob)
    wire.run(2)
    carol = wire.end("carol", "10.0.0.3")
    Gate(carol, "BYE")
    caller.dialog.remote_target = carol.contact.uri
    alice.do(caller.bye)
    wire.run_until_quiet()
    assert authorized(wire, "BYE") == [False]


def test_cancelling_while_the_challenge_is_on_its_way_does_not_call_again() -> None:
    wire, alice, bob = gated("INVITE")
    caller = alice.invite(bob)
    wire.run(0.015)
    alice.do(caller.cancel)
    wire.run_until_quiet()
    assert authorized(wire, "INVITE") == [False]
    assert caller.ended is not None
    assert wire.is_quiet


def test_credentials_of_the_call_come_before_those_of_the_table() -> None:
    wire, alice, bob = pair(alice={"credentials": DigestClient("nobody", "x")})
    Gate(bob, "INVITE")
    bob.on_call = rings_and_answers(bob)
    caller = alice.invite(bob, credentials=credentials())
    wire.run(2)
    assert caller.is_established
