# SPDX-License-Identifier: Apache-2.0
"""`ringback trace` as people have it: on a terminal and in a pipe, beside a real server with a real call."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_phone_at_local_server import PROGRAM, Office


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    office = Office(tmp_path)
    yield office
    office.close()


class Terminal:
    """A terminal of 100 times 30 letters with the program in it."""

    def __init__(self, office: Office, *words: str) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        environment = {**office.environment, "TERM": "xterm-256color"}
        self.process = subprocess.Popen(
            [*PROGRAM, *words], stdin=slave, stdout=slave, stderr=slave, env=environment
        )
        os.close(slave)

    def until(self, words: str, seconds: float = 30) -> None:
        """Read until these letters were drawn."""
        seen, end = b"", time.monotonic() + seconds
        while words.encode() not in seen:
            assert time.monotonic() < end, seen[-2000:]
            if select.select([self.master], [], [], 0.5)[0]:
                seen += os.read(self.master, 65_536)

    def press(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def close(self) -> int:
        """What is still drawn must be read, or the program waits for us."""
        end = time.monotonic() + 20
        while self.process.poll() is None and time.monotonic() < end:
            if select.select([self.master], [], [], 0.2)[0]:
                try:
                    os.read(self.master, 65_536)
                except OSError:  # nobody is there any more
                    break
        os.close(self.master)
        try:
            return self.process.wait(10)
        finally:
            self.process.kill()


def test_a_call_appears_on_the_screen_and_in_the_pipe_while_it_is_on(office: Office) -> None:
    pipe = office.start("trace", "--live", "--method", "BYE")
    office.running.append(pipe)
    terminal = Terminal(office, "trace")
    try:
        terminal.until("No call that fits")
        assert office.run("call", "*43", "--as", "101", "--for", "1").returncode == 0
        terminal.until("*43")
        terminal.press("\r")
        terminal.until("BYE")
        terminal.press("e")
        terminal.until("Decisions")
        terminal.press("qqq")
    finally:
        code = terminal.close()
    assert code == 0
    assert pipe.stdout is not None
    assert "BYE sip:*43@" in pipe.stdout.readline()
    assert "SIP/2.0 200 OK" in pipe.stdout.readline()
    done = office.run("trace", "--to", "*43", "--json")
    call_id = done.stdout.partition('"call_id": "')[2].partition('"')[0]
    done = office.run("trace", call_id[:8])
    assert "INVITE sip:*43@office.test SIP/2.0" in done.stdout
