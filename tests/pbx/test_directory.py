# SPDX-License-Identifier: Apache-2.0
"""The directory: users by number and by name, refreshed without a gap."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.pbx.accounts import new_user
from ringback.pbx.directory import Directory, dialled_name
from ringback.pbx.operator import put_operators
from ringback.server.storage import DeviceRecord, MemoryStore, StorageError, UserRecord
from ringback.server.storage.sealed_digests import Sealed
from ringback.server.storage.sealing import Sealer
from ringback.server.storage.sqlite import SqliteStore


def directory(*users: UserRecord) -> tuple[Directory, MemoryStore]:
    store = MemoryStore()
    for user in users:
        store.put_user(user)
    directory = Directory(store)
    directory.load()
    return directory, store


def user(number: str, name: str = "", password: str = "secret") -> UserRecord:
    return new_user(number, name, password=password, realm="example.com")


def test_a_user_is_found_by_number_and_by_any_spelling_of_the_name() -> None:
    people, _ = directory(user("101", "Anna Karenina"), user("102", "Straße"))
    for dialled in (
        "101",
        "Anna Karenina",
        "anna.karenina",
        "ANNA_KARENINA",
        "anna-karenina",
        " anna  karenina",
    ):
        found = people.find(dialled)
        assert found is not None, dialled
        assert (found.number, found.name) == ("101", "Anna Karenina")
    assert people.find("STRASSE") is people.find("102")
    assert people.name_of("101") == "Anna Karenina"


@pytest.mark.parametrize("dialled", ["", "1", "1010", "anna", "101 ", ".", "x" * 10_000, "\udcff", "*43"])
def test_whoever_is_not_here_is_not_found(dialled: str) -> None:
    people, _ = directory(user("101", "Anna Karenina"), user("103"))
    assert people.find(dialled) is None
    assert people.name_of(dialled) == ""


def test_a_name_that_two_share_reaches_neither_and_a_number_wins_over_a_name() -> None:
    people, _ = directory(user("101", "Anna"), user("102", "anna"), user("103", "101"))
    assert people.find("anna") is None
    found = people.find("101")
    assert found is not None
    assert found.name == "Anna"


async def test_a_refresh_names_those_whose_registrations_count_no_longer() -> None:
    people, store = directory(user("101", "Anna"), user("102"), user("103"))
    store.remove_user("102")
    store.put_user(user("103", password="changed"))
    store.put_user(UserRecord("101", "Anna B", "example.com", store.users()[0].ha1s))
    store.put_user(user("104"))
    assert await people.refresh() == {("102", None), ("103", "")}
    assert (len(people), people.name_of("101")) == (3, "Anna B")
    assert people.find("102") is None


async def test_a_refresh_that_fails_changes_nothing() -> None:
    class Broken(MemoryStore):
        broken = False

        def users(self, *, asleep: bool = False, number: str | None = None) -> list[UserRecord]:
            if self.broken:
                raise StorageError("the disk is gone")
            return list(super().users(asleep=asleep, number=number))

    store = Broken()
    store.put_user(user("101"))
    people = Directory(store)
    people.load()
    store.broken = True
    with pytest.raises(StorageError, match="those known stay: the disk is gone"):
        await people.refresh()
    assert people.find("101") is not None


def device(number: str, name: str, **fields: Any) -> DeviceRecord:
    return DeviceRecord(f"id of {name}", number, name, "phone", "example.com", ha1s={"MD5": name}, **fields)


async def test_devices_are_found_with_their_user_and_revoked_one_by_one() -> None:
    people, store = directory(user("101", "Anna"), user("102"))
    desk, mobile, other = device("101", "desk"), device("101", "mobile"), device("102", "other")
    for each in (desk, mobile, other, device("999", "orphan")):
        store.put_device(each)
    assert await people.refresh_devices() == frozenset()
    anna = people.find("anna")
    assert anna is not None
    assert (list(anna.devices), people.device("id of other")) == ([desk, mobile], other)

    store.remove_device(desk.id)
    store.put_device(replace(mobile, name="new name"))
    store.put_device(replace(other, ha1s={"MD5": "changed"}))
    expected = {("101", "id of desk"), ("102", "id of other")}
    assert await people.refresh_devices() == expected
    assert [each.name for each in anna.devices] == ["new name"]
    assert await people.refresh() == frozenset()
    found = people.find("101")
    assert found is not None
    assert [each.name for each in found.devices] == ["new name"]

    store.remove_user("101")
    assert await people.refresh() == {("101", None), ("101", "id of mobile")}


async def test_a_guest_is_found_by_its_number_only_and_is_no_user() -> None:
    people, store = directory(user("101", "Anna"))
    store.put_device(device("guest-abc", "Anna", may_call="101"))
    assert await people.refresh_devices() == frozenset()
    guest, anna = people.find("guest-abc"), people.find("anna")
    assert guest is not None
    assert anna is not None
    assert (guest.may_call, guest.ha1s, anna.number) == ("101", {}, "101")
    assert ([each.number for each in people], len(people)) == (["101"], 1)
    assert people.name_of("guest-abc") == "Anna"
    store.remove_device("id of Anna")
    assert await people.refresh() == {("guest-abc", "id of Anna")}
    assert people.find("guest-abc") is None


async def test_who_answers_for_the_office_is_read_again_with_the_devices() -> None:
    people, store = directory(user("101"), user("102"))
    assert people.operators == ()
    put_operators(store, ["102", "101", "102"])
    await people.refresh_devices()
    assert people.operators == ("102", "101")


@given(st.text(max_size=40), st.sampled_from([" ", ".", "_", "-", " - "]))
def test_every_way_to_write_the_gaps_of_a_name_dials_the_same(text: str, gap: str) -> None:
    assert dialled_name(text.replace(" ", gap)) == dialled_name(text)


class CountedStore(SqliteStore):
    """How often was it asked for digests that sleep?"""

    asked: list[tuple[str, str]]

    def _sealed_between(self, first: str, last: str) -> dict[str, Sealed]:
        self.asked.append((first, last))
        return super()._sealed_between(first, last)


def test_users_that_are_read_again_while_they_sleep_wake_with_one_question(tmp_path: Path) -> None:
    store = CountedStore.open(tmp_path / "x.db", sealer=Sealer(b"s" * 32))
    store.asked = []
    for number in range(100, 130):
        store.put_user(user(str(number)))
    people = Directory(store)
    people.load()
    people.wake(10)
    del store.asked[:]
    store.remove_user("101")
    revoked = asyncio.run(people.refresh())
    assert [each.number for each in revoked] == ["101"]
    assert store.asked == [("110", "129")]
    store.close()
