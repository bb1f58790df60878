# SPDX-License-Identifier: Apache-2.0
"""What every store does, shown on each of them."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ringback.server.storage import BindingRecord, DeviceRecord, GuestPage, MemoryStore, Store, UserRecord
from ringback.server.storage.sealing import Sealer
from ringback.server.storage.sqlite import SqliteStore

ANNA = UserRecord("101", "Anna", "example.com", {"MD5": "a" * 32, "SHA-256": "b" * 64})
BOB = UserRecord("102", "Bøb", "example.com", {"MD5": "c" * 32}, made_by="demo")


def binding(
    user: str = "101", key: str = "k", expires_at: float = 1000.0, contact: str = "<sip:a@b>"
) -> BindingRecord:
    return BindingRecord(user, key, contact, expires_at)


@pytest.fixture(params=["memory", "sqlite"])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Store]]:
    """Gives the store; called again, the same one after a restart (memory just stays)."""
    opened: list[Store] = []

    def reopen() -> Store:
        if request.param == "memory":
            opened[:] = opened or [MemoryStore()]
        else:
            for store in opened:
                store.close()
            opened[:] = [SqliteStore.open(tmp_path / "ringback.db", sealer=Sealer(b"k" * 32))]
        return opened[0]

    yield reopen
    for store in opened:
        store.close()


def test_users_are_kept_whole_and_in_order(reopen) -> None:
    reopen().put_user(BOB)
    reopen().put_user(ANNA)
    assert list(reopen().users()) == [ANNA, BOB]
    assert [dict(user.ha1s) for user in reopen().users()] == [dict(ANNA.ha1s), dict(BOB.ha1s)]


def test_a_changed_user_has_only_the_new_digests(reopen) -> None:
    store = reopen()
    store.put_user(ANNA)
    store.put_user(UserRecord("101", "Anna B", "example.com", {"SHA-256": "d" * 64}))
    (user,) = reopen().users()
    assert (user.name, dict(user.ha1s)) == ("Anna B", {"SHA-256": "d" * 64})


DESK = DeviceRecord(
    "d1", "101", "Desk", "phone", "example.com", 5.0, 6.0, "me", "required", "", 0.0, {"MD5": "e" * 32}
)
MOBILE = DeviceRecord("d2", "101", "Mobile", "app", "example.com", 4.0, ha1s={"SHA-256": "f" * 64})
GUEST = DeviceRecord("d3", "guest-a", "", "guest", "example.com", 9.0, may_call="101", ha1s={"MD5": "a" * 32})


def test_one_user_is_found_by_number(reopen) -> None:
    store = reopen()
    store.put_user(ANNA)
    store.put_user(BOB)
    (found,) = store.users(number="102")
    assert (found.number, found.name, dict(found.ha1s)) == ("102", BOB.name, dict(BOB.ha1s))
    assert list(store.users(number="999")) == []


def test_devices_are_kept_whole_in_the_order_of_time_and_found_by_number_and_kind(reopen) -> None:
    for device in (GUEST, DESK, MOBILE):
        reopen().put_device(device)
    store = reopen()
    assert list(store.devices()) == [MOBILE, DESK, GUEST]
    assert [dict(each.ha1s) for each in store.devices(number="101")] == [MOBILE.ha1s, DESK.ha1s]
    assert list(store.devices(kind="guest")) == [GUEST]
    assert list(store.devices(number="101", kind="guest")) == []


def test_a_changed_device_keeps_what_it_was_not_given_anew(reopen) -> None:
    store = reopen()
    store.put_device(DESK)
    (stored,) = store.devices()
    store.put_device(replace(stored, name="Window", security="", created_at=77.0, last_seen=88.0))
    (renamed,) = reopen().devices()
    assert renamed == replace(DESK, name="Window", security="")
    store = reopen()
    store.put_device(replace(renamed, ha1s={"MD5": "b" * 32}))
    assert dict(store.devices()[0].ha1s) == {"MD5": "b" * 32}


def test_a_removed_device_takes_its_own_bindings_along_and_a_removed_user_all_devices(reopen) -> None:
    store = reopen()
    store.put_user(ANNA)
    for device in (DESK, MOBILE, GUEST):
        store.put_device(device)
    for key, device in (("k1", "d1"), ("k2", "d2"), ("k3", "")):
        store.put_binding(replace(binding(key=key), device=device))
    store.flush()
    assert store.remove_device("d1")
    assert not store.remove_device("d1")
    assert [(each.key, each.device) for each in reopen().bindings(now=0)] == [("k2", "d2"), ("k3", "")]
    reopen().remove_user("101")
    assert list(reopen().devices()) == [GUEST]
    assert list(reopen().bindings(now=0)) == []


def test_bindings_are_removed_by_the_device_that_made_them(reopen) -> None:
    store = reopen()
    for key, device in (("k1", "d1"), ("k2", "d2"), ("k3", "")):
        store.put_binding(replace(binding(key=key), device=device))
    store.remove_bindings_of("101", device="")
    store.remove_bindings_of("102", device="d2")
    assert [each.key for each in reopen().bindings(now=0)] == ["k1", "k2"]
    reopen().remove_bindings_of("101", device="d2")
    assert [each.key for each in reopen().bindings(now=0)] == ["k1"]


def test_when_a_device_was_last_there_is_read_from_its_registrations(reopen) -> None:
    store = reopen()
    for device in (DESK, MOBILE):
        store.put_device(device)
    for key, device, at in (("k1", "d1", 50.0), ("k2", "d1", 70.0), ("k3", "", 90.0), ("k4", "d9", 95.0)):
        store.put_binding(replace(binding(key=key), device=device, registered_at=at))
    store.see_devices()
    store.flush()
    assert {each.id: each.last_seen for each in reopen().devices()} == {"d1": 70.0, "d2": 0.0}


def test_guest_pages_are_kept_by_name(reopen) -> None:
    store = reopen()
    for page in (
        GuestPage("sales", "102", "Call us", created_at=5.0),
        GuestPage("door", "101", enabled=False),
    ):
        store.put_guest_page(page)
    store.put_guest_page(GuestPage("sales", "103", "Call", created_at=9.0))
    assert list(reopen().guest_pages()) == [
        GuestPage("door", "101", enabled=False), GuestPage("sales", "103", "Call", created_at=5.0)
    ]  # fmt: skip
    assert reopen().remove_guest_page("door")
    assert not reopen().remove_guest_page("door")
    assert [page.name for page in reopen().guest_pages()] == ["sales"]


def test_a_removed_user_has_no_visitors_any_more(reopen) -> None:
    store = reopen()
    store.put_user(UserRecord("102", "Bob", "office"))
    store.put_guest_page(GuestPage("sales", "102", "Call us", created_at=5.0))
    store.remove_user("102")
    assert list(reopen().guest_pages()) == [
        GuestPage("sales", "102", "Call us", enabled=False, created_at=5.0)
    ]


def test_a_removed_user_takes_the_bindings_along(reopen) -> None:
    store = reopen()
    store.put_user(ANNA)
    store.put_binding(binding())
    assert store.remove_user("101")
    assert not store.remove_user("101")
    store = reopen()
    assert list(store.users()) == []
    assert list(store.bindings(now=0)) == []


def test_bindings_come_back_until_they_expire(reopen) -> None:
    full = BindingRecord(
        user="101", key="<urn:uuid:1>;1", contact='"Ann\udce4" <sip:101@10.0.0.2:5062;transport=tcp>;q=0.5',
        expires_at=2000.5, q=0.5, call_id="x@y", cseq=4294967295, transport="TCP", local_host="10.0.0.1",
        local_port=5060, remote_host="10.0.0.2", remote_port=40000, path=("<sip:edge;lr>",),
        instance="<urn:uuid:1>", reg_id=1, user_agent="Phone/1 \u202e", registered_at=900.0,
    )  # fmt: skip
    store = reopen()
    store.put_binding(binding())
    store.put_binding(full)
    store = reopen()
    assert list(store.bindings(now=999.0)) == [full, binding()]
    assert list(store.bindings(now=1000.0)) == [full]
    assert list(store.bindings(now=2000.5)) == []


def test_a_binding_that_is_put_later_is_written_as_it_is_made(reopen) -> None:
    store = reopen()
    store.put_binding_later("101", "b", lambda: binding(key="b", contact="<sip:old@b>"))
    store.put_binding_later("101", "b", lambda: binding(key="b"))
    store.put_binding_later("101", "c", lambda: binding(key="c"))
    store.remove_binding("101", "c")
    assert list(reopen().bindings(now=0)) == [binding(key="b")]


def test_the_last_change_of_a_binding_wins(reopen) -> None:
    store = reopen()
    store.put_binding(binding(key="a"))
    store.remove_binding("101", "a")
    store.put_binding(binding(key="b"))
    store.put_binding(binding(key="b", contact="<sip:new@b>"))
    store.put_binding(binding(key="c\udcff"))
    store.remove_binding("101", "c\udcff")
    store.remove_binding("101", "never was")
    assert list(reopen().bindings(now=0)) == [binding(key="b", contact="<sip:new@b>")]


def test_all_bindings_of_one_user_go_and_later_ones_stay(reopen) -> None:
    store = reopen()
    for key in "abc":
        store.put_binding(binding(key=key))
    store.put_binding(binding(user="1011"))
    store.remove_bindings_of("101")
    store.put_binding(binding(key="d"))
    assert [(one.user, one.key) for one in reopen().bindings(now=0)] == [("101", "d"), ("1011", "k")]


def test_what_expired_is_forgotten_on_demand(reopen) -> None:
    store = reopen()
    store.put_binding(binding(key="old", expires_at=10.0))
    store.put_binding(binding(key="new", expires_at=20.0))
    store.remove_expired(now=10.0)
    assert [one.key for one in reopen().bindings(now=0)] == ["new"]


def test_named_values_are_kept(reopen) -> None:
    store = reopen()
    assert store.value("realm") is None
    store.put_value("realm", "first")
    store.put_value("realm", "example.com")
    store.put_later("addresses", "{}")
    store = reopen()
    assert (store.value("realm"), store.value("addresses")) == ("example.com", "{}")


def test_a_quiet_store_is_healthy(reopen) -> None:
    store = reopen()
    store.put_binding(binding())
    assert store.flush()
    assert (store.health().pending, store.health().dropped, store.health().failure) == (0, 0, "")
