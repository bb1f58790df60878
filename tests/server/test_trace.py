# SPDX-License-Identifier: Apache-2.0
"""The trace of a server: what is in its file, and that no disk can stop a call."""

import errno
import itertools
import json
import logging
import os
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.server import trace as trace_module
from ringback.server.trace import MAX_WAITING, Trace, TraceFile
from ringback.server.trace_calls import exchanges
from ringback.server.trace_file import Missing, TraceError, TraceRecord, parse_line, read_trace
from ringback.sip.flow import Address, Flow, Transport

SERVER = Address("192.0.2.1", 5060)
PHONE = Flow(Transport.UDP, SERVER, Address("192.0.2.9", 5060))
OTHER = Flow(Transport.TLS, Address("2001:db8::1", 5061), Address("2001:db8::9", 40_000), 7)


def message(
    start: str, cseq: str = "1 INVITE", *, call_id: str = "c1", tag: str = "", body: str = ""
) -> bytes:
    to = f"<sip:102@example.com>{';tag=' + tag if tag else ''}"
    return (
        f"{start}\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1\r\nFrom: <sip:101@example.com>;tag=a\r\n"
        f"To: {to}\r\nCall-ID: {call_id}\r\nCSeq: {cseq}\r\n\r\n{body}"
    ).encode()


INVITE = message("INVITE sip:102@example.com SIP/2.0")


class Disk:
    """A file of a trace, on a disk that does what a test wants."""

    def __init__(self) -> None:
        self.path = Path("nowhere.trace")
        self.lines: list[bytes] = []
        self.turns = threading.Semaphore(0)
        self.is_full = False
        self.attempts = 0

    def write(self, line: bytes) -> None:
        self.turns.acquire()
        self.attempts += 1
        if self.is_full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.lines.append(line)

    def close(self) -> None:
        pass


