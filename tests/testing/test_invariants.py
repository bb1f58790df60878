# SPDX-License-Identifier: Apache-2.0
"""Does each invariant bite? A ledger that breaks the rule, and one that does not."""

import pytest

from ringback.sip.flow import Address, Flow, Transport
from ringback.testing import messages
from ringback.testing.invariants import INVARIANTS, is_unlucky, violations
from ringback.testing.ledger import Ledger

FLOW = Flow(Transport.UDP, Address("10.0.0.1", 5060), Address("10.0.0.2", 5060))
PROOF = (
    "Proxy-Authorization",
    'Digest username="101", nonce="n", nc=00000001, realm="r", uri="sip:a", response="0"',
)

Line = tuple[str, bool, bytes]


def ask(method: str = "OPTIONS", **parts: object) -> bytes:
    parts.setdefault("branch", "z9hG4bKone")
    parts.setdefault("call_id", "call")
    return messages.request(method, "sip:bob@example.com", **parts)


def answer(request: bytes, status: int, **parts: object) -> bytes:
    return messages.response(request, status, **parts)


def forwarded(request: bytes, hops: int = 69) -> bytes:
    """As the server would pass it on."""
    via = b"Via: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKproxy\r\nVia:"
    return request.replace(b"Via:", via, 1).replace(b"Max-Forwards: 70", b"Max-Forwards: %d" % hops)


def broken_rules(*lines: Line, at: tuple[float, ...] = ()) -> set[str]:
    ledger = Ledger()
    for number, (who, is_sent, data) in enumerate(lines):
        ledger.tap(who)(is_sent, data, FLOW, at[number] if at else float(number))
    return {sentence.partition(":")[0] for sentence in violations(ledger)}


INVITE = ask("INVITE", headers=[PROOF])

BROKEN: dict[str, list[tuple[Line, ...]]] = {
    "every_request_gets_one_final_response": [
        (("alice", True, ask()),),
        (("alice", True, ask()), ("alice", False, answer(ask(), 100))),
        (
            ("alice", True, ask()),
            ("alice", False, answer(ask(), 404)),
            ("alice", False, answer(ask(), 486)),
        ),
    ],
    "no_second_final_response_upstream": [
        (("server", True, answer(ask(), 404)), ("server", True, answer(ask(), 486))),
        (("server", True, answer(ask(), 200)), ("server", True, answer(ask(), 486))),
    ],
    "ack_is_never_answered": [(("bob", True, answer(ask("ACK"), 200)),)],
    "goodbyes_are_never_refused_for_load": [(("server", True, answer(ask("BYE"), 503)),)],
    "cseq_increases": [
        (
            ("alice", True, ask(branch="z9hG4bKa", cseq=2)),
            ("alice", False, answer(ask(branch="z9hG4bKa", cseq=2), 200)),
            ("alice", True, ask(branch="z9hG4bKb", cseq=2)),
            ("alice", False, answer(ask(branch="z9hG4bKb", cseq=2), 200)),
        )
    ],
    "branches_are_unique": [
        (("server", True, forwarded(ask(call_id="1"))), ("server", True, forwarded(ask(call_id="2"))))
    ],
    "max_forwards_decreases": [
        (("server", False, INVITE), ("server", True, forwarded(INVITE, 70))),
        (("server", False, INVITE), ("server", True, forwarded(INVITE, 71))),
    ],
    "only_authenticated_calls_are_forwarded": [
        (("server", False, ask("INVITE")), ("server", True, forwarded(ask("INVITE")))),
    ],
    "nonce_counts_are_accepted_once": [
        (
            ("server", False, INVITE),
            ("server", True, forwarded(INVITE)),
            ("server", False, ask("INVITE", headers=[PROOF], call_id="replay", branch="z9hG4bKr")),
            ("server", True, forwarded(ask("INVITE", headers=[PROOF], call_id="replay", branch="z9hG4bKr"))),
        )
    ],
}


@pytest.mark.parametrize("rule", [rule.__name__ for rule in INVARIANTS])
def test_a_broken_rule_is_found(rule: str):
    for lines in BROKEN[rule]:
        assert rule in broken_rules(*lines)


def test_a_late_response_is_found():
    lines = (("alice", True, ask()), ("alice", False, answer(ask(), 200)))
    assert broken_rules(*lines, at=(0.0, 40.0)) == {"every_request_gets_one_final_response"}


def test_a_good_call_breaks_nothing():
    ok = answer(INVITE, 200)
    bye = ask("BYE", cseq=2, branch="z9hG4bKbye")
    assert (
        broken_rules(
            ("alice", True, INVITE),
            ("alice", True, INVITE),
            ("server", False, INVITE),
            ("server", True, forwarded(INVITE)),
            ("server", True, ok),
            ("server", True, ok),
            ("alice", False, answer(INVITE, 100)),
            ("alice", False, ok),
            ("alice", False, ok),
            ("alice", True, ask("ACK", branch="z9hG4bKack")),
            ("alice", True, bye),
            ("alice", False, answer(bye, 200)),
        )
        == set()
    )


def test_on_a_broken_network_a_request_may_stay_without_response():
    ledger = Ledger()
    ledger.tap("alice")(True, ask(), FLOW, 0.0)
    assert violations(ledger, is_broken=True) == []


def test_bad_luck_is_seven_sendings_without_a_word():
    ledger = Ledger()
    for number in range(7):
        assert not is_unlucky(ledger)
        ledger.tap("alice")(True, INVITE, FLOW, float(number))
    assert is_unlucky(ledger)
    ledger.tap("alice")(False, answer(INVITE, 100), FLOW, 8.0)
    assert not is_unlucky(ledger)


def test_what_cannot_be_read_is_counted_and_a_ladder_is_written():
    ledger = Ledger()
    ledger.tap("alice")(True, ask(), FLOW, 1.5)
    ledger.tap("alice")(False, b"rubbish", FLOW, 2.0)
    assert ledger.unreadable == 1
    assert ledger.ladder() == ["     1.500  alice    -> 10.0.0.2:5060          OPTIONS (1 OPTIONS)"]
