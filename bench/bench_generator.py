# SPDX-License-Identifier: Apache-2.0
"""How is load made? Compiles `bench/load/` once and runs it against a server, with the server's CPU time around it."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench_accounting import Memory, cpu_times, memory, receive_buffer_errors
from bench_program import ROOT, WORK, BenchmarkError, require

SOURCES = ROOT / "bench" / "load"


@dataclass(frozen=True, slots=True)
class Load:
    """One run of the generator. `rate` is calls a second (open loop); without it `window` calls are kept running."""

    scenario: str
    users: int = 1000
    first_user: int = 100_000
    active: int = 0
    """So many of the users are called; 0: all."""
    rate: float = 0.0
    window: int = 64
    sources: int = 1
    seconds: float = 8.0
    warm_up: float = 2.0
    patience: float = 0.0
    talk: float = 0.0
    tcp: bool = False
    sha256: bool = False
    poisson: bool = False
    replaces: bool = False
    """The server knows contacts of an earlier run: users forget them first."""

    def words(self) -> list[str]:
        words = [
            "--scenario",
            self.scenario,
            "--users",
            str(self.users),
            "--first-user",
            str(self.first_user),
        ]
        words += ["--active", str(self.active or self.users)]
        words += ["--rate", str(self.rate), "--window", str(self.window), "--sources", str(self.sources)]
        words += ["--seconds", str(self.seconds), "--warm-up", str(self.warm_up)]
        words += ["--patience", str(self.patience), "--talk", str(self.talk)]
        flags = {
            "--tcp": self.tcp,
            "--sha256": self.sha256,
            "--poisson": self.poisson,
            "--replaces": self.replaces,
        }
        return words + [word for word, is_set in flags.items() if is_set]


@dataclass(slots=True)
class Measured:
    """What the generator counted, and what the server used meanwhile."""

    counted: dict[str, Any]
    cpu: float
    memory: Memory
    dropped: int
    """Datagrams that found a full socket buffer somewhere on this machine."""
    system: float = 0.0
    """The operating system's part of `cpu`."""
    cleaning_cpu: float | None = None
    """What the server used afterwards until its transactions were gone, where that was waited for."""
    notes: list[str] = field(default_factory=list)

    @property
    def completed(self) -> int:
        return int(self.counted["completed"])

    @property
    def us_per_call(self) -> float:
        return self.cpu / self.completed * 1e6 if self.completed else float("nan")

    @property
    def us_per_message(self) -> float:
        """For each message that came into or left the server."""
        messages = self.counted["sent"] + self.counted["received"]
        return self.cpu / messages * 1e6 if messages else float("nan")

    @property
    def rate(self) -> float:
        return float(self.completed / self.counted["seconds"])

    @property
    def utilisation(self) -> float:
        """Cores' worth of CPU: near 1 for each worker at saturation."""
        return float(self.cpu / self.counted["seconds"])

    @property
    def is_clean(self) -> bool:
        """Nothing lost, nothing sent twice: a server that drops looks cheap."""
        names = ("failed", "retransmitted", "repeated")
        return self.completed > 0 and not any(self.counted[name] for name in names)


def generator() -> Path:
    """The compiled generator, made anew when its source is newer."""
    WORK.mkdir(parents=True, exist_ok=True)
    program = WORK / "load"
    sources = sorted(SOURCES.glob("*.[ch]"))
    if program.exists() and program.stat().st_mtime > max(each.stat().st_mtime for each in sources):
        return program
    compiler = require("cc", "gcc libc6-dev")
    words = [
        compiler,
        "-O2",
        "-std=gnu11",
        "-o",
        str(program),
        *(str(each) for each in sources if each.suffix == ".c"),
        "-lm",
    ]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchmarkError(f"the load generator does not compile:\n{done.stderr}")
    return program


class Run:
    """A generator at work. `prepared()` returns once the users are registered; `finish()` measures."""

    def __init__(self, load: Load, address: str, domain: str, log: Path) -> None:
        self.load = load
        self._errors = log.open("w+")
        words = [str(generator()), "--server", address, "--domain", domain, "--hold", *load.words()]
        self.process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors
        )
        self._selector = selectors.DefaultSelector()
        assert self.process.stdout is not None
        self._selector.register(self.process.stdout, selectors.EVENT_READ)
        self._unread = b""

    def prepared(self, timeout: float = 300.0) -> float:
        """Wait until all users are registered; how long that took. Scenarios without users are ready at once."""
        if self.load.scenario in ("options", "refused"):
            return 0.0
        return float(self._line("prepared", timeout)["seconds"])

    def finish(
        self, server: int, *, meanwhile: Callable[[], object] = lambda: None, closes: bool = True
    ) -> Measured:
        """Say go, and wait for the figures. A generator that is not closed keeps its calls where they are."""
        self.begin()
        return self.result(server, meanwhile=meanwhile, closes=closes)

    def begin(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(b"go\n")
        self.process.stdin.flush()

    def result(
        self, server: int, *, meanwhile: Callable[[], object] = lambda: None, closes: bool = True
    ) -> Measured:
        self._line("measuring", self.load.warm_up + 60)
        before, dropped = cpu_times(server), receive_buffer_errors()
        meanwhile()
        counted = self._line("done", self.load.seconds + 150)
        user, system = (after - was for after, was in zip(cpu_times(server), before, strict=True))
        if closes:
            self.close()
        return Measured(counted, user + system, memory(server), receive_buffer_errors() - dropped, system)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self._errors):
            if stream is not None:
                stream.close()

    def _line(self, name: str, timeout: float) -> dict[str, Any]:
        deadline = time.monotonic() + timeout
        while b"\n" not in self._unread:
            if not self._selector.select(max(0.0, deadline - time.monotonic())):
                self.close()
                raise BenchmarkError(f"the generator said no {name!r} within {timeout:g} s")
            piece = self._piece()
            if not piece:
                self._errors.seek(0)
                raise BenchmarkError(f"the generator ended before {name!r}:\n{self._errors.read()[-2000:]}")
            self._unread += piece
        line, _, self._unread = self._unread.partition(b"\n")
        word, _, rest = line.decode().partition(" ")
        if word != name:
            raise BenchmarkError(f"the generator said {word!r} and not {name!r}")
        found: dict[str, Any] = json.loads(rest)
        return found

    def _piece(self) -> bytes:
        assert self.process.stdout is not None
        return os.read(self.process.stdout.fileno(), 65536)
