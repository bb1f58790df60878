# SPDX-License-Identifier: Apache-2.0
"""With what may somebody come in again? Sessions of browsers, API tokens, and links that work once.

Each is a random value of which only the SHA-256 is kept. What a browser or a program holds has 256 bits; a
link that people read aloud has 39, lives for minutes, and is taken away when it is guessed at.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from ringback.server.storage.people import AlreadyThere, new_identifier
from ringback.server.storage.sqlite_file import SqliteFile

TOKEN_PREFIX = "rb_"  # noqa: S105 (so that a token that leaks is recognised)
MAX_SESSIONS_EACH, MAX_TOKENS_EACH, MAX_LINKS = 50, 100, 10_000
#: Without 0, 1, I, L, O, U: what looks like something else on paper.
LINK_ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """A browser that has signed in. `hash` names it; `csrf` is what its pages must send along."""

    hash: str
    person: str
    csrf: str = field(repr=False)
    created_at: float = 0.0
    seen_at: float = 0.0
    expires_at: float = 0.0
    address: str = ""
    agent: str = ""


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """What a program shows instead of a password. `expires_at` 0: never."""

    id: str
    person: str
    name: str
    scopes: frozenset[str]
    created_at: float = 0.0
    expires_at: float = 0.0
    used_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Link:
    """A link that works once: `kind` "setup", "reset" (subject: a person) or "invite" (subject: a number)."""

    kind: str
    subject: str
    expires_at: float


def hashed(secret: str) -> str:
    """What is kept of a random value."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


class SessionStore(SqliteFile):
    """Browsers that have signed in."""

    __slots__ = ()

    def make(
        self, person: str, *, now: float, lifetime: float, address: str, agent: str
    ) -> tuple[str, SessionRecord]:
        """A new session and what its cookie holds. The oldest of too many ends."""
        cookie = secrets.token_urlsafe(32)
        record = SessionRecord(
            hashed(cookie), person, secrets.token_urlsafe(32), now, now, now + lifetime, address, agent[:200]
        )
        with self._writing() as connection:
            connection.execute("DELETE FROM sessions WHERE expires_at <= ?", (now,))
            connection.execute(
                "INSERT INTO sessions (hash, person, csrf, created_at, seen_at, expires_at, address, agent) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (record.hash, person, record.csrf, now, now, record.expires_at, address, record.agent),
            )
            connection.execute(
                "DELETE FROM sessions WHERE person = ? AND hash NOT IN (SELECT hash FROM sessions "
                "WHERE person = ? ORDER BY seen_at DESC, created_at DESC LIMIT ?)",
                (person, person, MAX_SESSIONS_EACH),
            )
        return cookie, record

    def find(self, cookie: str, *, now: float) -> SessionRecord | None:
        """The session of a cookie, if it still holds."""
        found = self._some("hash = ? AND expires_at > ?", hashed(cookie), now)
        return found[0] if found else None

    def seen(self, record: SessionRecord, *, now: float, expires_at: float) -> None:
        """It is in use; called now and then, not with each request."""
        with self._writing() as connection:
            connection.execute(
                "UPDATE sessions SET seen_at = ?, expires_at = ? WHERE hash = ?",
                (now, expires_at, record.hash),
            )

    def of(self, person: str, *, now: float) -> Sequence[SessionRecord]:
        """Where this person is signed in, the latest first."""
        return self._some("person = ? AND expires_at > ? ORDER BY seen_at DESC", person, now)

    def end(self, person: str, hash_: str) -> bool:
        """Sign one browser of this person out."""
        with self._writing() as connection:
            done = connection.execute("DELETE FROM sessions WHERE person = ? AND hash = ?", (person, hash_))
        return done.rowcount > 0

    def end_all(self, person: str, *, but: str = "") -> None:
        """After a new password: everywhere else."""
        with self._writing() as connection:
            connection.execute("DELETE FROM sessions WHERE person = ? AND hash != ?", (person, but))

    def _some(self, condition: str, *values: object) -> list[SessionRecord]:
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT hash, person, csrf, created_at, seen_at, expires_at, address, agent "  # noqa: S608
                f"FROM sessions WHERE {condition}",
                values,
            ).fetchall()
        return [SessionRecord(*row) for row in rows]


