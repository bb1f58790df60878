# SPDX-License-Identifier: Apache-2.0
"""The location service with many registrations, other processes, and cached targets."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.server.binding import Binding, from_record, handle_of, to_record
from ringback.server.location import Location
from ringback.server.storage import BindingRecord, MemoryStore
from ringback.server.targets import targets_of
from ringback.sip.errors import PeerError
from ringback.sip.flow import Address, Flow, Transport
from ringback.sip.message.uri import NameAddr

UDP = Flow(Transport.UDP, Address("10.0.0.1", 5060), Address("10.0.0.11", 5060))


def binding(user: str, key: str, *, expires_at: float = 100.0, q: float = 1.0, cseq: int = 1) -> Binding:
    return Binding(user, key, f"<{key}>", expires_at, q, "call", cseq, UDP)


def location(store: MemoryStore | None = None) -> Location:
    return Location(store or MemoryStore(), wall_clock=lambda: 0.0)


def filled(count: int) -> MemoryStore:
    """A store with one phone for each of so many users, and a second one for user 0."""
    store = MemoryStore()
    for number in [*range(count), 0]:
        key = f"sip:{number}@10.0.0.{len(store.bindings(now=0)) % 250}"
        store.put_binding(BindingRecord(str(number), key, f"<{key}>", 1000.0))
    return store


# --- the tables agree, whatever happens

steps = st.lists(
    st.tuples(
        st.sampled_from(["put", "put", "put", "renew", "remove", "forget", "expire"]),
        st.sampled_from(["101", "102"]),
        st.sampled_from(["sip:a@10.0.0.11", "sip:b@10.0.0.12", "sip:c@10.0.0.13"]),
        st.integers(1, 100),
    ),
    max_size=25,
)


@given(steps)
def test_the_tables_say_what_a_plain_dictionary_says(steps: list[tuple[str, str, str, int]]) -> None:
    store = MemoryStore()
    where, model, now = location(store), dict[tuple[str, str], float](), 0.0
    for what, user, key, number in steps:
        if what == "put":
            where.commit(user, put=[binding(user, key, expires_at=now + number)], now=now)
            model[user, key] = now + number
        elif what == "renew":
            for known in where.bindings(user, now=now)[:1]:
                where.renew(known, number, "call", known.cseq + 1, now, now)
                model[user, known.key] = now + number
        elif what == "remove":
            where.commit(user, remove=[key], now=now)
            model.pop((user, key), None)
        elif what == "forget":
            where.forget_user(user)
            model = {name: at for name, at in model.items() if name[0] != user}
        else:
            now += number
            where.expire(now=now)
            model = {name: at for name, at in model.items() if at > now}
        assert {(each.user, each.key): each.expires_at for each in where} == model
        assert len(where) == len(model)
        for each in where:
            assert where.find(each.handle, now=float("-inf")) is each
        assert {(each.user, each.key) for each in store.bindings(now=float("-inf"))} == set(model)


def test_what_is_refreshed_stays_however_late_somebody_looks() -> None:
    where = location()
    for now in (0.0, 3.0, 6.0):
        where.commit("101", put=[binding("101", "sip:a@10.0.0.11", expires_at=now + 10.0)], now=now)
    where.commit("101", put=[binding("101", "sip:b@10.0.0.12", expires_at=50.0)], now=6.0)
    where.commit("101", put=[binding("101", "sip:b@10.0.0.12", expires_at=8.0)], now=7.0)
    assert where.expire(now=12.0) == 2  # one was refreshed, the other one was shortened
    assert [each.key for each in where] == ["sip:a@10.0.0.11"]
    assert (where.expire(now=15.9), where.expire(now=16.0), len(where)) == (0, 1, 0)


def test_a_renewed_binding_is_the_same_one_for_longer_or_shorter() -> None:
    store = MemoryStore()
    where = Location(store, wall_clock=lambda: 1000.0)
    told: list[tuple[str, Sequence[Binding], Sequence[str]]] = []
    bound: list[Binding] = []
    where.commit("101", put=[one := binding("101", "sip:a@10.0.0.11", expires_at=10.0)], now=0.0)
    where.on_changed.append(lambda user, put, remove: told.append((user, put, remove)))
    where.on_bound.append(bound.append)
    targets = where.targets("101", now=0.0)
    where.renew(one, 10.0, "call", 2, 5.0, 1005.0)
    assert where.targets("101", now=6.0) is targets
    assert where.bindings("101", now=12.0) == [one]
    assert (one.expires_at, one.cseq, one.registered_at) == (15.0, 2, 1005.0)
    assert [each.expires_at for each in store.bindings(now=0)] == [1015.0]
    where.renew(one, 3.0, "another call", 1, 6.0, 1006.0)
    assert (where.bindings("101", now=9.0), where.targets("101", now=9.0)) == ([], ())
    assert (where.expire(now=9.0), len(where), store.bindings(now=0)) == (1, 0, [])
    assert told == [("101", (one,), ()), ("101", (one,), ())]
    assert bound == []


def test_what_expired_goes_a_few_at_a_time() -> None:
    where = location()
    for number in range(10):
        user = str(number)
        where.commit(user, put=[binding(user, f"sip:{number}@10.0.0.11", expires_at=5.0 + number)], now=0.0)
    assert [where.expire(now=11.0, limit=3) for _ in range(4)] == [3, 3, 1, 0]
    assert len(where) == 3


# --- after a restart


def test_stored_registrations_sleep_until_somebody_asks() -> None:
    where = location(filled(50))
    assert where.load(now=0.0, at_once=10) == 51
    assert [each.user for each in where.bindings("7", now=0.0)] == ["7"]
    assert len(where.bindings("0", now=0.0)) == 2
    assert len(where) == 51
    assert set(where.users()) == {str(number) for number in range(50)}


def test_the_others_wake_a_few_at_a_time() -> None:
    where = location(filled(50))
    where.load(now=0.0, at_once=10)
    handle = handle_of("49", "sip:49@10.0.0.49")
    assert where.find(handle, now=0.0) is None
    assert [where.wake(20) for _ in range(3)] == [True, True, False]
    assert where.find(handle, now=0.0) is not None
    assert len(where) == 51


def test_a_change_for_a_user_who_sleeps_wakes_the_user_first() -> None:
    store = filled(50)
    where = location(store)
    where.load(now=0.0, at_once=10)
    where.commit("0", put=[binding("0", "sip:0@10.0.0.0", cseq=9)], now=0.0)
    where.commit("1", remove=["sip:1@10.0.0.1"], now=0.0)
    where.forget_user("2")
    where.wake()
    assert sorted(each.cseq for each in where.bindings("0", now=0.0)) == [0, 9]
    assert where.bindings("1", now=0.0) == where.bindings("2", now=0.0) == []
    assert len(where) == len(store.bindings(now=0)) == 49


def test_a_damaged_registration_is_left_out_when_it_wakes(caplog: pytest.LogCaptureFixture) -> None:
    class Damaged(MemoryStore):
        def read(self, row: tuple[str, str, float, BindingRecord]) -> BindingRecord | None:
            return None if row[0] == "3" else row[3]

    store = Damaged()
    for number in range(5):
        store.put_binding(BindingRecord(str(number), "k", "<sip:a@10.0.0.1>", 1000.0))
    where = location(store)
    assert where.load(now=0.0) == 4
    assert "user 3 is damaged" in caplog.text


def test_one_device_is_forgotten_and_the_others_of_its_user_stay() -> None:
    store = MemoryStore()
    where = location(store)
    told: list[tuple[str, Sequence[str]]] = []
    where.on_changed.append(lambda user, put, remove: told.append((user, list(remove))))
    one, two = binding("101", "sip:a@10.0.0.11"), binding("101", "sip:b@10.0.0.12")
    one.device = "d1"
    where.commit("101", put=[one, two], now=0.0)
    where.forget_user("101", device="d1")
    assert where.bindings("101", now=0.0) == [two]
    where.commit("101", put=[one], now=0.0)
    where.forget_user("101", device="")
    assert where.bindings("101", now=0.0) == [one]
    assert [each.device for each in store.bindings(now=0)] == ["d1"]
    assert told == [("101", []), ("101", [one.key]), ("101", []), ("101", [two.key])]


# --- other processes


def test_what_one_process_commits_another_applies() -> None:
    store = MemoryStore()
    first, second = location(), location(store)
    told: list[tuple[str, Sequence[Binding], Sequence[str]]] = []
    bound: list[Binding] = []
    first.on_changed.append(lambda user, put, remove: told.append((user, put, remove)))
    second.on_changed.append(lambda user, put, remove: pytest.fail("a change of another process"))
    second.on_bound.append(bound.append)
    one, two = binding("101", "sip:a@10.0.0.11"), binding("101", "sip:b@10.0.0.12", expires_at=5.0)
    first.commit("101", put=[one, two], now=0.0)
    first.commit("101", remove=["sip:b@10.0.0.12"], now=0.0)
    first.forget_user("101")
    assert [(user, len(put), list(remove)) for user, put, remove in told] == [
        ("101", 2, []), ("101", 0, ["sip:b@10.0.0.12"]), ("101", 0, ["sip:a@10.0.0.11"]),
    ]  # fmt: skip
    user, put, remove = told[0]
    second.apply(user, put=put, remove=remove)
    assert len(second) == len(bound) == 2
    assert store.bindings(now=0) == []
    for user, put, remove in told[1:]:
        second.apply(user, put=put, remove=remove)
    assert len(second) == 0


def test_expiry_and_load_are_no_changes_to_tell() -> None:
    where = location(filled(3))
    where.on_changed.append(lambda user, put, remove: pytest.fail("not a change of ours"))
    where.load(now=0.0)
    assert where.expire(now=2000.0) == 4


def test_a_flow_that_was_rebuilt_replaces_the_one_of_the_record() -> None:
    record = to_record(binding("101", "sip:a@10.0.0.11"), now=0.0, wall_now=0.0)
    flow = Flow(Transport.TCP, UDP.local, UDP.remote, 77)
    assert from_record(record, now=0.0, wall_now=0.0, flow=flow).flow is flow
    assert from_record(record, now=0.0, wall_now=0.0).flow == UDP


@pytest.mark.parametrize("contact", ["<sip:a@1.2.3.256>", "<sip:a@1.2.3.4:70000>", "<<<", "", "<sip:>"])
def test_a_record_whose_contact_is_none_is_no_binding(contact: str) -> None:
    with pytest.raises((PeerError, ValueError)):
        from_record(BindingRecord("101", "k", contact, 5.0), now=0.0, wall_now=0.0)


@given(st.sampled_from(["<sip:a@1.2.3.4>", "<sip:a@255.1.0.9:5060>", "<sip:a-b~c@10.0.0.1:59999>"]))
def test_what_is_taken_by_its_looks_can_be_read(contact: str) -> None:
    made = from_record(BindingRecord("101", "k", contact, 5.0), now=0.0, wall_now=0.0)
    assert str(made.contact) == str(NameAddr.parse(contact)) == contact


# --- targets


def test_targets_stay_the_same_until_a_binding_changes_or_ends() -> None:
    where = location()
    where.commit("101", put=[binding("101", "sip:a@10.0.0.11", q=0.5)], now=0.0)
    first = where.targets("101", now=0.0)
    assert where.targets("101", now=50.0) is first
    assert list(first) == targets_of(where.bindings("101", now=0.0), lambda flow: True)
    where.commit("101", put=[binding("101", "sip:b@10.0.0.12", expires_at=60.0)], now=0.0)
    assert [target.q for target in where.targets("101", now=0.0)] == [1.0, 0.5]
    assert [target.q for target in where.targets("101", now=60.0)] == [0.5]
    assert where.targets("101", now=100.0) == ()
    where.forget_user("101")
    assert where.targets("101", now=0.0) == where.targets("nobody", now=0.0) == ()
