# SPDX-License-Identifier: Apache-2.0
"""How do programs without TLS reach a TLS port? Through `stunnel`, in front of both servers alike."""

from __future__ import annotations

import subprocess
from pathlib import Path

from bench_program import Program, free_port, require, wait_until

CONFIGURATION = """\
foreground = yes
debug = 3
pid =
[sip]
client = yes
accept = 127.0.0.1:{port}
connect = {server}
verifyChain = no
socket = l:TCP_NODELAY=1
socket = r:TCP_NODELAY=1
"""


class Tunnel:
    """Plain TCP at `address`, TLS to `server`. Its own CPU time is nobody's."""

    def __init__(self, folder: Path, server: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        file = folder / "stunnel.conf"
        file.write_text(CONFIGURATION.format(port=self.port, server=server))
        self.program = Program([require("stunnel4", "stunnel4"), str(file)], folder / "log")
        needle = f":{self.port:04X} "
        wait_until(lambda: needle in Path("/proc/net/tcp").read_text(), 10, "stunnel ready")

    def stop(self) -> None:
        self.program.stop()


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate and its key for the server that brings none. Handshakes are outside of the measurement, so its kind does not matter."""
    chain, key = folder / "certificate.pem", folder / "key.pem"
    words = [require("openssl", "openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes"]
    words += ["-keyout", str(key), "-out", str(chain), "-days", "2", "-subj", "/CN=ringback.test"]
    subprocess.run(words, check=True, capture_output=True)
    key.chmod(0o644)
    return chain, key
