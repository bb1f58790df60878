# SPDX-License-Identifier: Apache-2.0
"""How is Kamailio run? Debian's package, with a configuration that does the work Ringback does and nothing more.

What is on: the Max-Forwards check, `rport`, a NAT check of REGISTER (`nat_uac_test`), usrloc in memory, Record-Route and a
stateful relay; with digest: a password in the configuration, so that no database is asked.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from bench_program import ROOT, Program, free_port, require

TEMPLATE = ROOT / "bench" / "kamailio.cfg"
DOMAIN = "ringback.test"


def version() -> str:
    words = [require("kamailio", "kamailio"), "-v"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.split("\n")[0]


class Kamailio:
    """A running Kamailio. `tuned` takes the faster memory manager (`-x tlsf -X tlsf`)."""

    name = "kamailio"

    def __init__(
        self,
        folder: Path,
        *,
        tuned: bool = True,
        workers: int = 1,
        digest: str = "",
        tcp: bool = False,
        fork: bool = False,
        certificate: tuple[Path, Path] | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port, self.tls_port = free_port(), free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.tls_address = f"127.0.0.1:{self.tls_port}"
        self.domain = DOMAIN
        config = folder / "kamailio.cfg"
        head = (
            _head(self.port, self.tls_port, workers=workers, digest=digest, tcp=tcp, certificate=certificate)
            + "#!define WITH_FORK\n" * fork
        )
        config.write_text(head + TEMPLATE.read_text())
        memory = ["-x", "tlsf", "-X", "tlsf"] if tuned else []
        self.label = f"{'tlsf' if tuned else 'default'}, {workers} worker{'s' * (workers > 1)}"
        self.program = Program(
            [
                require("kamailio", "kamailio"),
                "-f",
                str(config),
                "-DD",
                "-E",
                "-m",
                "2048",
                "-M",
                "16",
                *memory,
                "-Y",
                str(folder),
            ],
            folder / "log",
        )
        self.pid = self.program.process.pid
        needle = f":{self.port:04X} "
        self.program.wait_for(
            lambda: needle in Path("/proc/net/udp").read_text() and self._is_forked(workers),
            15,
            "Kamailio ready",
        )

    def _is_forked(self, workers: int) -> bool:
        """The workers are children of the process we started; timers and a few more come with them."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        return len(children.read_text().split()) >= workers + 2

    def stop(self) -> None:
        self.program.stop()


def _head(
    port: int, tls_port: int, *, workers: int, digest: str, tcp: bool, certificate: tuple[Path, Path] | None
) -> str:
    modules = next(str(path.parent) for path in Path("/usr/lib").glob("**/kamailio/modules/tm.so"))
    lines = [
        "#!KAMAILIO",
        f"children={workers}",
        f"listen=udp:127.0.0.1:{port}",
        f'alias="{DOMAIN}"',
        f'mpath="{modules}"',
    ]
    if tcp or certificate:
        lines += ["#!define WITH_TCP", f"tcp_children={workers}", f"listen=tcp:127.0.0.1:{port}"]
    if certificate:
        lines += ["#!define WITH_TLS", "enable_tls=yes", f"listen=tls:127.0.0.1:{tls_port}"]
        lines += [
            f'#!substdef "!CERTIFICATE!{certificate[0]}!g"',
            f'#!substdef "!PRIVATE_KEY!{certificate[1]}!g"',
        ]
    if digest:
        lines += ["#!define WITH_DIGEST"] + (["#!define WITH_SHA256"] if digest == "SHA-256" else [])
    return "\n".join(lines) + "\n"
