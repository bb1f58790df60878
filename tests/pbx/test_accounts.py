# SPDX-License-Identifier: Apache-2.0
"""Numbers, names and passwords of users."""

import hashlib
import math

import pytest

from ringback.pbx.accounts import (
    ALPHABET,
    MAX_DEVICES,
    InvalidAccount,
    checked_name,
    checked_number,
    checked_password,
    make_password,
    mint_device,
    mint_guest,
    new_user,
    renewed_device,
)
from ringback.pbx.demo import make_demo_users
from ringback.pbx.operator import operators, put_operators, read
from ringback.server.storage import BindingRecord, GuestPage, MemoryStore
from ringback.sip.digest import ha1


def test_a_made_password_is_strong_readable_and_never_the_same() -> None:
    made = {make_password() for _ in range(1000)}
    assert len(made) == 1000
    for password in made:
        letters = password.replace("-", "")
        assert set(letters) <= set(ALPHABET)
        assert len(letters) * math.log2(len(ALPHABET)) >= 96
        assert checked_password(password) == password
    assert not set(ALPHABET) & set("0o1li")


@pytest.mark.parametrize("number", ["1", "101", "0049", "9" * 15])
def test_numbers_are_digits(number: str) -> None:
    assert checked_number(number) == number


@pytest.mark.parametrize("number", ["", "9" * 16, "10 1", "+49", "*43", "anna", "١٠١", "101\n", "1_0"])
def test_anything_else_is_no_number(number: str) -> None:
    with pytest.raises(InvalidAccount, match="is no number for a user"):
        checked_number(number)


@pytest.mark.parametrize(
    ("given", "kept"),
    [("Anna", "Anna"), ("  Anna   K. ", "Anna K."), ("", ""), ("Zoe\u0308", "Zo\u00eb"), ("李雷", "李雷")],
)
def test_names_are_one_clean_line(given: str, kept: str) -> None:
    assert checked_name(given) == kept


@pytest.mark.parametrize(
    "name", ["x" * 65, "a\x00b", "a\x1b[31m", "evil\u202e", 'a"b', "a\\b", "<a>", "\udcff"]
)
def test_names_that_would_break_a_header_or_a_screen_are_refused(name: str) -> None:
    with pytest.raises(InvalidAccount, match="the name"):
        checked_name(name)


@pytest.mark.parametrize("password", ["", " x", "x ", "pässword", "a\tb", "x" * 129])
def test_passwords_that_phones_would_hash_differently_are_refused(password: str) -> None:
    with pytest.raises(InvalidAccount):
        checked_password(password)


def test_only_digests_for_every_algorithm_are_in_a_record() -> None:
    user = new_user("101", "Anna", password="s3cret:x", realm="example.com")
    text = b"101:example.com:s3cret:x"
    assert dict(user.ha1s) == {
        "MD5": hashlib.md5(text).hexdigest(),
        "SHA-256": hashlib.sha256(text).hexdigest(),
        "SHA-512-256": hashlib.new("sha512_256", text).hexdigest(),
    }
    assert "s3cret" not in repr(user)
    assert user.ha1s["MD5"] not in repr(user)


def test_demo_users_get_new_passwords_unless_somebody_else_made_them() -> None:
    store = MemoryStore()
    store.put_user(new_user("102", "Zed", password="kept", realm="r"))
    store.put_binding(BindingRecord("101", "k", "<sip:a@b>", 1e12))
    store.put_binding(BindingRecord("102", "k", "<sip:a@b>", 1e12))
    first = make_demo_users(store, realm="r")
    second = make_demo_users(store, realm="r")
    assert [(user.number, user.name, bool(user.password)) for user in first] == [
        ("101", "Anna", True), ("102", "Zed", False),
    ]  # fmt: skip
    assert first[0].password != second[0].password
    assert store.users()[0].ha1s == new_user("101", "", password=second[0].password, realm="r").ha1s
    assert store.users()[1].ha1s == new_user("102", "", password="kept", realm="r").ha1s
    assert [one.user for one in store.bindings(now=0)] == ["102"]


def store_with(*numbers: str) -> MemoryStore:
    store = MemoryStore()
    for number in numbers:
        store.put_user(new_user(number, "", password="secret", realm="r"))
    return store


def test_a_device_has_a_password_of_its_own_of_which_only_digests_are_kept() -> None:
    store = store_with("101")
    device, password = mint_device(store, "101", name=" Desk  phone ", kind="phone", realm="r", now=5.0)
    other, another = mint_device(store, "101", name="", kind="browser", realm="r", lifetime=60.0, now=6.0)
    assert list(store.devices(number="101")) == [device, other]
    assert (device.name, device.created_at, device.expires_at, other.expires_at) == (
        "Desk phone",
        5.0,
        0.0,
        66.0,
    )
    assert device.ha1s["SHA-256"] == ha1("101", "r", password, "SHA-256")
    assert device.ha1s.keys() == other.ha1s.keys() == {"MD5", "SHA-256", "SHA-512-256"}
    assert (device.id != other.id, password != another) == (True, True)
    assert password not in repr(store.devices())
    renewed, new_password = renewed_device(store, device)
    assert (renewed.id, renewed.name, new_password != password) == (device.id, "Desk phone", True)
    assert store.devices()[0].ha1s["MD5"] == ha1("101", "r", new_password, "MD5")


def test_devices_are_of_users_few_and_of_known_kinds() -> None:
    store = store_with("101")
    for number, kind, complaint in (
        ("999", "phone", "no user"),
        ("101", "toaster", "no kind"),
        ("101", "guest", "no kind"),
    ):
        with pytest.raises(InvalidAccount, match=complaint):
            mint_device(store, number, name="", kind=kind, realm="r")  # type: ignore[arg-type]
    for _ in range(MAX_DEVICES):
        mint_device(store, "101", name="", kind="phone", realm="r")
    with pytest.raises(InvalidAccount, match="has 20 devices already; remove one first"):
        mint_device(store, "101", name="", kind="phone", realm="r")


def test_a_guest_has_a_number_nobody_else_has_and_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    store, page = store_with("101"), GuestPage("sales", "101")
    made = [mint_guest(store, page, "r", now=5.0)[0] for _ in range(50)]
    assert len({guest.number for guest in made}) == 50
    guest = made[0]
    assert (guest.number[:6], len(guest.number), guest.kind, guest.may_call) == ("guest-", 12, "guest", "101")
    assert (guest.expires_at, guest.name, guest.made_by) == (3605.0, "Guest", "page sales")
    with pytest.raises(InvalidAccount, match="nobody can call from this page now"):
        mint_guest(store, GuestPage("door", "101", enabled=False), "r")
    monkeypatch.setattr("ringback.pbx.accounts.MAX_GUESTS", 50)
    with pytest.raises(InvalidAccount, match="too many guests are here now"):
        mint_guest(store, page, "r")


def test_who_answers_for_the_office_are_users() -> None:
    store = store_with("101", "102")
    assert operators(store) == ()
    put_operators(store, ["102", "101", "102"])
    assert operators(store) == ("102", "101")
    for wrong in (["103"], ["anna"], [str(number) for number in range(30)]):
        with pytest.raises(InvalidAccount):
            put_operators(store, wrong)
    put_operators(store, [])
    assert operators(store) == ()


@pytest.mark.parametrize("value", [None, "", "{}", "[", "5", "[" * 100_000, "[1, null]"])
def test_operators_that_are_damaged_are_none(value: str | None) -> None:
    assert read(value) == ()
