# SPDX-License-Identifier: Apache-2.0
"""The tables of the SQLite store, and how an older file becomes a newer one.

A new version is a new row at the end of MIGRATIONS; rows that were released never change.
"""

import sqlite3

from ringback.server.storage import device_tables, people_tables, record_tables, webhook_tables
from ringback.server.storage.store import NewerStoreError

#: Row n brings a file from version n to version n + 1.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE users (
            number  TEXT PRIMARY KEY,
            name    TEXT NOT NULL,
            realm   TEXT NOT NULL,
            made_by TEXT NOT NULL
        ) WITHOUT ROWID""",
        """CREATE TABLE digests (
            number    TEXT NOT NULL REFERENCES users (number) ON DELETE CASCADE,
            algorithm TEXT NOT NULL,
            sealed    BLOB NOT NULL,
            PRIMARY KEY (number, algorithm)
        ) WITHOUT ROWID""",
        """CREATE TABLE bindings (
            user       TEXT NOT NULL,
            key        TEXT NOT NULL,
            expires_at REAL NOT NULL,
            record     TEXT NOT NULL,
            PRIMARY KEY (user, key)
        ) WITHOUT ROWID""",
        """CREATE TABLE named_values (
            name  TEXT PRIMARY KEY,
            value TEXT NOT NULL
        ) WITHOUT ROWID""",
    ),
    (*device_tables.TABLES, *people_tables.TABLES, *record_tables.TABLES, *webhook_tables.TABLES),
    people_tables.RECOVERY,
)
VERSION = len(MIGRATIONS)


def version_of(connection: sqlite3.Connection) -> int:
    """The schema version of a file; 0 for an empty one."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the file to this version, in one transaction. Two processes may try at once: one waits and
    finds it done.
    """
    if version_of(connection) == VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    version = version_of(connection)
    if version > VERSION:
        connection.execute("ROLLBACK")
        raise NewerStoreError(
            f"it was written by a newer Ringback (schema {version}, not {VERSION}); install that version"
        )
    for statements in MIGRATIONS[version:]:
        for statement in statements:
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {VERSION:d}")
    connection.execute("COMMIT")
