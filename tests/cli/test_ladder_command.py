# SPDX-License-Identifier: Apache-2.0
"""`ringback ladder`: what it draws and lists of a trace, and what it says about a file that is none."""

import os
import pty
import re
import struct
import subprocess
import sys
import termios
from fcntl import ioctl
from pathlib import Path

import pytest
from command_line import CLEAN, ringback

from ringback.server.trace_file import Missing, TraceRecord
from ringback.sip.flow import Address, Flow, Transport

SERVER = Address("192.0.2.1", 5060)
CALLER = Flow(Transport.UDP, SERVER, Address("192.0.2.9", 5060))
CALLED = Flow(Transport.WSS, SERVER, Address("2001:db8:85a3:8d3:1319:8a2e:370:7348", 50_601), 3)
LONG = "a-company-with-a-rather-long-name.example.com"


def message(start: str, cseq: str, call_id: str, host: str = "pbx.test", body: str = "") -> bytes:
    return (
        f"{start}\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1\r\nFrom: <sip:101@{host}>;tag=a\r\n"
        f"To: <sip:102@{host}>;tag=b\r\nCall-ID: {call_id}\r\nCSeq: {cseq}\r\n\r\n{body}"
    ).encode()


def call(call_id: str, at: float, host: str = "pbx.test", final: str = "200 OK") -> list[TraceRecord]:
    invite = message(f"INVITE sip:102@{host} SIP/2.0", "1 INVITE", call_id, host)
    answer = message(f"SIP/2.0 {final}", "1 INVITE", call_id, host)
    steps = ((False, CALLER, invite), (True, CALLED, invite), (False, CALLED, answer), (True, CALLER, answer))
    return [
        TraceRecord(1_700_000_000.0 + at + place, at + place, sent, flow, data)
        for place, (sent, flow, data) in enumerate(steps)
    ]


def write(file: Path, *records: TraceRecord | Missing) -> str:
    file.write_bytes(b"".join(record.line() for record in records))
    return str(file)


@pytest.fixture
def trace(tmp_path: Path) -> str:
    register = message("REGISTER sip:pbx.test SIP/2.0", "1 REGISTER", "reg-1")
    ok = message("SIP/2.0 200 OK", "1 REGISTER", "reg-1")
    text = message("MESSAGE sip:102@pbx.test SIP/2.0", "1 MESSAGE", "text-1", body="(hidden: 5 bytes)")
    return write(
        tmp_path / "sip.trace",
        TraceRecord(1_700_000_000.0, 0.0, False, CALLER, register),
        TraceRecord(1_700_000_000.5, 0.5, True, CALLER, ok),
        *call("abc-1", 1.0),
        *call("abc-2", 10.0, LONG, final="486 Busy Here"),
        TraceRecord(1_700_000_020.0, 20.0, False, CALLER, text),
        TraceRecord(1_700_000_021.0, 21.0, False, CALLER, b"junk"),
    )


def on_a_terminal(columns: int, *arguments: str) -> list[str]:
    """The lines of a command whose output is a terminal so wide."""
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    process = subprocess.Popen([sys.executable, "-m", "ringback", *arguments], stdout=theirs, env=CLEAN)
    os.close(theirs)
    said = b""
    while True:
        try:
            piece = os.read(ours, 65_536)
        except OSError:  # how a terminal says that nobody writes any more
            break
        if not piece:
            break
        said += piece
    os.close(ours)
    assert process.wait(10) == 0
    return said.decode().replace("\r", "").split("\n")


def test_several_calls_are_a_table(trace: str) -> None:
    done = ringback("ladder", trace)
    lines = done.stdout.split("\n")
    assert re.sub(r" +", " ", lines[0]) == "TIME CALL-ID FROM TO RESULT"
    assert [re.split(r" {2,}", line)[1:] for line in lines[1:3]] == [
        ["abc-1", "101@pbx.test", "102@pbx.test", "answered"],
        ["abc-2", f"101@{LONG}", f"102@{LONG}", "486 Busy Here"],
    ]
    everything = ringback("ladder", trace, "--all").stdout
    assert "REGISTER: 200 OK" in everything
    assert "MESSAGE: no final answer" in everything


