# SPDX-License-Identifier: Apache-2.0
"""Numbers, names and passwords of users."""

import hashlib
import math

import pytest

from ringback.pbx.accounts import (
    ALPHABET,
    InvalidAccount,
    checked_name,
    checked_number,
    checked_password,
    make_password,
    new_user,
)
from ringback.pbx.demo import make_demo_users
from ringback.server.storage import BindingRecord, MemoryStore


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
