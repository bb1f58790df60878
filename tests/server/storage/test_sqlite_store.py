# SPDX-License-Identifier: Apache-2.0
"""The SQLite store when things go wrong: kill -9, locks, full disks, damage, other keys, other versions."""

import logging
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from ringback.pbx.accounts import new_user
from ringback.server.storage import BindingRecord, StorageError, UserRecord
from ringback.server.storage.schema import VERSION
from ringback.server.storage.sealed_digests import wake
from ringback.server.storage.sealing import Sealer
from ringback.server.storage.sqlite import SqliteStore
from ringback.server.storage.writer import Writer

SEALER = Sealer(b"k" * 32)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ringback.db"


@pytest.fixture
def store(file: Path) -> Iterator[SqliteStore]:
    store = SqliteStore.open(file, sealer=SEALER)
    yield store
    store.close()


def binding(number: int) -> BindingRecord:
    return BindingRecord("101", f"key-{number:06}", "<sip:a@b>", 1e12)


WRITE_FOR_EVER = """
import sys
from pathlib import Path
from ringback.server.storage import BindingRecord
from ringback.server.storage.sealing import Sealer
from ringback.server.storage.sqlite import SqliteStore
store = SqliteStore.open(Path(sys.argv[1]), sealer=Sealer(b"k" * 32))
number = 0
while True:
    for _ in range(50):
        number += 1
        store.put_binding(BindingRecord("101", f"key-{number:06}", "<sip:a@b>", 1e12))
    store.flush()
    print(number, flush=True)
"""


