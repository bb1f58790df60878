# SPDX-License-Identifier: Apache-2.0
"""Pebble, an ACME authority for tests, and the name server it asks: every name leads to 127.0.0.1."""

import datetime
import json
import os
import sys
from pathlib import Path

from interop_process import Program, free_port, require

from ringback.server.certificates import local_certificate


class Pebble:
    """A running authority. `directory` is its address, `ca` what its own https is checked by; it looks for challenges
    on `http_port`. A twentieth of all nonces is refused, as it does by itself.
    """

    def __init__(self, folder: Path) -> None:
        pebble, names = require("pebble", "pebble"), require("pebble-challtestsrv", "pebble")
        folder.mkdir(parents=True)
        now = datetime.datetime.now(datetime.UTC)
        certificate = local_certificate(folder, ("127.0.0.1",), now=now)
        assert certificate.ca is not None
        self.ca = certificate.ca
        self.http_port, port = free_port(), free_port()
        self.directory = f"https://127.0.0.1:{port}/dir"
        dns, self._management = free_port(), free_port()
        settings = {
            "listenAddress": f"127.0.0.1:{port}",
            "managementListenAddress": f"127.0.0.1:{free_port()}",
            "certificate": str(certificate.certificate),
            "privateKey": str(certificate.key),
            "httpPort": self.http_port,
            "tlsPort": free_port(),
        }
        (folder / "pebble.json").write_text(json.dumps({"pebble": settings}))
        self._folder = folder
        self._names = Program(
            [names, "-dns01", f"127.0.0.1:{dns}", "-management", f"127.0.0.1:{self._management}",
             "-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv6", ""],
            folder / "names.log",
        )  # fmt: skip
        self._program = Program(
            [pebble, "-config", str(folder / "pebble.json"), "-dnsserver", f"127.0.0.1:{dns}", "-strict"],
            folder / "pebble.log",
            env={**os.environ, "PEBBLE_VA_NOSLEEP": "1"},
        )
        self._program.wait_for("ACME directory available", 15)

    @property
    def log(self) -> str:
        """What the authority has to say."""
        return self._program.output

    def settings(self, **more: str) -> str:
        """The section of the settings file."""
        values = {"directory": self.directory, "authorities": str(self.ca), **more}
        lines = [f"{name} = {json.dumps(value)}" for name, value in values.items()]
        return "\n".join(["[acme]", "enabled = true", *lines, ""])

    def hook(self) -> Path:
        """A program that puts records into the zone, as the owner of a real one would write it."""
        file = self._folder / "hook"
        file.write_text(HOOK.format(python=sys.executable, management=self._management))
        file.chmod(0o755)
        return file

    def stop(self) -> None:
        self._program.stop()
        self._names.stop()


HOOK = """#!{python}
import json, sys, urllib.request
verb, name, value = sys.argv[1:]
place = {{"add": "set-txt", "remove": "clear-txt"}}[verb]
body = json.dumps({{"host": name + ".", "value": value}}).encode()
urllib.request.urlopen("http://127.0.0.1:{management}/" + place, body, timeout=5).read()
"""
