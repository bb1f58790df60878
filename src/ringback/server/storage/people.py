# SPDX-License-Identifier: Apache-2.0
"""Who may use the console? People with a role, a password of which only argon2id is kept, and passkeys.

Everything here may block for as long as a disk does: the web process calls it in threads.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Sequence
from dataclasses import astuple, dataclass, field, replace

from ringback.server.storage.sqlite_file import SqliteFile
from ringback.server.storage.store import StorageError

#: Whoever comes first is the owner; more people than this have no place on one page.
MAX_PEOPLE = 100_000
MAX_PASSKEYS = 20

_COLUMNS = "id, name, email, number, role, password, totp, created_at"


class AlreadyThere(StorageError):
    """Somebody else has this e-mail address or this number."""

    is_about_the_file = False


class NoSuchPerson(StorageError):
    """Nobody has this identifier, or no longer."""

    is_about_the_file = False


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who signs in. `role` is "owner", "admin", "operator" or "person", `number` their extension or
    empty; `password` is an argon2id hash or empty (nobody can sign in with it), `totp` the secret of the
    codes or empty.
    """

    id: str
    name: str
    email: str = ""
    number: str = ""
    role: str = "person"
    password: str = field(default="", repr=False)
    totp: str = field(default="", repr=False)
    created_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Passkey:
    """A WebAuthn credential; `id` is its identifier in base64url."""

    id: str
    person: str
    name: str
    public_key: bytes = field(repr=False)
    uses: int = 0
    created_at: float = 0.0
    used_at: float = 0.0


def new_identifier() -> str:
    """Of a person, a token, a passkey ceremony: 16 hexadecimal digits."""
    return secrets.token_hex(8)


