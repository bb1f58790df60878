# SPDX-License-Identifier: Apache-2.0
"""Does the file survive several connections of one process, and other programs that come and go?"""

import sqlite3
import subprocess
import sys
from pathlib import Path

from ringback.server.storage.binding_record import BindingRecord
from ringback.server.storage.people import PeopleStore
from ringback.server.storage.sealing import Sealer
from ringback.server.storage.sqlite import SqliteStore

VISIT = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT count(*) FROM users').fetchone(); c.close()"


def test_another_program_that_goes_away_leaves_the_log_to_those_who_stay(tmp_path: Path) -> None:
    file, sealer = tmp_path / "ringback.db", Sealer(b"s" * 32)
    store = SqliteStore.open(file, sealer=sealer)
    try:
        store.put_binding(BindingRecord("101", "key", "<sip:a@b>", 1e12))
        assert store.flush()
        log = file.with_name("ringback.db-wal")
        before = log.stat().st_ino  # the writer's connection is open
        PeopleStore.open(file, sealer=sealer).close()  # as a command does, in the same process
        subprocess.run([sys.executable, "-c", VISIT, str(file)], check=True)
        assert log.stat().st_ino == before
    finally:
        store.close()
    assert sqlite3.connect(file).execute("SELECT user FROM bindings").fetchall() == [("101",)]
