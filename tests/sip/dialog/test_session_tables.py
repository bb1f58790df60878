# SPDX-License-Identifier: Apache-2.0
"""The tables of the session, walked."""

from collections.abc import Mapping
from enum import IntEnum

from ringback.sip.dialog import ending
from ringback.sip.dialog.answers import ANSWERS, REFUSALS
from ringback.sip.dialog.invite_usage import Carrier
from ringback.sip.dialog.negotiation import TRANSITIONS as OFFERS
from ringback.sip.dialog.negotiation import OfferState
from ringback.sip.dialog.session_states import Input, State
from ringback.sip.dialog.transitions import TRANSITIONS

REPORTS = {
    ending.end_cancelled,
    ending.end_failed,
    ending.end_local,
    ending.end_lost,
    ending.end_refused,
    ending.end_rejected,
    ending.end_remote,
    ending.end_timed_out,
    ending.end_transport,
}
OPENINGS = {State.CALLING, State.INCOMING}


def reaching(goal: IntEnum, moves: Mapping[tuple[IntEnum, IntEnum], IntEnum]) -> set[IntEnum]:
    reach = {goal}
    while more := {state for (state, _), target in moves.items() if target in reach} - reach:
        reach |= more
    return reach


MOVES = {pair: target for pair, (target, _) in TRANSITIONS.items()}


def test_every_state_reaches_the_end() -> None:
    assert reaching(State.ENDED, MOVES) == set(State)


def test_every_state_is_reached_from_an_opening() -> None:
    reached = set(OPENINGS)
    while more := {target for (state, _), target in MOVES.items() if state in reached} - reached:
        reached |= more
    assert reached == set(State)


def test_nothing_leaves_the_end() -> None:
    assert not [pair for pair in TRANSITIONS if pair[0] is State.ENDED]


def test_every_row_into_the_end_reports_it_once() -> None:
    for pair, (target, actions) in TRANSITIONS.items():
        if target is State.ENDED:
            assert len(REPORTS & set(actions)) == 1, pair
            assert actions[-1] in REPORTS, pair


def test_every_input_means_something_somewhere() -> None:
    assert {what for _, what in TRANSITIONS} == set(Input)


def test_every_row_does_something() -> None:
    assert all(actions for _, actions in TRANSITIONS.values())


def test_an_ack_establishes_nothing_but_an_accepted_session() -> None:
    """RELIABILITY A.1: the late ACK after BYE."""
    established = [
        pair for pair, target in MOVES.items() if target is State.ESTABLISHED and pair[1] is Input.ACK
    ]
    assert established == [(State.ACCEPTED, Input.ACK)]


def test_one_offer_is_outstanding_at_a_time() -> None:
    for (state, what), target in OFFERS.items():
        is_outstanding = state in (OfferState.LOCAL_OFFER, OfferState.REMOTE_OFFER)
        assert is_outstanding == what.name.startswith("ANSWER")
        assert (target is OfferState.STABLE) == is_outstanding
    assert reaching(OfferState.STABLE, OFFERS) == set(OfferState)


def test_every_carrier_of_an_offer_takes_an_answer_and_a_refusal() -> None:
    assert set(ANSWERS) == set(REFUSALS) == set(Carrier)