class PeopleStore(SqliteFile):
    """People and their passkeys."""

    __slots__ = ()

    def people(self) -> Sequence[Person]:
        """All of them, owners first, then by name."""
        with self._reading() as connection:
            rows = connection.execute(
                f"SELECT {_COLUMNS} FROM people ORDER BY role != 'owner', name, id"  # noqa: S608
            ).fetchall()
        return [self._person(row) for row in rows]

    def person(self, identifier: str) -> Person | None:
        """By identifier."""
        return self._one("id = ?", identifier)

    def person_with(self, number: str) -> Person | None:
        """By extension."""
        return self._one("number = ?", number) if number else None

    def sign_in_as(self, login: str) -> Person | None:
        """By what people type: an e-mail address, an extension, or a name nobody else has."""
        text = login.strip()
        if not text:
            return None
        found = self._one("email = ?", text.casefold()) or self._one("number = ?", text)
        if found is not None:
            return found
        same = self._some("name = ? COLLATE NOCASE", text)
        return same[0] if len(same) == 1 else None

    def has_owner(self) -> bool:
        """False until the set-up is done."""
        with self._reading() as connection:
            return connection.execute("SELECT 1 FROM people WHERE role = 'owner'").fetchone() is not None

    def add_person(self, person: Person, *, only_as_first: bool = False) -> Person:
        """A new one. Raises `AlreadyThere`; with `only_as_first` also when there is an owner already."""
        person = replace(person, email=person.email.strip().casefold())
        with self._writing() as connection:
            if only_as_first and connection.execute("SELECT 1 FROM people WHERE role = 'owner'").fetchone():
                raise AlreadyThere("the set-up is done already")
            if connection.execute("SELECT count(*) FROM people").fetchone()[0] >= MAX_PEOPLE:
                raise AlreadyThere("there are too many people")
            _unique(connection, person)
            connection.execute(
                f"INSERT INTO people ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
                self._row(person),
            )
        return person

    def change_person(self, identifier: str, **changes: str) -> Person:
        """New values for some fields. Raises `NoSuchPerson` or `AlreadyThere`."""
        if "email" in changes:
            changes["email"] = changes["email"].strip().casefold()
        with self._writing() as connection:
            row = connection.execute(
                f"SELECT {_COLUMNS} FROM people WHERE id = ?",  # noqa: S608
                (identifier,),
            ).fetchone()
            if row is None:
                raise NoSuchPerson("there is no such person")
            person = replace(self._person(row), **changes)  # type: ignore[arg-type]
            _unique(connection, person)
            if person.name.casefold() != row[1].casefold():
                _free_name(connection, person)
            _keep_an_owner(connection, row[4], person.role)
            connection.execute(
                "UPDATE people SET name = ?, email = ?, number = ?, role = ?, password = ?, totp = ? "
                "WHERE id = ?",
                (*self._row(person)[1:7], identifier),
            )
        return person

    def remove_person(self, identifier: str) -> bool:
        """With their sessions, tokens and passkeys. The last owner stays."""
        with self._writing() as connection:
            row = connection.execute("SELECT role FROM people WHERE id = ?", (identifier,)).fetchone()
            if row is None:
                return False
            _keep_an_owner(connection, row[0], "")
            connection.execute("DELETE FROM people WHERE id = ?", (identifier,))
        return True

    # --- passkeys

    def passkeys(self, person: str) -> Sequence[Passkey]:
        """Those of one person."""
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT id, person, name, public_key, uses, created_at, used_at FROM passkeys "
                "WHERE person = ? ORDER BY created_at",
                (person,),
            ).fetchall()
        return [Passkey(*row) for row in rows]

    def remove_passkeys(self, person: str) -> None:
        """All of this person's."""
        with self._writing() as connection:
            connection.execute("DELETE FROM passkeys WHERE person = ?", (person,))

    def passkey(self, identifier: str) -> Passkey | None:
        """By credential identifier."""
        with self._reading() as connection:
            row = connection.execute(
                "SELECT id, person, name, public_key, uses, created_at, used_at FROM passkeys WHERE id = ?",
                (identifier,),
            ).fetchone()
        return None if row is None else Passkey(*row)

    def put_passkey(self, passkey: Passkey) -> None:
        """A new one, or the same one used again."""
        with self._writing() as connection:
            count = connection.execute(
                "SELECT count(*) FROM passkeys WHERE person = ? AND id != ?", (passkey.person, passkey.id)
            ).fetchone()[0]
            if count >= MAX_PASSKEYS:
                raise AlreadyThere(f"{MAX_PASSKEYS} passkeys are enough; remove one first")
            connection.execute(
                "INSERT INTO passkeys (id, person, name, public_key, uses, created_at, used_at) "
                "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET "
                "uses = excluded.uses, used_at = excluded.used_at WHERE person = excluded.person",
                astuple(passkey),
            )

    def remove_passkey(self, person: str, identifier: str) -> bool:
        """Of this person only."""
        with self._writing() as connection:
            done = connection.execute(
                "DELETE FROM passkeys WHERE id = ? AND person = ?", (identifier, person)
            )
        return done.rowcount > 0

    # --- inside

    def _one(self, condition: str, value: str) -> Person | None:
        found = self._some(condition, value)
        return found[0] if found else None

    def _some(self, condition: str, value: str) -> list[Person]:
        with self._reading() as connection:
            rows = connection.execute(
                f"SELECT {_COLUMNS} FROM people WHERE {condition} LIMIT 2",  # noqa: S608 (ours)
                (value,),
            ).fetchall()
        return [self._person(row) for row in rows]

    def _person(self, row: tuple[str, str, str, str, str, str, bytes, float]) -> Person:
        identifier, name, email, number, role, password, totp, created_at = row
        secret = self._sealer.open(totp, "totp", identifier) if totp else ""
        return Person(identifier, name, email, number, role, password, secret or "", created_at)

    def _row(self, person: Person) -> tuple[object, ...]:
        sealed = self._sealer.seal(person.totp, "totp", person.id) if person.totp else b""
        return (
            person.id,
            person.name,
            person.email,
            person.number,
            person.role,
            person.password,
            sealed,
            person.created_at,
        )


def _unique(connection: sqlite3.Connection, person: Person) -> None:
    """The indices would say the same, but not to whom."""
    for column, value, what in (
        ("email", person.email, "this e-mail address"),
        ("number", person.number, "this number"),
    ):
        if (
            value
            and connection.execute(
                f"SELECT 1 FROM people WHERE {column} = ? AND id != ?",  # noqa: S608 (ours)
                (value, person.id),
            ).fetchone()
        ):
            raise AlreadyThere(f"somebody else has {what}")


def _free_name(connection: sqlite3.Connection, person: Person) -> None:
    """Two people may have one name, but nobody takes the only word that another one can sign in with."""
    if connection.execute(
        "SELECT 1 FROM people WHERE name = ? COLLATE NOCASE AND id != ? AND email = '' AND number = ''",
        (person.name, person.id),
    ).fetchone():
        raise AlreadyThere("somebody else signs in with this name")


def _keep_an_owner(connection: sqlite3.Connection, was: str, will_be: str) -> None:
    """Nobody locks everybody out."""
    if was != "owner" or will_be == "owner":
        return
    if connection.execute("SELECT count(*) FROM people WHERE role = 'owner'").fetchone()[0] < 2:
        raise AlreadyThere("somebody has to be the owner; make somebody else the owner first")
