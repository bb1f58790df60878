# SPDX-License-Identifier: Apache-2.0
"""How digests are stored so that the database alone is worth nothing: sealed with AES-256-GCM.

An HA1 is as good as the password for its realm. The key is not in the database; number, realm and algorithm
are bound to each seal, so that one user's digest cannot be moved to another.
"""

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_LENGTH = 12


class Sealer:
    """Seals and opens short texts with one key of 32 bytes."""

    __slots__ = ("_cipher",)

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal(self, text: str, *belongs_to: str) -> bytes:
        """`belongs_to` must be the same when it is opened."""
        nonce = os.urandom(NONCE_LENGTH)
        return nonce + self._cipher.encrypt(nonce, text.encode(), _joined(belongs_to))

    def open(self, sealed: bytes, *belongs_to: str) -> str | None:
        """None when the key is another one, or the seal was made for something else."""
        nonce, body = sealed[:NONCE_LENGTH], sealed[NONCE_LENGTH:]
        if len(nonce) < NONCE_LENGTH:
            return None
        try:
            return self._cipher.decrypt(nonce, body, _joined(belongs_to)).decode("utf-8", "replace")
        except InvalidTag:
            return None


def _joined(parts: tuple[str, ...]) -> bytes:
    """Each part with its length before it, so that no two lists look alike."""
    return b"".join(b"%d:" % len(raw) + raw for raw in (part.encode() for part in parts))
