# SPDX-License-Identifier: Apache-2.0
"""sipsak asks OPTIONS and registers; the server answers."""

import subprocess
from collections.abc import Iterator

import pytest
from interop_process import require, short_port
from interop_rig import PASSWORD
from interop_ringback import Ringback


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ringback]:
    """A server whose domain is its address: sipsak takes the domain from the URI it sends to."""
    port = short_port()
    running = Ringback(tmp_path_factory.mktemp("server"), domain="127.0.0.1", sip_port=port)
    try:
        running.add_user("103", "Carol", PASSWORD)
        yield running
    finally:
        running.stop()


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
