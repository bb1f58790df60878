# SPDX-License-Identifier: Apache-2.0
"""How is a program started, watched and stopped? Its output goes to a file; it never outlives the benchmark."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

PR_SET_PDEATHSIG = 1
#: Where this is set, Python compiles every module at every start: users do not have it.
UNUSUAL = "PYTHONDONTWRITEBYTECODE"
ROOT = Path(__file__).parents[1]
WORK = ROOT / "bench" / ".work"


class BenchmarkError(Exception):
    """Something is missing or did not start; the text says what."""


def path_of(program: str) -> str | None:
    return shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")


def require(program: str, package: str) -> str:
    found = path_of(program)
    if found is None:
        raise BenchmarkError(f"{program} is not installed: apt-get install --no-install-recommends {package}")
    return found


def free_port() -> int:
    """A port that is free for UDP and TCP on 127.0.0.1 now."""
    for _ in range(200):
        with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            port: int = tcp.getsockname()[1]
            try:
                udp.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise BenchmarkError("no free port")


def wait_until(condition: Callable[[], object], timeout: float, what: str) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise BenchmarkError(f"waited {timeout:g} s in vain: {what}")
        time.sleep(0.02)


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Program:
    """A running program in a process group of its own; `output` is everything it printed."""

    def __init__(self, command: Sequence[str], log: Path, *, env: dict[str, str] | None = None) -> None:
        self.command = list(command)
        self.log = log
        with log.open("wb") as sink:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env={**{name: value for name, value in os.environ.items() if name != UNUSUAL}, **(env or {})},
                process_group=0,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 (we have no threads)
            )

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_for(self, condition: Callable[[], object], timeout: float, what: str) -> None:
        def is_met() -> object:
            if self.process.poll() is not None:
                raise BenchmarkError(f"{self.command[0]} ended:\n{self.output[-3000:]}")
            return condition()

        wait_until(is_met, timeout, what)

    def stop(self, timeout: float = 15.0) -> None:
        if self.process.poll() is None:
            self._signal(signal.SIGTERM)
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self._signal(signal.SIGKILL)
                self.process.wait(timeout)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)
