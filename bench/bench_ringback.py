# SPDX-License-Identifier: Apache-2.0
"""How is Ringback run? `ringback serve` as a user starts it, with accounts made in advance and free ports."""

from __future__ import annotations

import asyncio
import datetime
import json
import os
import shutil
import sys
from contextlib import closing
from pathlib import Path

from bench_program import WORK, Program

DOMAIN = "ringback.test"
PASSWORD = "secret-pass-1234"
FIRST_USER = 100_000

SETTINGS = """\
[proxy]
strangers_may_call = true
[limits]
max_transactions = {transactions}
[log]
level = "warning"
"""


def make_accounts(directory: Path, count: int) -> None:
    """A data directory with so many users, as `ringback user add` would have made them one by one."""
    from ringback.net.sockets import RealNetwork
    from ringback.pbx.accounts import new_user
    from ringback.server.config_file import load_settings
    from ringback.server.first_start import prepare

    loaded = load_settings({"data": str(directory), "domain": DOMAIN, "advertise": ("127.0.0.1",), "host": ("127.0.0.1",)}, {"RINGBACK_CONFIG": os.devnull})
    made = asyncio.run(prepare(loaded, RealNetwork(), clock=lambda: datetime.datetime.now(datetime.UTC)))
    realm = made.store.value("realm") or ""
    with closing(made.store) as store:
        for number in range(FIRST_USER, FIRST_USER + count):
            store.put_user(new_user(str(number), "", password=PASSWORD, realm=realm))


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
        words = [sys.executable, *(profiled if profile else ["-m", "ringback"]), "serve", "--data", str(self.data), "--domain", DOMAIN]
        words += ["--host", "127.0.0.1", "--advertise", "127.0.0.1", "--config", str(folder / "ringback.toml")]
        words += [word for name in ("sip", "tls", "http", "https") for word in (f"--{name}-port", "0")]
        words += ["--ready-file", str(self.ready), *(["--trace", str(folder / "trace")] if traced else []), *arguments]
        if workers > 1:
            words += ["--workers", str(workers)]
        self.program = Program(words, folder / "log", env={"RINGBACK_KERNEL": kernel} if kernel else None)
        self.pid = self.program.process.pid
        self.program.wait_for(lambda: self.ready.exists() and self.ready.stat().st_size > 0, 60, "ringback serve ready")
        addresses = json.loads(self.ready.read_text())
        self.address: str = addresses["sip"]
        self.tls_address: str = addresses["tls"]
        self.ca: str = addresses["ca"]

    def stop(self) -> None:
        self.program.stop()
