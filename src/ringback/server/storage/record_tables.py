# SPDX-License-Identifier: Apache-2.0
"""Which table holds the calls that were? What is searched in columns, the whole record beside them.

`words` are names and numbers in small letters; `numbers` are the numbers of all legs, each between two
blanks, so that one of them can be asked for. `record` is the JSON of the record, compressed.
"""

TABLES: tuple[str, ...] = (
    """CREATE TABLE records (
        id       TEXT PRIMARY KEY,
        began_at REAL NOT NULL,
        ended_at REAL NOT NULL,
        result   TEXT NOT NULL,
        numbers  TEXT NOT NULL,
        words    TEXT NOT NULL,
        record   BLOB NOT NULL
    ) WITHOUT ROWID""",
    "CREATE INDEX records_by_time ON records (began_at, result)",
)
