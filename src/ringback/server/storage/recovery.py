# SPDX-License-Identifier: Apache-2.0
"""How does somebody come in whose telephone is lost? With one of ten codes, each of which works once."""

from __future__ import annotations

from ringback.server.storage.entrances import LINK_ALPHABET, hashed, short_secret
from ringback.server.storage.sqlite_file import SqliteFile

CODES, LETTERS = 10, 10


class RecoveryStore(SqliteFile):
    """Recovery codes: 49 bits each, of which the SHA-256 with the person's identifier is kept."""

    __slots__ = ()

    def renew(self, person: str) -> list[str]:
        """Ten new ones, which nobody can see again; those until now work no longer."""
        codes = [short_secret(LETTERS) for _ in range(CODES)]
        with self._writing() as connection:
            connection.execute("DELETE FROM recovery_codes WHERE person = ?", (person,))
            connection.executemany(
                "INSERT INTO recovery_codes (hash, person) VALUES (?, ?)",
                [(_kept(person, code), person) for code in codes],
            )
        return codes

    def use(self, person: str, code: str) -> bool:
        """True once for each; written with or without its dash, in small letters too."""
        with self._writing() as connection:
            done = connection.execute(
                "DELETE FROM recovery_codes WHERE hash = ? AND person = ?", (_kept(person, code), person)
            )
        return done.rowcount > 0

    def left(self, person: str) -> int:
        """How many still work."""
        with self._reading() as connection:
            row = connection.execute("SELECT count(*) FROM recovery_codes WHERE person = ?", (person,))
            return int(row.fetchone()[0])

    def remove_all(self, person: str) -> None:
        """Codes were switched off."""
        with self._writing() as connection:
            connection.execute("DELETE FROM recovery_codes WHERE person = ?", (person,))


def _kept(person: str, code: str) -> str:
    letters = "".join(letter for letter in code.upper() if letter in LINK_ALPHABET)
    return hashed(f"{person} {letters}")
