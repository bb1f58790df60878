# SPDX-License-Identifier: Apache-2.0
"""What makes a user: a number, a name, and a password of which only digests are kept."""

from __future__ import annotations

import re
import secrets
import unicodedata

from ringback.server.storage.store import UserRecord
from ringback.sip.digest import ALGORITHMS, ha1
from ringback.sip.errors import RingbackError

#: Without 0, 1, l, o, i: nothing that looks like something else when it is read aloud or typed from paper.
ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
GROUPS, GROUP_LENGTH = 4, 5  # 20 characters of 31: 99 bits
MAX_NAME, MAX_PASSWORD = 64, 128
SHORT_PASSWORD = 12
#: Numbers for which somewhere an ambulance comes.
EMERGENCY_NUMBERS = frozenset({"000", "110", "112", "118", "119", "911", "999"})


class InvalidAccount(RingbackError):
    """A number, name or password that cannot be used; the text says why."""


def checked_number(text: str) -> str:
    """A number people can dial: 1 to 15 digits."""
    if not re.fullmatch(r"[0-9]{1,15}", text):
        raise InvalidAccount(f"{text!r} is no number for a user: use 1 to 15 digits, for example 101")
    return text


def checked_name(text: str) -> str:
    """A display name: any script, one line, nothing invisible."""
    name = unicodedata.normalize("NFC", " ".join(text.split()))
    if len(name) > MAX_NAME:
        raise InvalidAccount(f"the name is longer than {MAX_NAME} characters")
    if any(unicodedata.category(character)[0] == "C" for character in name):
        raise InvalidAccount("the name has characters that cannot be seen; write it anew")
    if set(name) & set('"\\<>'):
        raise InvalidAccount('the name may not contain " \\ < >')
    return name


def checked_password(text: str) -> str:
    """A password that phones can be given: visible ASCII, so that every phone hashes the same bytes."""
    if not text or len(text) > MAX_PASSWORD or not text.isascii() or not text.isprintable():
        raise InvalidAccount(f"a password is 1 to {MAX_PASSWORD} visible ASCII characters")
    if text != text.strip():
        raise InvalidAccount("the password begins or ends with a space, which phones drop")
    return text


def make_password() -> str:
    """A password nobody can guess (99 bits), in groups that are easy to type."""
    groups = ("".join(secrets.choice(ALPHABET) for _ in range(GROUP_LENGTH)) for _ in range(GROUPS))
    return "-".join(groups)


def new_user(number: str, name: str, *, password: str, realm: str, made_by: str = "") -> UserRecord:
    """A record with the digests of every algorithm; the password itself is in none of them."""
    families = sorted({algorithm.family for algorithm in ALGORITHMS.values()})
    digests = {family: ha1(number, realm, password, family) for family in families}
    return UserRecord(number, name, realm, digests, made_by)
