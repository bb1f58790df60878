# SPDX-License-Identifier: Apache-2.0
"""Session timers: RFC 4028, from both ends."""

import pytest
from session_harness import OFFER, call, pair

from ringback.sip.dialog.session_timer import SHORTEST_INTERVAL
from ringback.sip.message.message import Request, Response


def expiring(seconds: int = 200, **more: object) -> dict[str, object]:
    return {"settings": {"session_expires": seconds, **more}}


NO_TIMER = {"settings": {"supported": ("100rel",)}}
NO_UPDATE = ("INVITE", "ACK", "BYE", "CANCEL")


def test_the_caller_asks_and_refreshes_by_update_at_half_of_the_interval() -> None:
    wire, _alice, _bob, caller, callee = call(alice=expiring())
    assert wire.sent("INVITE")[0].headers["Session-Expires"] == "200"
    assert wire.sent("200 INVITE")[0].headers["Session-Expires"] == "200;refresher=uac"
    assert wire.sent("200 INVITE")[0].require == ["timer"]
    start = wire.now
    wire.run(1000)
    refreshes = [at - start for at, _, _, m in wire.trace if isinstance(m, Request) and m.method == "UPDATE"]
    assert refreshes == pytest.approx([98 + 100 * index for index in range(10)], abs=2.5)
    assert wire.sent("UPDATE")[0].headers["Session-Expires"] == "200;refresher=uac"
    assert wire.sent("UPDATE")[0].body == b""
    assert caller.is_established
    assert callee.is_established


def test_a_peer_without_update_is_refreshed_by_reinvite_and_our_users_hear_nothing_of_it() -> None:
    wire, alice, bob, caller, callee = call(alice=expiring(), bob={"settings": {"allow": NO_UPDATE}})
    before = len(alice.events), len(bob.events)
    wire.run(500)
    assert len(wire.sent("INVITE")) >= 4
    assert wire.sent("INVITE")[1].body == OFFER
    assert (len(alice.events), len(bob.events)) == before
    assert caller.is_established
    assert callee.is_established


def test_without_refreshes_the_other_end_hangs_up_before_the_session_expires() -> None:
    wire, _alice, _bob, caller, callee = call(alice=expiring())
    wire.drop_all("UPDATE")
    start = wire.now
    wire.run_until_quiet()
    assert caller.ended.by == "timeout"
    assert callee.ended.by == "timeout" or callee.ended.by == "remote"
    assert wire.now - start < 250
    assert wire.is_quiet


def test_a_peer_that_vanished_is_hung_up_on_after_two_thirds_or_32_seconds_before_the_end() -> None:
    wire, _alice, _bob, _caller, callee = call(alice=expiring())
    start = wire.now
    wire.drops.append(lambda message: True)
    wire.run(400)
    byes = [(at - start, m) for at, host, _, m in wire.trace if host == "10.0.0.2" and m in wire.sent("BYE")]
    times, bye = [at for at, _ in byes], byes[0][1].headers["Reason"]
    assert bye == 'SIP;cause=408;text="Session expired"'
    assert times[0] == pytest.approx(200 - 32, abs=2.5)
    assert (callee.ended.by, callee.ended.status) == ("timeout", 408)


def test_a_callee_that_wants_shorter_sessions_than_it_takes_says_422_and_the_caller_asks_for_more() -> None:
    wire, _alice, _bob, caller, callee = call(
        alice=expiring(120), bob=expiring(1800, min_session_expires=600)
    )
    assert [m.headers["Min-SE"] for m in wire.sent("422 INVITE")] == ["600"]
    second = wire.sent("INVITE")[1]
    assert (second.headers["Session-Expires"], second.headers["Min-SE"]) == ("600", "600")
    assert second.cseq.number == 2
    assert caller.timer.interval == callee.timer.interval == 600


def test_422_again_and_again_is_not_followed_for_ever() -> None:
    wire, alice, bob = pair(alice=expiring(120))

    def refuse(session: object) -> None:
        asked = bob.session.invite.session_expires.seconds
        bob.session.reject(422, now=bob.now, headers=[("Min-SE", str(asked * 2))])

    bob.on_call = refuse
    caller = alice.invite(bob)
    wire.run_until_quiet()
    assert len(wire.sent("INVITE")) == 4
    assert caller.ended.status == 422
    assert wire.is_quiet


@pytest.mark.parametrize("minimum", [None, "60", "nonsense"])
def test_a_422_that_names_no_longer_interval_ends_the_call(minimum: str | None) -> None:
    wire, alice, bob = pair(alice=expiring(120))
    headers = [] if minimum is None else [("Min-SE", minimum)]
    bob.on_call = lambda session: session.reject(422, now=bob.now, headers=headers)
    caller = alice.invite(bob)
    wire.run(1)
    assert caller.ended.status == 422