def test_kill_9_during_writes_loses_nothing_that_was_confirmed(file: Path) -> None:
    confirmed = 0
    for _ in range(3):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITE_FOR_EVER, str(file)], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        for line in writer.stdout:
            confirmed = max(confirmed, int(line))
            if int(line) >= 400:
                os.kill(writer.pid, signal.SIGKILL)
                break
        confirmed = max([confirmed, *(int(line) for line in writer.stdout.read().split())])
        writer.wait()
        writer.stdout.close()
        with closing(sqlite3.connect(file)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    with closing(SqliteStore.open(file, sealer=SEALER)) as store:
        kept = {one.key for one in store.bindings(now=0)}
    assert {f"key-{number:06}" for number in range(1, confirmed + 1)} <= kept


def failure_of(store: SqliteStore) -> str:
    """What keeps it from writing, once it has tried."""
    for _ in range(100):
        assert not store.flush(timeout=0.1)
        if failure := store.health().failure:
            return failure
    raise AssertionError("it never tried")


def test_a_locked_file_holds_up_nobody_and_is_written_when_it_is_free(
    file: Path, store: SqliteStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("ringback.server.storage.sqlite_file.BUSY_TIMEOUT", 0.0)
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        for number in range(600):
            store.put_binding(binding(number))
        assert failure_of(store)
        health = store.health()
        assert (health.pending, health.dropped, health.failure) == (600, 0, "database is locked")
        other.execute("ROLLBACK")
    assert store.flush(timeout=5)
    assert store.health().failure == ""
    assert len(store.bindings(now=0)) == 600
    said = [(record.levelno, record.message.split(" (")[0]) for record in caplog.records]
    assert said == [
        (logging.ERROR, "the store cannot be written"),
        (logging.WARNING, "the store can be written again"),
    ]


def test_a_full_disk_keeps_changes_in_memory_until_there_is_room(file: Path, store: SqliteStore) -> None:
    limits = {"pages": 12}

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(file, isolation_level=None)
        connection.execute(f"PRAGMA max_page_count = {limits['pages']}")
        return connection

    store._writer = Writer(connect)
    for number in range(2000):
        store.put_binding(binding(number))
    assert failure_of(store) == "database or disk is full"
    limits["pages"] = 100_000
    assert store.flush(timeout=5)
    assert len(store.bindings(now=0)) == 2000


def test_what_waits_is_bounded_and_the_oldest_goes_first() -> None:
    free = threading.Event()

    def connect() -> sqlite3.Connection:
        free.wait(5)
        raise sqlite3.OperationalError("disk I/O error")

    writer = Writer(connect, max_pending=10)
    for number in range(25):
        writer.put(number, lambda connection: None)
    assert writer.health().dropped >= 5
    assert writer.health().pending <= 20
    free.set()
    writer.close(timeout=0.1)


def test_a_change_that_can_never_be_written_holds_up_no_other(store: SqliteStore) -> None:
    values = ("\udcff", "k", 1.0, "")
    store._writer.put(
        "bad", lambda connection: connection.execute("INSERT INTO bindings VALUES (?, ?, ?, ?)", values)
    )
    store.put_binding(binding(1))
    assert store.flush()
    assert store.health().dropped == 1
    assert list(store.bindings(now=0)) == [binding(1)]


def test_a_row_that_can_never_be_written_holds_up_no_neighbour(store: SqliteStore) -> None:
    """Rows are written many with one statement; when that fails, one by one."""

    def write(connection: sqlite3.Connection, rows: Sequence[int]) -> None:
        values = [(str(row) if row != 7 else None, "k", 1.0, "") for row in rows]
        connection.execute("SELECT 1")
        connection.executemany("INSERT OR REPLACE INTO bindings VALUES (?, ?, ?, ?)", values)

    for row in range(250):
        store._writer.put_row(("row", row), write, row)
    assert store.flush()
    assert store.health().dropped == 1
    with store._reading() as connection:
        assert connection.execute("SELECT count(*) FROM bindings").fetchone() == (249,)


def test_changes_of_different_kinds_are_written_in_their_order(store: SqliteStore) -> None:
    for number in range(300):
        store.put_binding(binding(number))
        if number % 3 == 0:
            store.remove_binding("101", f"key-{number:06}")
        if number == 200:
            store.remove_bindings_of("101")
    assert store.flush()
    kept = [one.key for one in store.bindings(now=0)]
    assert kept == [f"key-{number:06}" for number in range(201, 300) if number % 3]


def test_what_is_read_when_asked_is_what_is_read_at_once(
    file: Path, store: SqliteStore, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(3):
        store.put_binding(binding(number))
    store.flush()
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("UPDATE bindings SET record = '{' WHERE key = 'key-000001'")
        connection.commit()
    rows = list(store.rows(now=0))
    assert [(row[0], row[1], row[2]) for row in rows] == [("101", f"key-{n:06}", 1e12) for n in range(3)]
    assert [store.read(row) for row in rows] == [binding(0), None, binding(2)]


def test_digests_that_sleep_are_read_one_by_one_or_many_at_once(store: SqliteStore) -> None:
    for number in ("101", "102", "103", "104"):
        store.put_user(new_user(number, "", password=f"secret-{number}", realm="example.com"))
    awake = {user.number: dict(user.ha1s) for user in store.users()}
    asked, *others = store.users(asleep=True)
    assert dict(asked.ha1s) == awake["101"]
    wake([user.ha1s for user in others[:2]])
    store.remove_user("102")
    store.remove_user("104")
    assert [dict(user.ha1s) for user in others] == [awake["102"], awake["103"], {}]


def test_only_sealed_digests_are_in_the_file(file: Path, store: SqliteStore) -> None:
    canary = "c0ffee" * 8
    store.put_user(UserRecord("101", "Anna", "r", {"MD5": canary}))
    store.close()
    for part in file.parent.iterdir():
        assert canary.encode() not in part.read_bytes()


def test_another_key_opens_no_digest_and_says_so(
    file: Path, store: SqliteStore, caplog: pytest.LogCaptureFixture
) -> None:
    store.put_user(UserRecord("101", "Anna", "r", {"MD5": "a" * 32}))
    with closing(SqliteStore.open(file, sealer=Sealer(b"x" * 32))) as other:
        (user,) = other.users()
    assert dict(user.ha1s) == {}
    assert "the stored password of user 101 cannot be opened" in caplog.text


def test_a_digest_moved_to_another_user_does_not_open(file: Path, store: SqliteStore) -> None:
    store.put_user(UserRecord("101", "Anna", "r", {"MD5": "a" * 32}))
    store.put_user(UserRecord("102", "Eve", "r", {"MD5": "e" * 32}))
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(
            "UPDATE digests SET sealed = (SELECT sealed FROM digests WHERE number = '102') "
            "WHERE number = '101'"
        )
        connection.commit()
    assert [dict(user.ha1s) for user in store.users()] == [{}, {"MD5": "e" * 32}]


def test_damaged_bindings_are_left_out_and_the_others_stay(
    file: Path, store: SqliteStore, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(3):
        store.put_binding(binding(number))
    store.flush()
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("UPDATE bindings SET record = '{' WHERE key = 'key-000000'")
        connection.execute("UPDATE bindings SET user = '666' WHERE key = 'key-000001'")
        connection.commit()
    assert list(store.bindings(now=0)) == [binding(2)]
    assert "2 stored registrations are damaged" in caplog.text


@pytest.mark.parametrize(
    "content", [b"this is no database, it is a text" * 100, b"SQLite format 3\0" + b"\xff" * 4000]
)
def test_a_file_that_is_no_database_is_one_sentence(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(
        StorageError, match=r"ringback\.db cannot be opened: it is damaged \(.*Restore a backup"
    ):
        SqliteStore.open(file, sealer=SEALER)


def test_a_file_of_a_newer_version_is_left_alone(file: Path, store: SqliteStore) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    with pytest.raises(StorageError, match="written by a newer Ringback"):
        SqliteStore.open(file, sealer=SEALER)


def test_a_missing_directory_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be opened: No such file or directory"):
        SqliteStore.open(tmp_path / "none" / "ringback.db", sealer=SEALER)


def test_two_processes_may_write_users_at_once(file: Path, store: SqliteStore) -> None:
    with closing(SqliteStore.open(file, sealer=SEALER)) as other:
        for number in range(20):
            (store, other)[number % 2].put_user(UserRecord(str(100 + number), "", "r"))
        assert len(store.users()) == len(other.users()) == 20


def test_the_file_is_readable_by_its_owner_only(file: Path, store: SqliteStore) -> None:
    store.put_value("a", "b")
    modes = {stat.S_IMODE(part.stat().st_mode) for part in file.parent.iterdir()}
    assert modes == {0o600}