def wait_for(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        threading.Event().wait(0.005)


def test_each_message_is_a_line_of_json_without_secrets(tmp_path: Path) -> None:
    file = tmp_path / "a.trace"
    trace = Trace(TraceFile(file), wall_clock=lambda: 1_700_000_000.25)
    secret = INVITE.replace(b"\r\n\r\n", b'\r\nAuthorization: Digest response="5ecre7"\r\n\r\n')
    trace.record(False, secret, PHONE, 1000.0)
    trace.record(True, message("SIP/2.0 200 \x1b[31m\xff") + b"\xff\x9b", OTHER, 1000.5)
    trace.record(False, b"\r\n\r\n", PHONE, 1001.0)
    trace.close()
    first, second = (json.loads(line) for line in file.read_text("ascii").splitlines())
    assert {key: first[key] for key in first if key != "message"} == {
        "time": "2023-11-14T22:13:20.250000+00:00", "offset": 0.0, "direction": "received", "transport": "UDP",
        "local": "192.0.2.1:5060", "remote": "192.0.2.9:5060",
    }  # fmt: skip
    assert first["message"].endswith("\r\nAuthorization: (hidden)\r\n\r\n")
    assert (second["offset"], second["direction"], second["remote"]) == (0.5, "sent", "[2001:db8::9]:40000")
    assert b"\x1b" not in file.read_bytes()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    back = read_trace(file).records
    assert [record.flow for record in back] == [PHONE, Flow(OTHER.transport, OTHER.local, OTHER.remote)]
    assert back[1].data.endswith(b"\xff\x9b")


@given(st.binary(), st.floats(0, 4e9), st.floats(0, 1e9), st.booleans())
def test_a_record_comes_back_from_its_line(data: bytes, when: float, offset: float, sent: bool) -> None:
    record = TraceRecord(when, offset, sent, PHONE, data)
    back = parse_line(record.line())
    assert isinstance(back, TraceRecord)
    assert (back.sent, back.flow, back.data) == (sent, PHONE, data)
    assert abs(back.time - when) < 1e-5
    assert abs(back.offset - offset) < 1e-5


def test_a_slow_disk_stops_nobody_and_the_oldest_messages_are_dropped() -> None:
    disk = Disk()
    trace = Trace(disk)  # type: ignore[arg-type]
    trace.record(False, INVITE, PHONE, 0.0)
    wait_for(lambda: not trace._waiting)  # the thread stands before the disk with it
    begun = time.perf_counter()
    for number in range(MAX_WAITING + 25):
        trace.record(False, INVITE, PHONE, float(number))
    assert time.perf_counter() - begun < 2.0
    assert trace.status()["dropped"] == 25
    for _ in range(MAX_WAITING + 2):
        disk.turns.release()
    wait_for(lambda: len(disk.lines) == MAX_WAITING + 2)
    kept = [parse_line(line) for line in disk.lines]
    assert isinstance(kept[1], Missing)
    assert kept[1].count == 25
    assert isinstance(kept[2], TraceRecord)
    assert kept[2].offset == 25.0
    trace.close()


def test_large_messages_fill_the_ring_by_their_size() -> None:
    disk = Disk()
    trace = Trace(disk)  # type: ignore[arg-type]
    trace.record(False, INVITE, PHONE, 0.0)
    wait_for(lambda: not trace._waiting)
    for number in range(400):
        trace.record(False, INVITE + b"x" * 65_000, PHONE, float(number))
    assert trace._waiting_bytes <= trace_module.MAX_WAITING_BYTES
    assert int(str(trace.status()["dropped"])) > 200
    disk.turns.release(1000)
    trace.close()


def test_a_full_disk_is_told_once_counted_and_forgiven(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(trace_module, "RETRY", 0.01)
    disk = Disk()
    disk.turns.release(10_000)
    disk.is_full = True
    trace = Trace(disk)  # type: ignore[arg-type]
    with caplog.at_level(logging.WARNING):
        for number in itertools.count():
            trace.record(False, INVITE, PHONE, float(number))
            if disk.attempts >= 3:
                break
            threading.Event().wait(0.002)
        wait_for(lambda: not trace._waiting)
        assert "No space left" in str(trace.status()["failure"])
        disk.is_full = False
        trace.record(False, INVITE, PHONE, 9999.0)
        wait_for(lambda: trace.status()["failure"] == "")
    trace.close()
    gap, last = (parse_line(line) for line in disk.lines[-2:])
    assert isinstance(gap, Missing)
    assert isinstance(last, TraceRecord)
    assert trace.status() == {
        "file": "nowhere.trace", "written": len(disk.lines) - 1, "dropped": number + 1, "failure": ""
    }  # fmt: skip
    assert [record.getMessage().split(": ")[0] for record in caplog.records] == [
        "the trace nowhere.trace cannot be written",
        f"the trace nowhere.trace is written again; {number + 1} messages are missing",
    ]


def test_a_disk_that_hangs_does_not_keep_the_server_from_ending(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(trace_module, "PATIENCE_AT_CLOSE", 0.05)
    disk = Disk()
    trace = Trace(disk)  # type: ignore[arg-type]
    trace.record(False, INVITE, PHONE, 0.0)
    trace.close()
    assert "too slow" in caplog.text
    disk.turns.release(10)


def test_a_full_file_is_moved_and_both_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace_module, "MAX_FILE", 3000)
    file = tmp_path / "a.trace"
    trace = Trace.open(file)
    for number in range(20):
        trace.record(False, message("OPTIONS sip:a SIP/2.0", call_id=f"c{number}"), PHONE, float(number))
    trace.close()
    older = tmp_path / "a.trace.1"
    assert sorted(tmp_path.iterdir()) == [file, older]
    for one in (file, older):
        assert 0 < one.stat().st_size <= 3000
        assert stat.S_IMODE(one.stat().st_mode) == 0o600
    offsets = [record.offset for record in read_trace(file).records]
    assert offsets == sorted(offsets)
    assert offsets[-1] == 19.0
    assert len(offsets) > len(read_trace(older).records)


def test_a_file_that_was_removed_is_made_again(tmp_path: Path) -> None:
    file = tmp_path / "a.trace"
    trace = Trace.open(file)
    trace.record(False, INVITE, PHONE, 0.0)
    wait_for(lambda: trace.status()["written"] == 1)
    file.unlink()
    trace.record(False, INVITE, PHONE, 1.0)
    trace.close()
    assert len(read_trace(file).records) == 1


def test_a_directory_that_went_away_is_a_failure_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trace_module, "RETRY", 0.01)
    place = tmp_path / "place"
    place.mkdir()
    trace = Trace.open(place / "a.trace")
    (place / "a.trace").unlink()
    place.rmdir()
    trace.record(False, INVITE, PHONE, 0.0)
    wait_for(lambda: trace.status()["failure"])
    trace.record(False, INVITE, PHONE, 1.0)
    wait_for(lambda: trace.status()["dropped"] == 2)
    place.mkdir()
    trace.record(False, INVITE, PHONE, 2.0)
    trace.close()
    contents = read_trace(place / "a.trace")
    assert (contents.missing, len(contents.records)) == (2, 1)


def test_what_is_no_trace_is_left_alone(tmp_path: Path) -> None:
    settings = tmp_path / "ringback.toml"
    settings.write_text("[sip]\n")
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "elsewhere")
    os.mkfifo(tmp_path / "pipe")
    for path, reason in (
        (settings, "it is there and is no trace"),
        (link, "it is a symbolic link"),
        (tmp_path / "pipe", "it is there and is no trace"),
        (tmp_path, "Is a directory"),
        (tmp_path / "none" / "a.trace", "No such file or directory"),
    ):
        with pytest.raises(TraceError) as caught:
            Trace.open(path)
        assert str(caught.value) == f"the trace {path} cannot be written: {reason}"
    assert settings.read_text() == "[sip]\n"


