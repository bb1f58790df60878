# SPDX-License-Identifier: Apache-2.0
"""When is a stored digest opened? When somebody asks for it: a hundred thousand users have three each, and
opening one takes 4 us.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping

from ringback.server.storage.sealing import Sealer

logger = logging.getLogger("ringback.storage")


class SealedDigests(Mapping[str, str]):
    """The digests of one user by algorithm. One that cannot be opened is not there: the log says so."""

    __slots__ = ("_number", "_opened", "_realm", "_sealed", "_sealer")

    def __init__(
        self, sealer: Sealer, number: str, realm: str, sealed: tuple[tuple[str, bytes], ...]
    ) -> None:
        self._sealer = sealer
        self._number = number
        self._realm = realm
        self._sealed = sealed
        self._opened: dict[str, str] | None = None

    @property
    def sealed(self) -> tuple[tuple[str, bytes], ...]:
        """(algorithm, seal): as they are stored."""
        return self._sealed

    def __getitem__(self, algorithm: str) -> str:
        return self._digests()[algorithm]

    def __iter__(self) -> Iterator[str]:
        return iter(self._digests())

    def __len__(self) -> int:
        return len(self._digests())

    def __eq__(self, other: object) -> bool:
        """Every seal is another one, so equal seals hold equal digests: no need to open them."""
        if isinstance(other, SealedDigests) and self._sealed == other._sealed:
            return True
        return isinstance(other, Mapping) and self._digests() == dict(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<SealedDigests of {self._number}>"

    def _digests(self) -> dict[str, str]:
        if self._opened is None:
            found = {
                algorithm: self._sealer.open(sealed, self._number, self._realm, algorithm)
                for algorithm, sealed in self._sealed
            }
            self._opened = {algorithm: ha1 for algorithm, ha1 in found.items() if ha1 is not None}
            if len(self._opened) < len(found):
                logger.warning(_UNREADABLE, self._number, self._number)
        return self._opened


_UNREADABLE = (
    "the stored password of user %s cannot be opened: secret.key is not the one it was sealed with; "
    "set a new one with `ringback user password %s`"
)
