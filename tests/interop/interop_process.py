# SPDX-License-Identifier: Apache-2.0
"""Running a real program for a test: its output in a file, waits with a deadline, nothing outlives the test."""

import ctypes
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

PR_SET_PDEATHSIG = 1
POLL_INTERVAL = 0.05
#: Above the RTP ports servers take by habit, below the ephemeral ones (32768 on Linux).
FIRST_PORT, PORTS_END = 20_002, 32_000
_given: set[int] = set()


def require(program: str, package: str) -> str:
    """The path of a program; without it the test is skipped, or failed where CI promised to install it."""
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")
    if found is None:
        reason = f"{program} is not installed: apt-get install --no-install-recommends {package}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


def die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def wait_until(condition: Callable[[], object], timeout: float, what: str | Callable[[], str]) -> object:
    """Poll until `condition()` is true; its value is returned. Fails the test with `what` otherwise; a callable
    is asked when it has failed.
    """
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(POLL_INTERVAL)
    raise AssertionError(f"waited {timeout:g} s in vain: {what if isinstance(what, str) else what()}")


def free_port(*, pair: bool = False) -> int:
    """A port that is free for UDP and TCP on 127.0.0.1 now (with `pair`, the next one too), never given twice.

    Below the range from which the system gives ports to those who ask for any: else an outgoing connection or
    another program's RTP takes it before the program that is to have it has started.
    """
    size = 2 if pair else 1
    for port in random.sample(range(FIRST_PORT, PORTS_END - size), 2000):
        wanted = range(port, port + size)
        if not _given.intersection(wanted) and all(map(_is_free, wanted)):
            _given.update(wanted)
            return port
    raise AssertionError("no free port")


def short_port() -> int:
    """A free port of four digits: sipsak cuts a fifth off."""
    for port in random.sample(range(2000, 9990), 500):
        if _is_free(port):
            return port
    raise AssertionError("no free port below 10000")


def _is_free(port: int) -> bool:
    try:
        with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", port))
            udp.bind(("127.0.0.1", port))
    except OSError:
        return False
    return True


class Place:
    """Where a program runs, and the address it has there: this machine, unless a subclass knows better."""

    def __init__(self, host: str = "127.0.0.1", prefix: Sequence[str] = ()) -> None:
        self.host = host
        #: What comes before a command to run it there.
        self.prefix = tuple(prefix)

    def connect(self, port: int) -> socket.socket:
        """A TCP connection to a program there that listens on loopback."""
        return socket.create_connection(("127.0.0.1", port), 5)


HERE = Place()


class Program:
    """A running program. `output` is everything it printed; stop it with `stop` (TERM, then KILL)."""

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        *,
        env: dict[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.command = list(command)
        self.log = log
        self._sink = log.open("wb")
        self.process = subprocess.Popen(
            self.command,
            stdin=subprocess.PIPE,
            stdout=self._sink,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            start_new_session=True,
            preexec_fn=die_with_parent,
        )

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def say(self, line: str) -> None:
        """Type one line at the program's prompt."""
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def wait_for(self, pattern: str, timeout: float = 10.0, *, after: int = 0) -> re.Match[str]:
        """Wait for a regular expression in the output (behind offset `after`)."""

        def found() -> object:
            match = re.search(pattern, self.output[after:])
            if match is None and self.process.poll() is not None:
                self.stop()
                raise AssertionError(
                    f"{self.command[0]} ended ({self.process.returncode}) before {pattern!r}:\n{self.output[-3000:]}"
                )
            return match

        try:
            match = wait_until(found, timeout, f"{pattern!r} from {self.command[0]}")
        except AssertionError as failure:
            raise AssertionError(f"{failure}\n--- its last output ---\n{self.output[-3000:]}") from None
        assert isinstance(match, re.Match)
        return match

    def wait(self, timeout: float) -> int:
        """Wait for the program's own end; its exit code."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"{self.command[0]} did not end within {timeout:g} s:\n{self.output[-3000:]}"
            ) from None

    def stop(self, sig: int = signal.SIGTERM, timeout: float = 5.0) -> int:
        if self.process.poll() is None:
            self._signal(sig)
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self._signal(signal.SIGKILL)
                self.process.wait(timeout)
        if self.process.stdin is not None:
            try:
                self.process.stdin.close()
            except BrokenPipeError:
                pass
        self._sink.close()
        return self.process.returncode

    def _signal(self, sig: int) -> None:
        try:
            os.killpg(self.process.pid, sig)
        except ProcessLookupError:
            pass
