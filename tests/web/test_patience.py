# SPDX-License-Identifier: Apache-2.0
"""How long must somebody wait who guesses, what is remembered for a while, and how many passwords at once?"""

import asyncio
import threading

import pytest
from argon2 import PasswordHasher
from hypothesis import given
from hypothesis import strategies as st

from ringback.web import passwords, pending, throttle
from ringback.web.passwords import Passwords
from ringback.web.pending import Pending
from ringback.web.problems import ApiProblem
from ringback.web.throttle import Throttle, place

HERE, ANNA = ("address", "192.0.2.1"), ("account", "anna")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def wait_of(guard: Throttle, *names: tuple[str, str]) -> int:
    """What Retry-After says; 0: nothing has to be waited for."""
    try:
        guard.check(*names)
    except ApiProblem as refusal:
        return int((refusal.headers or {})["Retry-After"])
    return 0


def test_each_wrong_try_doubles_the_wait_up_to_a_quarter_of_an_hour_but_not_for_an_account():
    clock = Clock()
    guard = Throttle(clock)
    waits = []
    for _ in range(20):
        guard.wrong(HERE, ANNA)
        waits.append(wait_of(guard, HERE))
        clock.now += waits[-1]
    assert waits[:8] == [0, 0, 0, 0, 2, 3, 5, 9]
    assert waits[-1] == 901
    guard.wrong(ANNA)
    assert wait_of(guard, ANNA) == 31
    guard.right(ANNA)
    assert wait_of(guard, ANNA) == 0


def test_old_mistakes_are_forgotten_and_so_are_those_of_too_many(monkeypatch: pytest.MonkeyPatch):
    clock = Clock()
    guard = Throttle(clock)
    for _ in range(10):
        guard.wrong(HERE)
    clock.now += throttle.FORGETTING + 1
    guard.wrong(HERE)
    assert guard.count(HERE) == 1
    monkeypatch.setattr(throttle, "REMEMBERED", 10)
    for number in range(50):
        guard.wrong(("address", str(number)))
    assert [guard.count(name) for name in (HERE, ("address", "49"))] == [0, 1]


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_an_ipv6_customer_is_one_place(left: int, right: int):
    prefix = 0x20010DB8 << 96
    assert place(_ipv6(prefix | left)) == place(_ipv6(prefix | right)) == ("address", "2001:db8::")


def _ipv6(number: int) -> str:
    return ":".join(f"{number >> shift & 0xFFFF:x}" for shift in range(112, -1, -16))


def test_what_is_pending_is_taken_once_and_in_time(monkeypatch: pytest.MonkeyPatch):
    clock = Clock()
    kept = Pending(clock)
    kept.put("a", 1)
    kept.put("a", 2)
    assert [kept.take("a"), kept.take("a")] == [2, None]
    kept.put("b", 3)
    clock.now += pending.LIFETIME
    assert kept.take("b") is None
    monkeypatch.setattr(pending, "MOST", 3)
    for name in "abcdef":
        kept.put(name, name)
    assert [kept.take(name) for name in "abcdef"] == [None, None, None, "d", "e", "f"]


async def test_only_a_few_passwords_are_checked_at_once_and_a_crowd_is_sent_away(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(passwords, "WAITING", 5)
    busy, most, going = 0, 0, threading.Event()

    class Slow(PasswordHasher):
        def verify(self, hash: str | bytes, password: str | bytes) -> bool:  # noqa: A002 (theirs)
            nonlocal busy, most
            busy += 1
            most = max(most, busy)
            going.wait(5)
            busy -= 1
            return True

    checking = Passwords(Slow())
    crowd = [asyncio.create_task(checking.fits("kept", "password")) for _ in range(5)]
    while busy < passwords.AT_ONCE:
        await asyncio.sleep(0.01)
    with pytest.raises(ApiProblem) as refusal:
        await checking.fits("kept", "password")
    assert refusal.value.status == 503
    going.set()
    assert await asyncio.gather(*crowd) == [True] * 5
    assert most == passwords.AT_ONCE


async def test_a_password_fits_its_hash_alone():
    checking = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    kept = await checking.hash("pässword")
    assert kept.startswith("$argon2id$")
    tried = [(kept, "pässword"), (kept, "password"), ("", "nobody"), ("damaged", "x"), (kept, "x" * 300)]
    assert [await checking.fits(*each) for each in tried] == [True, False, False, False, False]
