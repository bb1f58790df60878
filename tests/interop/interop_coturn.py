# SPDX-License-Identifier: Apache-2.0
"""coturn, a TURN server for browsers: it shares a secret with our server, and knows nobody by name."""

from pathlib import Path

from interop_process import Program, free_port, require

SECRET = "shared with the phone system"
RELAYS = 40


class Coturn:
    """A running TURN server. `url` is its address for browsers."""

    def __init__(self, folder: Path) -> None:
        program = require("turnserver", "coturn")
        folder.mkdir(parents=True)
        port, relays = free_port(), free_port()
        self.url = f"turn:127.0.0.1:{port}?transport=tcp"
        self.secret_file = folder / "secret"
        self.secret_file.write_text(f"{SECRET}\n")
        self.program = Program(
            [program, "-n", "--no-cli", "--no-tls", "--no-dtls", "--no-rfc5780", "--allow-loopback-peers",
             "--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1", f"--listening-port={port}",
             f"--min-port={relays}", f"--max-port={relays + RELAYS}", "--realm=turn.test", "--fingerprint",
             "--use-auth-secret", f"--static-auth-secret={SECRET}", "--verbose", "--log-file=stdout",
             f"--pidfile={folder / 'pid'}", f"--userdb={folder / 'users'}"],
            folder / "log",
        )  # fmt: skip
        self.program.wait_for("IPv4. TCP listener opened on", 15)

    @property
    def log(self) -> str:
        """What it has to say."""
        return self.program.output

    def settings(self) -> str:
        """The lines of the settings file's section [web]."""
        return f'[web]\nice_servers = ["{self.url}"]\nturn_secret_file = "{self.secret_file}"\n'

    def stop(self) -> None:
        self.program.stop(timeout=5)
