# SPDX-License-Identifier: Apache-2.0
"""The trace on the disk: what is in the files, that they stay small, and that no disk can stop a call."""

import errno
import logging
import os
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import traced
from hypothesis import given
from hypothesis import strategies as st
from traced import ANNA, BEN, CAROL, INVITE, sip

from ringback.server.tracing import background
from ringback.server.tracing.background import Background
from ringback.server.tracing.chunk import Chunk
from ringback.server.tracing.files import FIRST_LINE, FileSink, parsed, read_messages
from ringback.server.tracing.place import Place
from ringback.sip.flow import Flow


def chunk_of(*messages: tuple[bytes, Flow], at: float = 0.0, sent: bool = False) -> Chunk:
    return traced.chunk_of((at, sent, messages), wall=1_700_000_000.0)


def wait_for(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        threading.Event().wait(0.002)


def sink_in(folder: Path, **limits: int) -> FileSink:
    return FileSink(Place(folder), **{"files": 3, "file_size": 100_000, **limits})


def test_messages_come_back_without_their_secrets(tmp_path: Path) -> None:
    place = Place(tmp_path / "trace")
    sink = FileSink(place, files=3, file_size=100_000)
    secret = sip("REGISTER", more='Authorization: Digest response="5ecre7"\r\n')
    assert sink.write(chunk_of((secret, ANNA), (INVITE, CAROL), at=1.25), 0) == 2
    assert sink.write(chunk_of((INVITE, BEN), at=2.0, sent=True), 4) == 1
    sink.close()
    ((_, file),) = place.files()
    assert b"5ecre7" not in file.read_bytes()
    assert b"- 4\n" in file.read_bytes()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    first, second, third = read_messages(file)
    assert (first.at, first.sent, first.flow.remote) == (1_700_000_001.25, False, ANNA.remote)
    assert (second.data, second.flow.transport, second.flow.local) == (INVITE, CAROL.transport, CAROL.local)
    assert (third.sent, third.at) == (True, 1_700_000_002.0)


def test_there_are_never_more_files_than_may_be_nor_larger_ones(tmp_path: Path) -> None:
    sink = sink_in(tmp_path / "trace")
    for number in range(200):
        sink.write(chunk_of(*[(sip("OPTIONS", call_id=f"c{number}"), ANNA)] * 10), 0)
    sink.close()
    files = [path for _, path in Place(tmp_path / "trace").files()]
    assert len(files) == 3
    assert all(file.stat().st_size <= 100_000 for file in files)
    newest = max(files, key=lambda file: file.name)
    assert list(read_messages(newest))[-1].data == sip("OPTIONS", call_id="c199")


def test_each_worker_has_its_own_files_and_the_first_those_of_workers_that_are_no_more(
    tmp_path: Path,
) -> None:
    for worker in range(3):
        sink = FileSink(Place(tmp_path, worker, 3), files=9, file_size=100_000)
        sink.write(chunk_of((INVITE, ANNA)), 0)
        sink.close()
    names = [[path.name for _, path in Place(tmp_path, worker, 2).files()] for worker in range(2)]
    assert [sorted(each) for each in names] == [["0-00000001.sip", "2-00000001.sip"], ["1-00000001.sip"]]


def test_what_is_no_trace_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "0-00000001.sip").write_text("mine")
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "0-00000007.sip").symlink_to(tmp_path / "notes.txt")
    sink = sink_in(tmp_path)
    sink.write(chunk_of((INVITE, ANNA)), 0)
    sink.close()
    assert (tmp_path / "0-00000001.sip").read_text() == (tmp_path / "notes.txt").read_text() == "mine"
    assert list(read_messages(tmp_path / "0-00000001.sip")) == []
    assert list(read_messages(tmp_path / "none.sip")) == []


def test_a_file_that_was_removed_is_begun_anew(tmp_path: Path) -> None:
    place = Place(tmp_path)
    sink = sink_in(tmp_path)
    sink.write(chunk_of((INVITE, ANNA)), 0)
    place.files()[0][1].unlink()
    sink.write(chunk_of((INVITE, BEN)), 0)
    sink.close()
    assert [kept.flow.remote for _, path in place.files() for kept in read_messages(path)] == [BEN.remote]


def test_a_disk_without_room_for_all_leaves_no_torn_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, sink, write = Place(tmp_path), sink_in(tmp_path), os.write
    sink.write(chunk_of((INVITE, ANNA)), 0)
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:50]))
    with pytest.raises(OSError, match="No space left"):
        sink.write(chunk_of((INVITE, BEN)), 0)
    monkeypatch.undo()
    sink.write(chunk_of((INVITE, CAROL)), 1)
    sink.close()
    found = [kept.flow.remote for _, path in place.files() for kept in read_messages(path)]
    assert found == [ANNA.remote, CAROL.remote]