class TokenStore(SqliteFile):
    """API tokens."""

    __slots__ = ()

    def make(
        self, person: str, name: str, scopes: frozenset[str], *, now: float, expires_at: float = 0.0
    ) -> tuple[str, TokenRecord]:
        """A new token and its text, which nobody can see again."""
        text = TOKEN_PREFIX + secrets.token_urlsafe(32)
        record = TokenRecord(new_identifier(), person, name, scopes, now, expires_at, 0.0)
        with self._writing() as connection:
            count = connection.execute("SELECT count(*) FROM tokens WHERE person = ?", (person,)).fetchone()
            if count[0] >= MAX_TOKENS_EACH:
                raise AlreadyThere(f"{MAX_TOKENS_EACH} tokens are enough; remove one first")
            connection.execute(
                "INSERT INTO tokens (id, hash, person, name, scopes, created_at, expires_at, used_at) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, 0)",
                (record.id, hashed(text), person, name, json.dumps(sorted(scopes)), now, expires_at),
            )
        return text, record

    def find(self, text: str, *, now: float) -> TokenRecord | None:
        """The token with this text, if it still holds."""
        found = self._some("hash = ? AND (expires_at = 0 OR expires_at > ?)", hashed(text), now)
        return found[0] if found else None

    def used(self, identifier: str, *, now: float) -> None:
        """Now and then, not with each request."""
        with self._writing() as connection:
            connection.execute("UPDATE tokens SET used_at = ? WHERE id = ?", (now, identifier))

    def of(self, person: str) -> Sequence[TokenRecord]:
        """Those of one person, the oldest first."""
        return self._some("person = ? ORDER BY created_at", person)

    def all(self) -> Sequence[TokenRecord]:
        """Everybody's, for admins."""
        return self._some("1 = 1 ORDER BY created_at")

    def remove(self, identifier: str, *, person: str = "") -> bool:
        """Of this person; or anybody's."""
        with self._writing() as connection:
            done = connection.execute(
                "DELETE FROM tokens WHERE id = ? AND (? = '' OR person = ?)", (identifier, person, person)
            )
        return done.rowcount > 0

    def _some(self, condition: str, *values: object) -> list[TokenRecord]:
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT id, person, name, scopes, created_at, expires_at, used_at "  # noqa: S608
                f"FROM tokens WHERE {condition}",
                values,
            ).fetchall()
        return [
            TokenRecord(row[0], row[1], row[2], frozenset(json.loads(row[3])), row[4], row[5], row[6])
            for row in rows
        ]


class LinkStore(SqliteFile):
    """Links that work once."""

    __slots__ = ()

    def make(self, kind: str, subject: str, *, now: float, lifetime: float, short: bool = False) -> str:
        """A new link's secret; an older link of the same kind for the same subject works no longer.

        short: eight characters that people can type, for links that live for minutes.
        """
        secret = short_secret() if short else secrets.token_urlsafe(32)
        with self._writing() as connection:
            connection.execute(
                "DELETE FROM links WHERE expires_at <= ? OR (kind = ? AND subject = ?)", (now, kind, subject)
            )
            if connection.execute("SELECT count(*) FROM links").fetchone()[0] >= MAX_LINKS:
                raise AlreadyThere("too many links wait to be used")
            connection.execute(
                "INSERT INTO links (hash, kind, subject, expires_at) VALUES (?, ?, ?, ?)",
                (hashed(secret), kind, subject, now + lifetime),
            )
        return secret

    def look(self, secret: str, *, now: float) -> Link | None:
        """What it is for, if it still works."""
        with self._reading() as connection:
            row = connection.execute(
                "SELECT kind, subject, expires_at FROM links WHERE hash = ? AND expires_at > ?",
                (hashed(secret), now),
            ).fetchone()
        return None if row is None else Link(*row)

    def use(self, secret: str, *, now: float) -> Link | None:
        """The same, and from now on it works no longer."""
        with self._writing() as connection:
            row = connection.execute(
                "DELETE FROM links WHERE hash = ? AND expires_at > ? RETURNING kind, subject, expires_at",
                (hashed(secret), now),
            ).fetchone()
        return None if row is None else Link(*row)

    def withdraw(self, kind: str, subject: str | None = None) -> None:
        """Those of a kind, or of a kind for somebody, work no longer."""
        with self._writing() as connection:
            connection.execute(
                "DELETE FROM links WHERE kind = ? AND (? IS NULL OR subject = ?)", (kind, subject, subject)
            )


def short_secret(length: int = 8) -> str:
    """What people can type: XXXX-XXXX, 4.9 bits a letter."""
    letters = "".join(secrets.choice(LINK_ALPHABET) for _ in range(length))
    return f"{letters[: length // 2]}-{letters[length // 2 :]}"
