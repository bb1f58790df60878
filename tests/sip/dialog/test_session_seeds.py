# SPDX-License-Identifier: Apache-2.0
"""Many calls on a bad line, with two users who do as they please: what must hold whatever happens."""

import random
from collections import defaultdict
from typing import Any

import pytest
from session_harness import ANSWER, HELD, HOLD, OFFER, End, Wire, pair

from ringback.sip.errors import InvalidState
from ringback.sip.events import OfferReceived, SessionEnded, SessionEstablished, SessionRequestReceived
from ringback.sip.flow import Transport
from ringback.sip.message.message import Request

SEEDS_PER_TEST = 25


class Moody:
    """A user who answers, refuses, changes his mind and hangs up, all by one seeded generator."""

    def __init__(self, end: End, seed: int) -> None:
        self.end, self.random = end, random.Random(f"{seed} {end.name}")
        end.on_call, end.on_event = self.on_call, self.on_event

    def attempt(self, command: Any, *arguments: Any, **more: Any) -> None:
        """What does not fit the moment is refused, and nothing else may be raised."""
        try:
            self.end.do(command, *arguments, **more)
        except InvalidState:
            self.end.drain()

    def later(self, longest: float, command: Any, *arguments: Any, **more: Any) -> None:
        delay = self.random.uniform(0, longest)
        self.end.wire.at(delay, lambda: self.attempt(command, *arguments, **more))

    def on_call(self, session: Any) -> None:
        is_offered = session.remote_sdp is not None
        early = self.random.choice([None, ANSWER])
        self.later(0.3, session.ring, early, reliable=self.random.choice([True, False]))
        self.later(1.5, session.ring, status=182)
        mood = self.random.random()
        if mood < 0.7:
            self.later(3, session.accept, ANSWER if is_offered else OFFER)
        elif mood < 0.9:
            self.later(3, session.reject, 486)
        self.live(session)

    def on_event(self, event: Any) -> None:
        if isinstance(event, OfferReceived):
            command = event.session.answer if self.random.random() < 0.8 else event.session.refuse
            arguments = (HELD,) if command == event.session.answer else (488,)
            self.later(0.5 if self.random.random() < 0.5 else 0.0, command, *arguments)
        elif isinstance(event, SessionRequestReceived):
            self.later(0.5, event.session.respond, event.transaction, 200)

    def live(self, session: Any) -> None:
        for _ in range(self.random.randrange(4)):
            sdp = HOLD + b"a=%d\r\n" % self.random.randrange(1000)
            self.later(12, session.reinvite, self.random.choice([sdp, sdp, None]))
        for _ in range(self.random.randrange(3)):
            self.later(12, session.update, self.random.choice([None, HOLD]))
        for _ in range(self.random.randrange(3)):
            self.later(12, session.request, "INFO")
        if self.random.random() < 0.3:
            self.later(12, session.bye)
        if session.is_caller and self.random.random() < 0.3:
            self.later(4, session.cancel)


def play(seed: int) -> tuple[Wire, End, End]:
    chance = random.Random(seed)
    is_datagram = chance.random() < 0.8
    wire, alice, bob = pair(
        seed=seed,
        transport=Transport.UDP if is_datagram else Transport.TCP,
        loss=chance.choice([0, 0.05, 0.2]) if is_datagram else 0.0,
        duplicate=0.05 if is_datagram else 0.0,
        delay=(0.01, chance.choice([0.02, 0.2, 0.6])) if is_datagram else (0.05, 0.05),
    )
    Moody(bob, seed)
    caller = alice.invite(bob, sdp=chance.choice([OFFER, OFFER, None]))
    Moody(alice, seed).live(caller)
    wire.run(15)
    return wire, alice, bob


def check_events(end: End) -> None:
    for session in end.sessions:
        events = [event for event in end.events if event.session is session]
        assert [type(event) for event in events].count(SessionEnded) == 1
        assert isinstance(events[-1], SessionEnded)
        assert [type(event) for event in events].count(SessionEstablished) <= 1


def check_numbers(wire: Wire) -> None:
    """RFC 3261 12.2.1.1: CSeq strictly increases in each direction of a dialog; repetitions are the
    same request.
    """
    highest: dict[tuple[str, str, str], int] = defaultdict(int)
    seen: set[str] = set()
    for _, source, _, message in wire.trace:
        if not isinstance(message, Request) or message.method in ("ACK", "CANCEL"):
            continue
        branch = message.top_via.branch or ""
        if branch in seen:
            continue
        seen.add(branch)
        dialog = (source, message.call_id, message.to.tag or "")
        assert message.cseq.number > highest[dialog], message
        highest[dialog] = message.cseq.number


@pytest.mark.parametrize("start", range(0, 300, SEEDS_PER_TEST))
def test_both_ends_agree_and_nothing_is_left(start: int) -> None:
    for seed in range(start, start + SEEDS_PER_TEST):
        wire, alice, bob = play(seed)
        wire.run(64 * 0.5 + 24)
        agree(seed, alice, bob)
        for end in (alice, bob):
            for session in end.sessions:
                end.do(session.bye)
        wire.run_until_quiet(300)
        left = [(end.stack.pending, len(end.stack.deadlines), len(end.table)) for end in (alice, bob)]
        assert wire.is_quiet, f"seed {seed}: {left}"
        check_events(alice)
        check_events(bob)
        check_numbers(wire)


def agree(seed: int, alice: End, bob: End) -> None:
    """RELIABILITY 1.6, invariant 19: both established or both ended, unless a user still lets it ring."""
    caller = alice.session
    callees = [session for session in bob.sessions if session.invite.call_id == caller.invite.call_id]
    states = {session.state.name for session in (caller, *callees)}
    still_ringing = states <= {"RINGING", "INCOMING", "PROCEEDING", "CALLING", "ENDED"}
    assert len(states - {"ENDED"}) == 0 or states == {"ESTABLISHED"} or still_ringing, (
        f"seed {seed}: {states}"
    )
    if states == {"ESTABLISHED"}:
        negotiation, other = caller.usage.negotiation, callees[0].usage.negotiation
        if negotiation.state == other.state and negotiation.state.name == "STABLE":
            assert (negotiation.local, negotiation.remote) == (other.remote, other.local), f"seed {seed}"


def test_the_same_seed_gives_the_same_trace() -> None:
    def trace(seed: int) -> list[bytes]:
        wire, _, _ = play(seed)
        return [message.to_bytes() for _, _, _, message in wire.trace]

    assert trace(7) == trace(7)
    assert trace(7) != trace(8)
