# SPDX-License-Identifier: Apache-2.0
"""Any two things that two users may do at the same time, in every phase of a call, with messages that
cross.
"""

from contextlib import suppress
from itertools import product
from typing import Any

import pytest
from session_harness import ANSWER, HELD, HOLD, OFFER, End, Wire, pair

from ringback.sip.errors import InvalidState
from ringback.sip.events import OfferReceived, SessionEnded, SessionRequestReceived

DELAY = 0.1

#: What a user may do, whether or not it fits the moment.
DEEDS: dict[str, Any] = {
    "nothing": lambda session, now: None,
    "ring": lambda session, now: session.ring(now=now),
    "ring early": lambda session, now: session.ring(ANSWER, now=now, reliable=True),
    "accept": lambda session, now: session.accept(ANSWER, now=now),
    "reject": lambda session, now: session.reject(603, now=now),
    "cancel": lambda session, now: session.cancel(now=now),
    "hang up": lambda session, now: session.bye(now=now),
    "reinvite": lambda session, now: session.reinvite(HOLD, now=now),
    "ask": lambda session, now: session.reinvite(None, now=now),
    "update": lambda session, now: session.update(HOLD, now=now),
    "refresh": lambda session, now: session.update(now=now),
    "inform": lambda session, now: session.request("INFO", now=now),
}

#: Seconds after the INVITE: before it arrives, at the 180, with the 2xx under way, with the ACK, later.
PHASES = [0.05, 0.15, 0.35, 0.45, 0.55, 1.5]


def attempt(end: End, deed: str) -> None:
    if not end.sessions:
        return
    with suppress(InvalidState):
        DEEDS[deed](end.sessions[0], end.now)
    end.drain()


def obliging(end: End) -> Any:
    def on_event(event: Any) -> None:
        try:
            if isinstance(event, OfferReceived):
                event.session.answer(HELD, now=end.now)
            elif isinstance(event, SessionRequestReceived):
                event.session.respond(event.transaction, 200, now=end.now)
        except InvalidState:
            pass

    return on_event


def crossing(phase: float, first: str, second: str) -> tuple[Wire, End, End]:
    wire, alice, bob = pair(delay=(DELAY, DELAY))
    alice.on_event, bob.on_event = obliging(alice), obliging(bob)

    def answer(session: Any) -> None:
        session.ring(now=bob.now)
        wire.at(0.2, lambda: attempt(bob, "accept"))

    bob.on_call = answer
    alice.invite(bob, sdp=OFFER)
    wire.at(phase, lambda: attempt(alice, first))
    wire.at(phase + 0.01, lambda: attempt(bob, second))
    wire.run(60)
    return wire, alice, bob


@pytest.mark.parametrize("phase", PHASES)
def test_whatever_crosses_both_ends_agree_and_nothing_is_left(phase: float) -> None:
    for first, second in product(DEEDS, DEEDS):
        wire, alice, bob = crossing(phase, first, second)
        label = f"{first} / {second} at {phase}"
        states = {end.session.state.name for end in (alice, bob) if end.sessions}
        assert len(states) == 1, f"{label}: {states}"
        if states == {"ESTABLISHED"}:
            assert alice.session.local_sdp == bob.session.remote_sdp, label
            assert alice.session.remote_sdp == bob.session.local_sdp, label
        for end in (alice, bob):
            for session in end.sessions:
                end.do(session.bye)
        wire.run_until_quiet(200)
        assert wire.is_quiet, label
        for end in (alice, bob):
            assert len(end.heard(SessionEnded)) == len(end.sessions), label
