# SPDX-License-Identifier: Apache-2.0
"""`ringback serve` as a user starts it, with free ports and a fresh data directory."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

from interop_process import HERE, Place, Program, wait_until

RINGBACK = [sys.executable, "-m", "ringback"]


class Ringback:
    """A running server. `sip`, `tls`, `ws`, `wss` are its addresses as host:port, `ca` is its CA's certificate.

    `trace` is the file of all its messages; `traces` are those of all servers that were started here.
    """

    traces: ClassVar[list[Path]] = []

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        domain: str = "ringback.test",
        sip_port: int = 0,
        config: str = "",
        place: Place = HERE,
        traced: bool = True,
        console: bool = False,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.data = folder / "data"
        self.domain = domain
        self.place = place
        self.trace = folder / "sip.trace"
        self.arguments = [*(["--trace", str(self.trace)] if traced else []), *arguments]
        self.ports = {"sip": str(sip_port), "tls": "0", "http": "0", "https": "0"}
        self.config = folder / "ringback.toml"
        self.config.write_text(config)
        self.traces.append(self.trace)
        #: The web process takes a second of its own to start: only for those who want it.
        self.environment = {"RINGBACK_WEB__CONSOLE": str(console).lower()}
        self.starts = 0
        self.start()

    def start(self) -> None:
        """Start it (again): on the same ports as before, if there was a before."""
        self.starts += 1
        ready = self.folder / f"ready-{self.starts}.json"
        ports = [word for name, port in self.ports.items() for word in (f"--{name}-port", port)]
        self.program = Program(
            [*self.place.prefix, *RINGBACK, "serve", "--data", str(self.data), "--domain", self.domain,
             "--host", self.place.host, "--advertise", self.place.host, "--config", str(self.config), *ports, "--ready-file", str(ready),
             *self.arguments],
            self.folder / f"serve-{self.starts}.log",
            env=self.environment,
        )  # fmt: skip

        def is_ready() -> bool:
            if self.program.process.poll() is not None:
                raise AssertionError(f"ringback serve ended:\n{self.program.output}")
            return ready.exists() and ready.stat().st_size > 0

        wait_until(is_ready, 20, "ringback serve ready")
        addresses: dict[str, Any] = json.loads(ready.read_text())
        self.sip, self.tls = addresses["sip"], addresses["tls"]
        self.ws, self.wss = addresses["ws"], addresses["wss"]
        self.ca: str = addresses["ca"]
        for name, address in (("sip", self.sip), ("tls", self.tls), ("http", self.ws), ("https", self.wss)):
            self.ports[name] = address.rsplit(":", 1)[1]

    def address(self, transport: str) -> str:
        return str(
            {"udp": self.sip, "tcp": self.sip, "tls": self.tls, "ws": self.ws, "wss": self.wss}[transport]
        )

    def run(self, *arguments: str, expect: int = 0, timeout: float = 30) -> str:
        """Run another `ringback` command on the same data directory; what it printed."""
        done = run_ringback(*arguments, data=self.data, timeout=timeout)
        assert done.returncode == expect, (
            f"ringback {' '.join(arguments)}: {done.returncode}\n{done.stdout}{done.stderr}"
        )
        return done.stdout + done.stderr

    def add_user(self, number: str, name: str = "", password: str = "secret-pass-1234") -> str:
        self.run("user", "add", number, *([name] if name else []), "--password", password)
        return password

    def stop(self) -> int:
        return self.program.stop(timeout=10)


def run_ringback(*arguments: str, data: Path, timeout: float = 30) -> subprocess.CompletedProcess[str]:
    """Run one `ringback` command to its end."""
    return subprocess.run(
        [*RINGBACK, *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, "RINGBACK_DATA": str(data)},
        check=False,
    )