def test_a_trace_goes_on_behind_a_torn_line_and_becomes_private(tmp_path: Path) -> None:
    file = tmp_path / "a.trace"
    whole = TraceRecord(1_700_000_000.0, 0.0, False, PHONE, INVITE).line()
    file.write_bytes(whole + whole[:50])
    file.chmod(0o644)
    trace = Trace(TraceFile(file), wall_clock=lambda: 1_700_000_060.0)
    trace.record(True, INVITE, PHONE, 77.0)
    trace.record(True, INVITE, PHONE, 78.0)
    trace.close()
    contents = read_trace(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert contents.unreadable == 1
    assert [record.offset for record in contents.records] == [0.0, 60.0, 61.0]


@pytest.mark.parametrize(
    "text", [b"hello\n" * 100, b"[sip]\n", b"{}\n", b"[]", b"\0" * 5000, b'{"time": "x"}', b"[" * 9999]
)
def test_a_file_that_is_no_trace_is_told(tmp_path: Path, text: bytes) -> None:
    file = tmp_path / "x"
    file.write_bytes(text)
    with pytest.raises(TraceError, match="is no trace; `ringback serve --trace FILE` writes one"):
        read_trace(file)


def test_an_empty_trace_is_one(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    assert read_trace(tmp_path / "x").records == []
    with pytest.raises(TraceError, match="No such file"):
        read_trace(tmp_path / "y")
    with pytest.raises(TraceError, match="is no file"):
        read_trace(tmp_path)


@given(st.binary())
def test_any_line_is_a_record_or_a_value_error(line: bytes) -> None:
    try:
        parse_line(line)
    except (ValueError, RecursionError):
        pass


# --- calls -----------------------------------------------------------------------------------------------


def call(*steps: tuple[bool, bytes, Flow]) -> list[TraceRecord]:
    return [
        TraceRecord(1_700_000_000.0 + at, float(at), *step[:1], step[2], step[1])
        for at, step in enumerate(steps)
    ]


OK = message("SIP/2.0 200 OK", tag="b")
CALLEE = Flow(Transport.UDP, SERVER, Address("192.0.2.10", 5060))


@pytest.mark.parametrize(
    ("steps", "result"),
    [
        ([], "no final answer"),
        ([(True, message("SIP/2.0 180 Ringing"), PHONE)], "no final answer"),
        ([(True, message("SIP/2.0 407 Prove it"), PHONE)], "407 Prove it"),
        ([(True, message("SIP/2.0 407 Prove it"), PHONE), (False, INVITE, PHONE), (True, OK, PHONE)], "answered"),
        ([(True, OK, PHONE), (False, message("BYE sip:102@x SIP/2.0", "2 BYE", tag="b"), PHONE)], "answered, 1.0 s"),
        ([(True, OK, PHONE), (False, message("BYE sip:102@x SIP/2.0", "2 BYE", tag="loser"), PHONE)], "answered"),
        ([(True, OK, PHONE), (True, message("SIP/2.0 491 Later", "3 INVITE"), PHONE)], "answered"),
        ([(False, message("SIP/2.0 486 Busy Here"), CALLEE)], "no final answer"),
        ([(True, message("SIP/2.0 487 Request Terminated"), PHONE)], "487 Request Terminated"),
        ([(True, message("SIP/2.0 200 OK", "1 CANCEL"), PHONE)], "no final answer"),
    ],
)  # fmt: skip
def test_the_result_is_what_the_caller_was_told(steps: list[tuple[bool, bytes, Flow]], result: str) -> None:
    (one,) = exchanges(call((False, INVITE, PHONE), *steps))
    assert one.result() == result
    assert (one.caller, one.callee, one.is_call) == ("101@example.com", "102@example.com", True)


def test_the_server_stands_between_the_caller_and_the_called() -> None:
    (one,) = exchanges(
        call((False, INVITE, PHONE), (True, INVITE, CALLEE), (False, OK, CALLEE), (True, OK, PHONE))
    )
    assert one.ladder().text().split("\n") == [
        " seconds  192.0.2.9:5060 UDP          ringback                192.0.2.10:5060 UDP",
        "          │                                  │                                  │",
        "   0.000  │── INVITE sip:102@example.com ───▶│                                  │",
        "   1.000  │                                  │── INVITE sip:102@example.com ───▶│",
        "   2.000  │                                  │◀── 200 OK (INVITE) ──────────────│",
        "   3.000  │◀── 200 OK (INVITE) ──────────────│                                  │",
    ]


@given(st.lists(st.tuples(st.booleans(), st.sampled_from([
    INVITE, OK, b"SIP/2.0 200 OK\r\nCall-ID: c1\r\n\r\n", b"BYE a SIP/2.0\r\ni: c1\r\nFrom: <\r\nTo:\r\n\r\n",
    b"SIP/2.0 999 \r\nCall-ID: c1\r\nCSeq: x\r\n\r\n", b"junk", b"", b"INVITE\r\nCall-ID:\r\n\r\n",
]), st.sampled_from([PHONE, OTHER, CALLEE]))))  # fmt: skip
def test_whatever_was_said_can_be_listed_and_drawn(steps: list[tuple[bool, bytes, Flow]]) -> None:
    for one in exchanges(call(*steps)):
        assert one.result()
        assert one.caller
        assert one.callee
        assert one.method
        one.ladder().text(width=80)
