# SPDX-License-Identifier: Apache-2.0
"""Which tables hold the people who use the console: who they are, how they come in, and what they changed?"""

#: Came later.
RECOVERY: tuple[str, ...] = (
    """CREATE TABLE recovery_codes (
        hash   TEXT PRIMARY KEY,
        person TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE
    ) WITHOUT ROWID""",
    "CREATE INDEX recovery_codes_by_person ON recovery_codes (person)",
)

TABLES: tuple[str, ...] = (
    """CREATE TABLE people (
        id         TEXT PRIMARY KEY,
        name       TEXT NOT NULL,
        email      TEXT NOT NULL,
        number     TEXT NOT NULL,
        role       TEXT NOT NULL,
        password   TEXT NOT NULL,
        totp       BLOB NOT NULL,
        created_at REAL NOT NULL
    ) WITHOUT ROWID""",
    "CREATE UNIQUE INDEX people_by_email ON people (email) WHERE email != ''",
    "CREATE UNIQUE INDEX people_by_number ON people (number) WHERE number != ''",
    """CREATE TABLE passkeys (
        id         TEXT PRIMARY KEY,
        person     TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
        name       TEXT NOT NULL,
        public_key BLOB NOT NULL,
        uses       INTEGER NOT NULL,
        created_at REAL NOT NULL,
        used_at    REAL NOT NULL
    ) WITHOUT ROWID""",
    """CREATE TABLE sessions (
        hash       TEXT PRIMARY KEY,
        person     TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
        csrf       TEXT NOT NULL,
        created_at REAL NOT NULL,
        seen_at    REAL NOT NULL,
        expires_at REAL NOT NULL,
        address    TEXT NOT NULL,
        agent      TEXT NOT NULL
    ) WITHOUT ROWID""",
    "CREATE INDEX sessions_by_person ON sessions (person)",
    """CREATE TABLE tokens (
        id         TEXT PRIMARY KEY,
        hash       TEXT NOT NULL UNIQUE,
        person     TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
        name       TEXT NOT NULL,
        scopes     TEXT NOT NULL,
        created_at REAL NOT NULL,
        expires_at REAL NOT NULL,
        used_at    REAL NOT NULL
    ) WITHOUT ROWID""",
    """CREATE TABLE links (
        hash       TEXT PRIMARY KEY,
        kind       TEXT NOT NULL,
        subject    TEXT NOT NULL,
        expires_at REAL NOT NULL
    ) WITHOUT ROWID""",
    """CREATE TABLE audit (
        id      INTEGER PRIMARY KEY,
        at      REAL NOT NULL,
        person  TEXT NOT NULL,
        name    TEXT NOT NULL,
        address TEXT NOT NULL,
        action  TEXT NOT NULL,
        subject TEXT NOT NULL,
        before  TEXT NOT NULL,
        after   TEXT NOT NULL
    )""",
)