@given(st.binary(max_size=300), st.integers(0, 600))
def test_a_file_that_is_bent_or_cut_gives_what_is_whole(noise: bytes, cut: int) -> None:
    line = b"1700000000.000000 < UDP 192.0.2.1:5060 192.0.2.9:5060 %d\n" % len(INVITE)
    whole = FIRST_LINE + line + INVITE + b"\n"
    assert len(list(parsed(whole + noise))) >= 1
    assert len(list(parsed(whole[:-1][:cut]))) == 0
    list(parsed(FIRST_LINE + noise))


# --- the thread between the calls and the disk


class Disk:
    """A sink on a disk that does what a test wants."""

    def __init__(self) -> None:
        self.turns = threading.Semaphore(0)
        self.is_full = False
        self.is_broken = False
        self.attempts = 0
        self.taken: list[tuple[Chunk, int]] = []

    def write(self, chunk: Chunk, missing: int) -> int:
        self.turns.acquire()
        self.attempts += 1
        if self.is_full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if self.is_broken:
            raise ValueError("a bug")
        self.taken.append((chunk, missing))
        return len(chunk)

    def status(self) -> dict[str, Any]:
        return {"folder": "nowhere"}

    def close(self) -> None:
        pass


def test_a_slow_disk_stops_nobody_and_the_oldest_messages_are_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chunk = chunk_of(*[(INVITE, ANNA)] * 10)
    monkeypatch.setattr(background, "MAX_WAITING", 5 * chunk.size)
    disk = Disk()
    sink = Background(disk, name="files")
    sink.put(chunk)
    wait_for(lambda: not sink._waiting)  # the thread stands before the disk with it
    begun = time.perf_counter()
    for _ in range(1000):
        sink.put(chunk)
    assert time.perf_counter() - begun < 1.0
    assert sink.status()["dropped"] == 9_950
    disk.turns.release(6)
    wait_for(lambda: len(disk.taken) == 6)
    assert [missing for _, missing in disk.taken] == [0, 9_950, 0, 0, 0, 0]
    wait_for(lambda: sink.status()["written"] == 60)
    sink.close()


def test_a_full_disk_is_told_once_counted_and_forgiven(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(background, "RETRY", 0.01)
    disk, chunk = Disk(), chunk_of((INVITE, ANNA))
    disk.turns.release(1000)
    disk.is_full = True
    sink = Background(disk, name="files")
    with caplog.at_level(logging.WARNING):
        for attempt in range(1, 4):
            sink.put(chunk)
            wait_for(lambda wanted=attempt: disk.attempts == wanted)
        wait_for(lambda: sink.status()["dropped"] == 3)
        assert sink.status()["failure"] == "No space left on device"
        disk.is_full = False
        sink.put(chunk)
        wait_for(lambda: sink.status()["failure"] == "")
    sink.close()
    assert disk.taken == [(chunk, 3)]
    assert [record.getMessage() for record in caplog.records] == [
        "the trace (files) cannot be written: No space left on device; messages are dropped",
        "the trace (files) is written again; 3 messages are missing",
    ]


def test_our_own_fault_ends_no_thread(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(background, "RETRY", 0.01)
    disk, chunk = Disk(), chunk_of((INVITE, ANNA))
    disk.turns.release(9)
    disk.is_broken = True
    sink = Background(disk, name="files")
    sink.put(chunk)
    wait_for(lambda: sink.status()["failure"])
    disk.is_broken = False
    sink.put(chunk)
    wait_for(lambda: sink.status()["written"] == 1)
    sink.close()
    assert "our fault" in caplog.text


def test_a_disk_that_hangs_does_not_keep_the_server_from_ending(caplog: pytest.LogCaptureFixture) -> None:
    disk = Disk()
    sink = Background(disk, name="files")
    sink.put(chunk_of((INVITE, ANNA)))
    sink.close(patience=0.05)
    assert "takes too long" in caplog.text
    disk.turns.release(9)


def test_who_uses_more_of_the_processor_than_its_share_pauses_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(background, "BURST", 0.0)
    disk, chunk = Disk(), chunk_of((INVITE, ANNA))
    disk.turns.release(9)
    sink = Background(disk, name="files", share=1e-9)
    sink.put(chunk)
    wait_for(lambda: sink.status()["is_paused"])
    sink.put(chunk)
    assert sink.status()["dropped"] == 1
    sink._paused_until = time.monotonic()
    sink.put(chunk)
    wait_for(lambda: len(disk.taken) == 2)
    assert disk.taken[1] == (chunk, 1)
    sink.close()


def test_a_disk_that_is_full_from_the_beginning_is_left_without_empty_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    sink = sink_in(tmp_path)
    monkeypatch.setattr(os, "write", full)
    for _ in range(3):
        with pytest.raises(OSError, match="No space left"):
            sink.write(chunk_of((INVITE, ANNA)), 0)
    assert Place(tmp_path).files() == []
    monkeypatch.undo()
    assert sink.write(chunk_of((INVITE, ANNA)), 3) == 1
    sink.close()