def test_one_call_is_drawn(trace: str, tmp_path: Path) -> None:
    only = write(tmp_path / "one.trace", *call("abc-1", 1.0))
    drawn = ringback("ladder", only).stdout
    assert drawn == ringback("ladder", trace, "--call-id", "abc-1").stdout
    assert re.match(
        r"Call-ID  abc-1\nTime     2023-11-1\d [\d:]{8}\.000\nFrom     101@pbx.test\nTo       102@pbx.test\n"
        r"Result   answered\n\n seconds  192",
        drawn,
    )
    assert [line[:8].strip() for line in drawn.split("\n")[8:12]] == ["0.000", "1.000", "2.000", "3.000"]
    assert drawn.count("▶") == 2


def test_the_newest_and_the_beginning_of_a_call_id(trace: str) -> None:
    assert ringback("ladder", trace, "--last").stdout.startswith("Call-ID  abc-2\n")
    assert ringback("ladder", trace, "--last", "--all").stdout.startswith("Call-ID  text-1\n")
    drawn = ringback("ladder", trace, "--call-id", "reg…").stdout
    assert drawn.startswith("Call-ID  reg-1\n")
    assert "REGISTER: 200 OK" in drawn
    assert (
        "REGISTER sip:pbx.test SIP/2.0\n"
        in ringback("ladder", trace, "--call-id", "reg", "--messages").stdout
    )


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["--call-id", "abc"], 2, "2 Call-IDs in {file} begin with 'abc'; say more of it"),
        (["--call-id", "x"], 1, "there is no message with the Call-ID 'x' in {file}"),
        (["--call-id", "x", "--last"], 2, "--call-id and --last exclude each other"),
    ],
)
def test_what_cannot_be_chosen_is_told(trace: str, arguments: list[str], code: int, sentence: str) -> None:
    done = ringback("ladder", trace, *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert sentence.format(file=trace) in done.stderr


def test_a_file_that_is_none_is_one_sentence(tmp_path: Path) -> None:
    toml = tmp_path / "ringback.toml"
    toml.write_text("[sip]\nport = 5060\n")
    for file, sentence in (
        (toml, f"{toml} is no trace; `ringback serve --trace FILE` writes one"),
        (tmp_path / "none", f"{tmp_path}/none cannot be read: No such file or directory"),
        (tmp_path, f"{tmp_path} is no file"),
    ):
        done = ringback("ladder", str(file))
        assert (done.returncode, done.stdout, done.stderr) == (1, "", f"ringback: {sentence}\n")


def test_a_trace_without_calls_says_so(tmp_path: Path) -> None:
    file = write(tmp_path / "x")
    assert ringback("ladder", file).stdout == f"There is no message in {file}.\n"
    assert ringback("ladder", file, "--last").returncode == 1
    write(
        tmp_path / "x", TraceRecord(0, 0, False, CALLER, message("OPTIONS sip:a SIP/2.0", "1 OPTIONS", "o"))
    )
    done = ringback("ladder", file)
    assert done.stdout == f"There is no call in {file}; --all shows the registrations, texts and OPTIONS.\n"
    assert "OPTIONS" in ringback("ladder", file, "--all").stdout


def test_gaps_and_torn_lines_are_told(tmp_path: Path) -> None:
    file = tmp_path / "x"
    write(file, *call("c", 0.0), Missing(1_700_000_004.0, 12))
    file.write_bytes(file.read_bytes() + b'{"time": "2023')
    done = ringback("ladder", str(file))
    assert done.stderr == (
        "ringback: messages that are missing, for the disk was full or too slow: 12\n"
        "ringback: lines that cannot be read and are left out: 1\n"
    )
    assert "Result   answered" in done.stdout


def test_a_narrow_terminal_is_not_overrun(trace: str) -> None:
    for arguments in (["--all"], ["--call-id", "abc-2"]):
        lines = on_a_terminal(80, "ladder", trace, *arguments)
        assert max(map(len, lines)) <= 80
    assert "       2  [2001:db8:85a3:8d3:1319:8a2e:370:7348]:50601 WSS" in lines


def test_what_strangers_wrote_does_not_steer_the_terminal(tmp_path: Path) -> None:
    evil = [
        TraceRecord(0, 0, False, CALLER, data)
        for number in range(2)
        for data in [message("INVITE sip:\x1b[31m SIP/2.0", "1 INVITE", f"\x1b]0;{number}", "\x1b[2J\x9b")]
    ]
    file = write(tmp_path / "x", *evil)
    shown = ringback("ladder", file).stdout + ringback("ladder", file, "--last", "--messages").stdout
    assert "Call-ID  \\x1b]0;" in shown
    assert not set(shown) & {"\x1b", "\x9b"}
