# SPDX-License-Identifier: Apache-2.0
"""Which tables hold devices and guest pages?"""

TABLES: tuple[str, ...] = (
    """CREATE TABLE devices (
        id         TEXT PRIMARY KEY,
        number     TEXT NOT NULL,
        name       TEXT NOT NULL,
        kind       TEXT NOT NULL,
        realm      TEXT NOT NULL,
        created_at REAL NOT NULL,
        expires_at REAL NOT NULL,
        made_by    TEXT NOT NULL,
        security   TEXT NOT NULL,
        may_call   TEXT NOT NULL,
        last_seen  REAL NOT NULL
    ) WITHOUT ROWID""",
    "CREATE INDEX devices_of_number ON devices (number)",
    """CREATE TABLE device_digests (
        device    TEXT NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
        algorithm TEXT NOT NULL,
        sealed    BLOB NOT NULL,
        PRIMARY KEY (device, algorithm)
    ) WITHOUT ROWID""",
    """CREATE TABLE guest_pages (
        name       TEXT PRIMARY KEY,
        number     TEXT NOT NULL,
        title      TEXT NOT NULL,
        enabled    INTEGER NOT NULL,
        created_at REAL NOT NULL
    ) WITHOUT ROWID""",
)
