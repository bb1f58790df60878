# SPDX-License-Identifier: Apache-2.0
"""Which tables hold webhooks, and what waits to be delivered to them?"""

TABLES: tuple[str, ...] = (
    """CREATE TABLE webhooks (
        id         TEXT PRIMARY KEY,
        url        TEXT NOT NULL,
        events     TEXT NOT NULL,
        secret     BLOB NOT NULL,
        enabled    INTEGER NOT NULL,
        created_at REAL NOT NULL,
        failure    TEXT NOT NULL
    ) WITHOUT ROWID""",
    """CREATE TABLE deliveries (
        id              INTEGER PRIMARY KEY AUTOINCREMENT,
        webhook         TEXT NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
        event           TEXT NOT NULL,
        body            TEXT NOT NULL,
        created_at      REAL NOT NULL,
        attempts        INTEGER NOT NULL,
        next_attempt_at REAL,
        delivered_at    REAL,
        status          INTEGER NOT NULL,
        failure         TEXT NOT NULL
    )""",
    "CREATE INDEX deliveries_waiting ON deliveries (webhook, next_attempt_at) "
    "WHERE next_attempt_at IS NOT NULL",
    "CREATE INDEX deliveries_by_webhook ON deliveries (webhook, id)",
)
