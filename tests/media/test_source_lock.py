# SPDX-License-Identifier: Apache-2.0
"""Whose packets are believed: RELIABILITY row 39."""

from hypothesis import given
from hypothesis import strategies as st

from ringback.media.source_lock import PACKETS_TO_LEARN, SourceLock
from ringback.sip.flow import Address

PEER = Address("192.0.2.5", 4000)
PEER_OTHER_PORT = Address("192.0.2.5", 61_000)
ATTACKER = Address("198.51.100.66", 4000)
PRIVATE = Address("192.168.1.5", 4000)
NAT = Address("203.0.113.7", 33_333)


def lock_for(described: Address | None, signalling_host: str | None = None) -> SourceLock:
    lock = SourceLock()
    lock.renegotiated(described, signalling_host=signalling_host)
    return lock


def test_the_described_source_is_believed_at_once_and_alone():
    lock = lock_for(PEER)
    assert not lock.accepts(ATTACKER, 1)
    assert lock.accepts(PEER, 1)
    assert not any(lock.accepts(source, 1) for source in (ATTACKER, PEER_OTHER_PORT) for _ in range(100))
    assert lock.destination == PEER
    assert lock.refused == 201


def test_another_port_of_the_same_host_is_learned_after_some_packets():
    lock = lock_for(PEER)
    assert [lock.accepts(PEER_OTHER_PORT, 1) for _ in range(PACKETS_TO_LEARN)] == [False, False, True]
    assert lock.destination == PEER_OTHER_PORT
    assert not any(lock.accepts(Address("192.0.2.5", 5), 1) for _ in range(100))


def test_who_now_has_the_port_that_the_peer_has_left_is_not_the_peer():
    """A media process died, and its successor gave the port to another call."""
    lock = lock_for(PEER)
    assert lock.accepts(PEER, 1)
    lock.renegotiated(PEER_OTHER_PORT, signalling_host=None)
    assert not any(lock.accepts(PEER, 2) for _ in range(10))
    assert lock.destination == PEER_OTHER_PORT
    assert lock.accepts(PEER_OTHER_PORT, 1)


def test_a_peer_that_describes_another_port_and_stays_is_learned_again():
    lock = lock_for(PEER)
    assert lock.accepts(PEER, 1)
    lock.renegotiated(PEER_OTHER_PORT, signalling_host=None)
    assert [lock.accepts(PEER, 1) for _ in range(PACKETS_TO_LEARN)][-1]
    assert lock.destination == PEER


def test_learning_needs_one_source_that_speaks_in_a_row():
    lock = lock_for(PEER)
    for number in range(50):
        assert not lock.accepts(PEER_OTHER_PORT, number)
        assert not lock.accepts(Address("192.0.2.5", number + 1), 7)
    assert lock.locked is None


def test_a_learned_source_gives_way_to_the_described_one_for_good():
    lock = lock_for(PEER)
    for _ in range(PACKETS_TO_LEARN):
        lock.accepts(PEER_OTHER_PORT, 1)
    assert lock.accepts(PEER, 1)
    assert not any(lock.accepts(PEER_OTHER_PORT, 1) for _ in range(10))


def test_a_private_address_may_come_from_where_the_signalling_comes_from():
    lock = lock_for(PRIVATE, signalling_host="203.0.113.7")
    assert not any(lock.accepts(ATTACKER, 1) for _ in range(100))
    assert [lock.accepts(NAT, 1) for _ in range(3)] == [False, False, True]
    assert lock.destination == NAT


def test_a_public_address_may_not():
    lock = lock_for(PEER, signalling_host="203.0.113.7")
    assert not any(lock.accepts(NAT, 1) for _ in range(100))


def test_a_negotiation_that_changes_the_address_starts_anew():
    lock = lock_for(PEER)
    lock.accepts(PEER, 1)
    moved = Address("192.0.2.99", 7000)
    lock.renegotiated(moved, signalling_host=None)
    assert lock.destination == moved
    assert not any(lock.accepts(PEER, 1) for _ in range(10))
    assert lock.accepts(moved, 1)


def test_a_negotiation_that_does_not_keeps_the_learned_source():
    lock = lock_for(PRIVATE, signalling_host="203.0.113.7")
    for _ in range(3):
        lock.accepts(NAT, 1)
    lock.renegotiated(PRIVATE, signalling_host="203.0.113.7")
    assert lock.destination == NAT
    assert lock.accepts(NAT, 1)


def test_after_a_negotiation_a_rebound_nat_is_learned_when_the_old_one_is_silent():
    lock = lock_for(PRIVATE, signalling_host="203.0.113.7")
    for _ in range(3):
        lock.accepts(NAT, 1)
    lock.renegotiated(PRIVATE, signalling_host="203.0.113.7")
    rebound = Address("203.0.113.7", 44_444)
    assert [lock.accepts(rebound, 1) for _ in range(3)] == [False, False, True]


def test_hold_with_the_unspecified_address_sends_nothing_and_forgets_nobody():
    lock = lock_for(PRIVATE, signalling_host="203.0.113.7")
    for _ in range(3):
        lock.accepts(NAT, 1)
    lock.renegotiated(None, signalling_host="203.0.113.7")
    assert lock.destination is None
    assert lock.accepts(NAT, 1)
    assert not lock.accepts(ATTACKER, 1)
    lock.renegotiated(PRIVATE, signalling_host="203.0.113.7")
    assert lock.destination == NAT


def test_reports_are_taken_from_the_host_of_the_peer_only():
    lock = lock_for(PEER)
    assert lock.accepts_report(Address("192.0.2.5", 4001))
    assert not lock.accepts_report(ATTACKER)
    assert not lock_for(None).accepts_report(PEER)


addresses = st.builds(
    Address, st.sampled_from(("192.0.2.5", "198.51.100.66", "203.0.113.7", "10.9.9.9")), st.integers(1, 5)
)


@given(st.lists(st.tuples(addresses, st.integers(0, 2)), max_size=60), st.sampled_from((PEER, PRIVATE)))
def test_an_address_that_cannot_be_the_peer_is_never_believed(packets, described):
    lock = lock_for(described, signalling_host="203.0.113.7")
    plausible = {described.host} | ({"203.0.113.7"} if described is PRIVATE else set())
    for source, ssrc in packets:
        if lock.accepts(source, ssrc):
            assert source.host in plausible
        assert lock.destination.host in plausible
