# SPDX-License-Identifier: Apache-2.0
"""How are passwords of people kept and checked? argon2id (RFC 9106), in threads, a few at a time.

One check takes 64 MB and some 100 ms on purpose: without a limit a few strangers would take the machine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from ringback.web.problems import ApiProblem, at_field

SHORTEST, LONGEST = 8, 256
AT_ONCE, WAITING = 2, 20

Result = TypeVar("Result")


class Passwords:
    """Hashes and checks."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher(time_cost=3, memory_cost=65_536, parallelism=1)
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0
        #: Checked when there is no such account, so that a stranger cannot tell by the time it takes.
        self._nobody = ""

    async def hash(self, password: str) -> str:
        """What is kept."""
        return await self._one_of_few(self._hash, password)

    async def fits(self, kept: str, password: str) -> bool:
        """True if it is the password; takes as long for an account that is not there."""
        if len(password) > LONGEST:
            return False
        return await self._one_of_few(self._fits, kept, password)

    def _hash(self, password: str) -> str:
        return self._hasher.hash(password)

    def _fits(self, kept: str, password: str) -> bool:
        if not kept:
            self._nobody = self._nobody or self._hasher.hash("nobody")
        try:
            return self._hasher.verify(kept or self._nobody, password) and bool(kept)
        except (VerificationError, InvalidHashError):
            return False

    async def _one_of_few(self, call: Callable[..., Result], *arguments: str) -> Result:
        if self._waiting >= WAITING:
            raise ApiProblem(503, "Too many people sign in just now.", headers={"Retry-After": "5"})
        self._waiting += 1
        try:
            async with self._turn:
                return await asyncio.to_thread(call, *arguments)
        finally:
            self._waiting -= 1


def checked_password(password: str, *, field: str = "password") -> str:
    """Long enough; nothing else is asked for (NIST SP 800-63B)."""
    if len(password) < SHORTEST:
        raise at_field(field, f"Use at least {SHORTEST} characters; a few words are easy to remember.")
    if len(password) > LONGEST:
        raise at_field(field, f"Use at most {LONGEST} characters.")
    return password
