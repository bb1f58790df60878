# SPDX-License-Identifier: Apache-2.0
"""How is Ringback run? `ringback serve` as a user starts it, with accounts made in advance and free ports."""

from __future__ import annotations

import asyncio
import datetime
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from bench_program import WORK, Program

from ringback.net.sockets import RealNetwork
from ringback.pbx.accounts import new_user
from ringback.server.config_file import load_settings
from ringback.server.first_start import open_store, prepare
from ringback.server.storage.sqlite import SqliteStore

DOMAIN = "ringback.test"
PASSWORD = "secret-pass-1234"
FIRST_USER = 100_000

SETTINGS = """\
[calls]
mode = "proxy"
[proxy]
strangers_may_call = true
[limits]
max_transactions = {transactions}
[web]
console = false
[log]
level = "warning"
"""


def make_accounts(directory: Path, count: int) -> None:
    """A data directory with so many users, as `ringback user add` would have made them one by one."""

    flags = {"data": str(directory), "domain": DOMAIN, "advertise": ("127.0.0.1",), "host": ("127.0.0.1",)}
    loaded = load_settings(flags, {"RINGBACK_CONFIG": os.devnull})
    made = asyncio.run(prepare(loaded, RealNetwork(), clock=lambda: datetime.datetime.now(datetime.UTC)))
    made.store.close()
    store, _ = open_store(directory)
    assert isinstance(store, SqliteStore)
    realm = store.value("realm") or ""
    with closing(store), store._writing() as connection:

        @contextmanager
        def one_transaction() -> Iterator[object]:
            yield connection

        quick = _OneTransaction(store, one_transaction)
        for number in range(FIRST_USER, FIRST_USER + count):
            quick.put_user(new_user(str(number), "", password=PASSWORD, realm=realm))


class _OneTransaction:
    """`SqliteStore.put_user` for 100 000 users: a transaction each would take a quarter of an hour."""

    def __init__(self, store: object, writing: object) -> None:
        self._sealer = store._sealer  # type: ignore[attr-defined]
        self._writing = writing

    def put_user(self, user: object) -> None:

        SqliteStore.put_user(self, user)  # type: ignore[arg-type]


def accounts(count: int) -> Path:
    """The same, made once and kept for the next run."""
    directory = WORK / f"accounts-{count}"
    if not (directory / "complete").exists():
        shutil.rmtree(directory, ignore_errors=True)
        make_accounts(directory, count)
        (directory / "complete").touch()
    return directory


class Ringback:
    """A running server. `profile` runs it under cProfile and leaves the figures in `folder`/profile."""

    name = "ringback"

    def __init__(
        self,
        folder: Path,
        *,
        users: int = 1000,
        workers: int = 1,
        kernel: str = "",
        traced: bool = False,
        profile: bool = False,
        transactions: int = 2_000_000,
        data: Path | None = None,
        settings: str = "",
        arguments: tuple[str, ...] = (),
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.domain = DOMAIN
        self.data = data or folder / "data"
        if data is None:
            shutil.copytree(accounts(users), self.data)
        (folder / "ringback.toml").write_text(SETTINGS.format(transactions=transactions) + settings)
        self.ready = folder / "ready.json"
        self.ready.unlink(missing_ok=True)
        self.label = f"{workers} worker{'s' * (workers > 1)}{', kernel ' + kernel if kernel else ''}"
        profiled = [str(Path(__file__).with_name("bench_profiled.py")), str(folder / "profile")]
        words = [
            sys.executable,
            *(profiled if profile else ["-m", "ringback"]),
            "serve",
            "--data",
            str(self.data),
            "--domain",
            DOMAIN,
        ]
        words += [
            "--host",
            "127.0.0.1",
            "--advertise",
            "127.0.0.1",
            "--config",
            str(folder / "ringback.toml"),
        ]
        words += [word for name in ("sip", "tls", "http", "https") for word in (f"--{name}-port", "0")]
        words += [
            "--ready-file",
            str(self.ready),
            *(["--trace", str(folder / "trace")] if traced else []),
            *arguments,
        ]
        if workers > 1:
            words += ["--workers", str(workers)]
        begun = time.monotonic()
        self.program = Program(words, folder / "log", env={"RINGBACK_KERNEL": kernel} if kernel else None)
        self.pid = self.program.process.pid
        self.program.wait_for(
            lambda: self.ready.exists() and self.ready.stat().st_size > 0, 60, "ringback serve ready"
        )
        self.seconds_to_ready = time.monotonic() - begun
        addresses = json.loads(self.ready.read_text())
        self.address: str = addresses["sip"]
        self.tls_address: str = addresses["tls"]
        self.ca: str = addresses["ca"]

    def stop(self) -> None:
        self.program.stop()