def test_a_caller_that_does_not_know_timers_is_refreshed_by_the_callee_only_if_somebody_asked() -> None:
    wire, _, _, caller, callee = call(alice=NO_TIMER, bob=expiring())
    assert "Session-Expires" not in wire.sent("200 INVITE")[0].headers
    assert caller.timer.interval == callee.timer.interval == 0
    wire.run(1000)
    assert wire.sent("UPDATE") == []


def test_a_proxy_that_asked_for_a_caller_without_timers_makes_the_callee_refresh() -> None:
    wire, alice, bob = pair(alice=NO_TIMER, bob=expiring())
    caller = alice.invite(bob, headers=[("Session-Expires", "300")])
    wire.run(400)
    assert wire.sent("200 INVITE")[0].headers["Session-Expires"] == "300;refresher=uas"
    assert "timer" not in wire.sent("200 INVITE")[0].require
    assert len(wire.sent("UPDATE", by="bob")) == 2
    assert caller.is_established


def test_a_callee_that_wants_a_timer_offers_to_refresh() -> None:
    wire, _, _, caller, callee = call(alice=expiring(0), bob=expiring(300))
    assert wire.sent("200 INVITE")[0].headers["Session-Expires"] == "300;refresher=uas"
    assert callee.timer.is_refresher
    assert not caller.timer.is_refresher
    wire.run(400)
    assert len(wire.sent("UPDATE", by="bob")) == 2


def test_the_caller_may_choose_the_callee_as_refresher() -> None:
    wire, alice, bob = pair(alice=expiring(0))
    alice.invite(bob, headers=[("Session-Expires", "300;refresher=uas")])
    wire.run(400)
    assert len(wire.sent("UPDATE", by="bob")) == 2
    assert wire.sent("UPDATE", by="alice") == []


def test_roles_stay_when_the_callee_refreshes() -> None:
    wire, _alice, _bob, caller, callee = call(alice=expiring(0), bob=expiring(300))
    wire.run(160)
    assert wire.sent("UPDATE")[0].headers["Session-Expires"] == "300;refresher=uac"
    assert callee.timer.is_refresher
    assert not caller.timer.is_refresher


def test_no_interval_is_shorter_than_90_seconds_whatever_a_peer_says() -> None:
    wire, _alice, _bob, caller, _ = call(alice=expiring(0))
    response = Response(200)
    response.headers.add("Session-Expires", "1;refresher=uac")
    caller.timer.accept_response(response, now=wire.now)
    assert caller.timer.interval == SHORTEST_INTERVAL


def test_a_refresh_that_is_refused_for_now_is_tried_again() -> None:
    wire, _alice, bob, caller, callee = call(alice=expiring())
    refused = []

    def on_drop(message: object) -> bool:
        return False

    wire.drops.append(on_drop)
    original = bob.table.refusal

    def refusal(request: Request) -> tuple[int, list[tuple[str, str]]]:
        if request.method == "UPDATE" and len(refused) < 2:
            refused.append(request)
            return 503, []
        return original(request)

    bob.table = bob.table  # the session keeps its table; the refusal is put in front of it below
    type(bob.table).refusal, saved = (
        lambda self, request: (  # type: ignore[method-assign]
            refusal(request) if self is bob.table else saved(self, request)
        ),
        type(bob.table).refusal,
    )
    try:
        original = lambda request: saved(bob.table, request)  # noqa: E731
        wire.run(150)
    finally:
        type(bob.table).refusal = saved  # type: ignore[method-assign]
    assert len(wire.sent("UPDATE")) == 3
    assert caller.is_established
    assert callee.is_established


def test_a_refresh_refused_with_405_goes_on_by_reinvite() -> None:
    wire, _alice, bob, caller, callee = call(alice=expiring())
    bob.table.allow = NO_UPDATE
    wire.run(500)
    assert len(wire.sent("405 UPDATE")) >= 1
    assert len(wire.sent("INVITE")) >= 2
    assert caller.is_established
    assert callee.is_established


def test_a_reinvite_of_our_user_counts_as_a_refresh() -> None:
    wire, alice, _bob, caller, callee = call(alice=expiring())
    wire.run(60)
    alice.do(caller.reinvite, OFFER)
    wire.run(80)
    assert wire.sent("UPDATE") == []
    assert callee.timer.interval == 200


def test_the_timer_is_silent_after_the_end() -> None:
    wire, alice, _, caller, _ = call(alice=expiring())
    alice.do(caller.bye)
    wire.run_until_quiet()
    assert wire.is_quiet
    assert wire.sent("UPDATE") == []
