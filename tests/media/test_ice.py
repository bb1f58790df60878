# SPDX-License-Identifier: Apache-2.0
"""Checks of a peer, and of those who would like to be it: RELIABILITY row 44."""

import random

import pytest

from ringback.media.ice import CONSENT_SECONDS, MOST_SOURCES, IceCredentials, IceLite
from ringback.net.stun_message import ERROR, INDICATION, REQUEST, SUCCESS, Attribute, StunMessage, built
from ringback.sip.flow import Address

PEER, OTHER = Address("192.0.2.5", 4_000), Address("198.51.100.9", 9)
TRANSACTION = b"0123456789ab"
CONTROLLING = (Attribute.ICE_CONTROLLING, bytes(8))
NOMINATE = (Attribute.USE_CANDIDATE, b"")


class Agent:
    """An ICE-lite agent and how often it was told of a pair."""

    def __init__(self, seed: int = 1) -> None:
        self.selections = 0
        self.credentials = IceCredentials.make(random.Random(seed).randbytes)
        self.ice = IceLite(self.credentials, self._selected)

    def _selected(self) -> None:
        self.selections += 1

    def check(
        self, *more, source=PEER, now=0.0, password=None, ufrag=None, kind=REQUEST
    ) -> StunMessage | None:
        username = (Attribute.USERNAME, f"{ufrag or self.credentials.ufrag}:them".encode())
        key = (password or self.credentials.password).encode()
        answer = self.ice.receive(built(kind, TRANSACTION, [username, *more], key), source, now)
        return StunMessage.parse(answer) if answer else None

    @property
    def has_learned(self) -> bool:
        return self.ice.believes(PEER) or self.ice.selected(0.0) is not None or self.selections > 0


def code(answer: StunMessage) -> int:
    value = answer.attributes[Attribute.ERROR_CODE]
    return value[2] * 100 + value[3]


def test_a_signed_check_is_answered_and_its_source_believed():
    agent = Agent()
    answer = agent.check(CONTROLLING)
    assert answer.kind == SUCCESS
    assert answer.is_signed_with(agent.credentials.password.encode())
    assert agent.ice.believes(PEER)
    assert agent.ice.selected(0.0) is None
    agent.check(CONTROLLING, NOMINATE)
    assert agent.ice.selected(0.0) == PEER
    assert agent.selections == 1


def test_the_last_nomination_counts():
    agent = Agent()
    agent.check(CONTROLLING, NOMINATE)
    agent.check(CONTROLLING, NOMINATE)
    agent.check(CONTROLLING, NOMINATE, source=OTHER)
    assert agent.ice.selected(0.0) == OTHER
    assert agent.selections == 2


@pytest.mark.parametrize("ufrag", [None, "nobody", "x" * 600])
def test_a_check_with_another_password_or_name_changes_nothing(ufrag):
    agent = Agent()
    answer = agent.check(CONTROLLING, NOMINATE, password="p" * 24, ufrag=ufrag)
    assert answer.kind == ERROR
    assert code(answer) == 401
    assert answer.signed is None
    assert not agent.has_learned
    assert agent.ice.refused == 1


def test_an_unsigned_check_changes_nothing():
    agent = Agent()
    username = (Attribute.USERNAME, f"{agent.credentials.ufrag}:them".encode())
    message = built(REQUEST, TRANSACTION, [username, CONTROLLING, NOMINATE, (Attribute.PRIORITY, bytes(4))])
    answer = agent.ice.receive(message, PEER, 0.0)
    assert code(StunMessage.parse(answer)) == 400
    assert not agent.has_learned


def test_an_answer_to_a_stranger_is_never_longer_than_its_question():
    agent = Agent()
    for attributes in ([], [(Attribute.PRIORITY, bytes(4))], [(Attribute.USERNAME, bytes(200))]):
        message = built(REQUEST, TRANSACTION, attributes)
        assert len(agent.ice.receive(message, OTHER, 0.0) or b"") <= len(message)


def test_a_nomination_after_the_signature_is_not_read():
    agent = Agent()
    username = (Attribute.USERNAME, f"{agent.credentials.ufrag}:them".encode())
    signed = built(REQUEST, TRANSACTION, [username], agent.credentials.password.encode())[:-8]
    forged = signed + bytes.fromhex("00250000")
    forged = forged[:2] + (len(forged) - 20).to_bytes(2, "big") + forged[4:]
    agent.ice.receive(forged, PEER, 0.0)
    assert agent.ice.selected(0.0) is None


def test_a_peer_that_would_be_controlled_is_told_to_control():
    agent = Agent()
    answer = agent.check((Attribute.ICE_CONTROLLED, bytes(8)), NOMINATE)
    assert code(answer) == 487
    assert answer.is_signed_with(agent.credentials.password.encode())
    assert not agent.has_learned


def test_an_attribute_that_must_be_understood_is_named():
    agent = Agent()
    answer = agent.check((0x7FFE, b"\0\0\0\0"))
    assert code(answer) == 420
    assert answer.attributes[Attribute.UNKNOWN_ATTRIBUTES] == b"\x7f\xfe"
    assert not agent.has_learned


@pytest.mark.parametrize("kind", [SUCCESS, ERROR, INDICATION])
def test_only_requests_count(kind):
    agent = Agent()
    assert agent.check(CONTROLLING, NOMINATE, kind=kind) is None
    assert not agent.has_learned


def test_without_checks_consent_ends_and_with_the_next_it_is_back():
    agent = Agent()
    agent.check(CONTROLLING, NOMINATE, now=100.0)
    agent.check(CONTROLLING, now=120.0)
    assert agent.ice.selected(120.0 + CONSENT_SECONDS) == PEER
    assert agent.ice.selected(120.1 + CONSENT_SECONDS) is None
    agent.check(CONTROLLING, now=200.0)
    assert agent.ice.selected(200.0) == PEER


def test_after_a_restart_old_and_new_names_are_answered_and_older_ones_not():
    agent = Agent()
    names = [agent.credentials, *(IceCredentials.make(random.Random(seed).randbytes) for seed in (2, 3))]
    agent.check(CONTROLLING, NOMINATE)
    for each in names[1:]:
        agent.ice.restart(each)
        agent.ice.restart(each)
    assert agent.ice.selected(0.0) == PEER
    kinds = [agent.check(CONTROLLING, ufrag=each.ufrag, password=each.password).kind for each in names]
    assert kinds == [ERROR, SUCCESS, SUCCESS]
    assert agent.ice.credentials == names[2]


def test_sources_are_bounded_and_the_selected_one_stays():
    agent = Agent()
    agent.check(CONTROLLING, NOMINATE, now=0.0)
    for port in range(1, 100):
        agent.check(CONTROLLING, source=Address("192.0.2.5", port), now=float(port))
    assert agent.ice.selected(1.0) == PEER
    believed = sum(agent.ice.believes(Address("192.0.2.5", port)) for port in range(1, 100))
    assert believed == MOST_SOURCES - 1


def test_random_octets_are_not_answered():
    agent = Agent()
    chance = random.Random(5)
    assert not any(
        agent.ice.receive(chance.randbytes(chance.randrange(120)), PEER, 0.0) for _ in range(2_000)
    )
