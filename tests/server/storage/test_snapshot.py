# SPDX-License-Identifier: Apache-2.0
"""The snapshot of the users: written when they change, read when nothing else can be."""

from pathlib import Path

import pytest

from ringback.server.storage import DeviceRecord, UserRecord
from ringback.server.storage.sealed_digests import SealedDigests
from ringback.server.storage.sealing import Sealer
from ringback.server.storage.snapshot import FILE_NAME, Snapshot
from ringback.server.storage.sqlite import SqliteStore

ANNA = UserRecord("101", "Änna", "r", {"MD5": "c0ffee" * 8}, "demo")
VALUES = {"realm": "r", "domain": "d"}


def test_users_and_values_come_back_sealed_in_between(tmp_path: Path) -> None:
    Snapshot(tmp_path, Sealer(b"k" * 32)).write([ANNA], VALUES)
    assert b"c0ffee" not in (tmp_path / FILE_NAME).read_bytes()
    store = Snapshot(tmp_path, Sealer(b"k" * 32)).open("the disk is gone")
    assert store is not None
    assert list(store.users()) == [ANNA]
    assert (store.value("realm"), store.value("domain")) == ("r", "d")
    assert store.health().failure.startswith("the disk is gone; users are those of the last snapshot")


def test_digests_that_are_sealed_stay_sealed_and_can_be_opened_afterwards(tmp_path: Path) -> None:
    sealer = Sealer(b"k" * 32)
    digests = SealedDigests(sealer, "101", "r", (("MD5", sealer.seal("c0ffee", "101", "r", "MD5")),))
    Snapshot(tmp_path, sealer).write([UserRecord("101", "Anna", "r", digests)], VALUES)
    store = Snapshot(tmp_path, Sealer(b"k" * 32)).open("")
    assert store is not None
    (user,) = store.users()
    assert dict(user.ha1s) == {"MD5": "c0ffee"}


def test_devices_come_back_and_guests_do_not(tmp_path: Path) -> None:
    sealer = Sealer(b"k" * 32)
    store = SqliteStore.open(tmp_path / "ringback.db", sealer=sealer)
    desk = DeviceRecord("d1", "101", "Desk", "phone", "r", 5.0, security="off", ha1s={"MD5": "c0ffee"})
    store.put_device(desk)
    guest = DeviceRecord("d2", "guest-a", "Guest", "guest", "r", may_call="101")
    snapshot = Snapshot(tmp_path, sealer)
    snapshot.write([ANNA], VALUES, [*store.devices(), guest])
    store.close()
    first = (tmp_path / FILE_NAME).read_bytes()
    assert b"c0ffee" not in first
    found = snapshot.open("")
    assert found is not None
    assert list(found.devices()) == [desk]
    assert dict(found.devices()[0].ha1s) == {"MD5": "c0ffee"}


def test_nothing_is_written_while_nothing_changes(tmp_path: Path) -> None:
    snapshot = Snapshot(tmp_path, Sealer(b"k" * 32))
    snapshot.write([ANNA], VALUES)
    first = (tmp_path / FILE_NAME).read_bytes()
    snapshot.write([ANNA], VALUES)
    assert (tmp_path / FILE_NAME).read_bytes() == first
    snapshot.write([], VALUES)
    assert (tmp_path / FILE_NAME).read_bytes() != first


def test_a_missing_damaged_or_foreign_snapshot_is_none(tmp_path: Path) -> None:
    snapshot = Snapshot(tmp_path, Sealer(b"k" * 32))
    assert snapshot.open("") is None
    snapshot.write([ANNA], VALUES)
    assert Snapshot(tmp_path, Sealer(b"x" * 32)).open("") is None
    (tmp_path / FILE_NAME).write_bytes(b"short")
    assert snapshot.open("") is None


def test_a_snapshot_that_cannot_be_written_is_a_log_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Snapshot(tmp_path / "none", Sealer(b"k" * 32)).write([ANNA], VALUES)
    assert "the snapshot of the users is old now" in caplog.text
