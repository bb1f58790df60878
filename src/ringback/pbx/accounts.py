# SPDX-License-Identifier: Apache-2.0
"""What makes a user, a device, a guest? A number, a name, and a password of which only digests are kept."""

from __future__ import annotations

import re
import secrets
import time
import unicodedata
from dataclasses import replace

from ringback.server.storage.devices import KINDS, DeviceRecord, GuestPage, Kind
from ringback.server.storage.store import Store, UserRecord
from ringback.sip.digest import ALGORITHMS, ha1
from ringback.sip.errors import RingbackError

#: Without 0, 1, l, o, i: nothing that looks like something else when it is read aloud or typed from paper.
ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
GROUPS, GROUP_LENGTH = 4, 5  # 20 characters of 31: 99 bits
MAX_NAME, MAX_PASSWORD = 64, 128
SHORT_PASSWORD = 12
#: A user's devices, each a password that is tried; and guests that may call at one time.
MAX_DEVICES, MAX_GUESTS = 20, 1000
GUEST_PREFIX, GUEST_LETTERS = "guest-", 6
GUEST_LIFETIME = 3600.0
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
    return UserRecord(number, name, realm, digests_of(number, realm, password), made_by)


def digests_of(number: str, realm: str, password: str) -> dict[str, str]:
    """What is kept of a password, by algorithm."""
    families = sorted({algorithm.family for algorithm in ALGORITHMS.values()})
    return {family: ha1(number, realm, password, family) for family in families}


def mint_device(
    store: Store,
    number: str,
    *,
    name: str,
    kind: Kind,
    realm: str,
    lifetime: float | None = None,
    made_by: str = "",
    now: float | None = None,
) -> tuple[DeviceRecord, str]:
    """A new device of a user, in the store, and its password, which nobody can ask for again. `lifetime` in
    seconds. Raises InvalidAccount when there is no such user, or there are too many devices already.

    The running server hears of it by the verb "users-changed" or "devices-changed".
    """
    if kind not in KINDS or kind == "guest":
        raise InvalidAccount(f"{kind!r} is no kind of device: use {', '.join(KINDS[:2])} or app")
    if not store.users(number=number):
        raise InvalidAccount(f"there is no user {number!r}")
    if len(store.devices(number=number)) >= MAX_DEVICES:
        raise InvalidAccount(f"user {number} has {MAX_DEVICES} devices already; remove one first")
    return _minted(store, _device(number, checked_name(name), kind, realm, lifetime, made_by, now))


def mint_guest(
    store: Store, page: GuestPage, realm: str, *, name: str = "", now: float | None = None
) -> tuple[DeviceRecord, str]:
    """A guest that may call the number of this page for an hour. Raises InvalidAccount when the page is
    closed, or when there are too many guests just now.
    """
    if not page.enabled:
        raise InvalidAccount("nobody can call from this page now")
    taken = {each.number for each in store.devices(kind="guest")}
    if len(taken) >= MAX_GUESTS:
        raise InvalidAccount("too many guests are here now; try again later")
    number = _guest_number()
    while number in taken:
        number = _guest_number()
    shown = checked_name(name) or "Guest"
    guest = _device(number, shown, "guest", realm, GUEST_LIFETIME, f"page {page.name}", now)
    return _minted(store, replace(guest, may_call=page.number))


def renewed_device(store: Store, device: DeviceRecord) -> tuple[DeviceRecord, str]:
    """The same device with a new password; the old one ends when the server hears of it."""
    return _minted(store, device)


def _device(  # noqa: PLR0917
    number: str, name: str, kind: Kind, realm: str, lifetime: float | None, made_by: str, now: float | None
) -> DeviceRecord:
    created_at = time.time() if now is None else now
    expires_at = created_at + lifetime if lifetime else 0.0
    return DeviceRecord(secrets.token_hex(6), number, name, kind, realm, created_at, expires_at, made_by)


def _minted(store: Store, device: DeviceRecord) -> tuple[DeviceRecord, str]:
    password = make_password()
    minted = replace(device, ha1s=digests_of(device.number, device.realm, password))
    store.put_device(minted)
    return minted, password


def _guest_number() -> str:
    return GUEST_PREFIX + "".join(secrets.choice(ALPHABET) for _ in range(GUEST_LETTERS))
