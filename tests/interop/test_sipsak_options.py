# SPDX-License-Identifier: Apache-2.0
"""sipsak asks OPTIONS and registers; the server answers."""

import subprocess

from conftest import PASSWORD
from interop_process import require
from interop_ringback import Ringback


def sipsak(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = require("sipsak", "sipsak")
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=20, check=False)


def test_options_to_the_server_is_answered(server: Ringback) -> None:
    done = sipsak("-vv", "-s", f"sip:{server.sip}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "200 OK" in done.stdout


def test_a_registration_with_digest_succeeds(server: Ringback) -> None:
    done = sipsak(
        "-U", "-C", "sip:103@127.0.0.1:9999", "-s", f"sip:103@{server.sip}", "-u", "103", "-a", PASSWORD, "-x", "60", "-v"
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
