# SPDX-License-Identifier: Apache-2.0
"""Where do the unguessable words come from? Branches, tags, Call-IDs: RFC 3261 sections 8.1.1 and 19.3.

Chance is an argument: `os.urandom` in life, a seeded generator in a simulation.
"""

from collections.abc import Callable
from hashlib import blake2b

#: RFC 3261 8.1.1.7: a branch that begins so is unique in space and time.
MAGIC_COOKIE = "z9hG4bK"


class Identifiers:
    """Makes every identifier that others must not guess or repeat."""

    __slots__ = ("_random_bytes", "_secret")

    def __init__(self, random_bytes: Callable[[int], bytes]) -> None:
        self._random_bytes = random_bytes
        self._secret = random_bytes(32)

    def branch(self, suffix: str = "") -> str:
        """A new branch; `suffix` travels readably behind a dot (a proxy's loop hash, 16.6 step 8)."""
        word = MAGIC_COOKIE + self._random_bytes(12).hex()
        return f"{word}.{suffix}" if suffix else word

    def tag(self) -> str:
        """A new tag: more than the 32 bits that 19.3 asks for."""
        return self._random_bytes(8).hex()

    def keyed_tag(self, *parts: str) -> str:
        """The same tag for the same parts, and one that nobody without our secret can make (8.2.7, 16.11)."""
        text = "\0".join(parts).encode("utf-8", "surrogateescape")
        return blake2b(text, key=self._secret, digest_size=8).hexdigest()

    def call_id(self, host: str = "") -> str:
        """A new Call-ID. Without `host` it tells nobody where we are."""
        word = self._random_bytes(12).hex()
        return f"{word}@{host}" if host else word

    def cnonce(self) -> str:
        """A client nonce for digest (RFC 7616 3.4)."""
        return self._random_bytes(16).hex()

    def session_id(self) -> int:
        """The number in the origin line of a session description (RFC 8866 5.2): below 2**62."""
        return int.from_bytes(self._random_bytes(8), "big") >> 2


def branch_suffix(branch: str) -> str:
    """The suffix that `Identifiers.branch` put behind the dot; empty when there is none."""
    return branch.partition(".")[2] if branch.startswith(MAGIC_COOKIE) else ""
