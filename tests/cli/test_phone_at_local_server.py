# SPDX-License-Identifier: Apache-2.0
"""The first minute: a server, two users, and the command-line phone beside them, without a password."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ringback.media.files import read_pcm, write_pcm
from ringback.media.pcm import tone_share
from ringback.media.tones import steady

PROGRAM = [sys.executable, "-m", "ringback"]


class Office:
    """`ringback serve` with users 101 and 102."""

    def __init__(self, folder: Path) -> None:
        variables = {name: value for name, value in os.environ.items() if not name.startswith("RINGBACK_")}
        self.environment = {
            **variables,
            "RINGBACK_WEB__CONSOLE": "false",
            "RINGBACK_DATA": str(folder / "data"),
            "PYTHONUNBUFFERED": "1",
        }
        ready = folder / "ready.json"
        ports = [word for name in ("sip", "tls", "http", "https") for word in (f"--{name}-port", "0")]
        self.running = [
            self.start(
                "serve", "--domain", "office.test", "--host", "127.0.0.1", "--advertise", "127.0.0.1",
                *ports, "--ready-file", str(ready),
            )
        ]  # fmt: skip
        deadline = time.monotonic() + 15
        while not ready.exists() or not ready.stat().st_size:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        self.addresses = json.loads(ready.read_text())
        for number, name in (("101", "Anna"), ("102", "Bob")):
            assert (
                self.run("user", "add", number, name, "--password", f"secret-{number}-secret").returncode == 0
            )

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*PROGRAM, *words],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*PROGRAM, *words], env={**self.environment, **variables}, capture_output=True, text=True,
            timeout=30, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def answering(self, *words: str) -> subprocess.Popen[str]:
        process = self.start("answer", "--as", "102", *words)
        self.running.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line == "registered sip:102@office.test, ready for calls\n", line + process.stdout.read()
        return process

    def close(self) -> None:
        for process in reversed(self.running):
            process.send_signal(signal.SIGINT)
            try:
                process.communicate(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    place = Office(tmp_path_factory.mktemp("office"))
    yield place
    place.close()


def test_one_calls_the_other_and_nobody_types_a_password(office, tmp_path):
    write_pcm(tmp_path / "tone.wav", b"".join(steady(440, 800)))
    answering = office.answering("--echo", "--once")
    heard = tmp_path / "heard.wav"
    done = office.run(
        "call", "102", "--as", "101", "--play", str(tmp_path / "tone.wav"), "--record", str(heard), "--ladder"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "407 Proxy Authentication Required" in done.stdout
    assert tone_share(read_pcm(heard), 440) > 0.5
    out, _ = answering.communicate(timeout=10)
    assert "call 1 from Anna <101>" in out
    assert answering.returncode == 0


@pytest.mark.parametrize("transport", ["tcp", "tls", "wss"])
def test_register_over_every_transport_with_the_authority_of_the_server(office, transport):
    done = office.run("register", "--as", "101", "--transport", transport)
    assert done.returncode == 0, done.stderr
    assert re.match(r"registered sip:101@office\.test at sip:101@\S+ for 600 s\n", done.stdout)
    assert done.stderr == "unregistered\n"


def test_a_password_is_checked_also_here(office):
    wrong = office.run("register", "--as", "101", "--password", "wrong")
    assert (wrong.returncode, wrong.stdout) == (14, "")
    right = office.run("register", "--as", "101", RINGBACK_PASSWORD="secret-101-secret")
    assert right.returncode == 0


def test_elsewhere_the_whole_account_is_given(office):
    server = office.addresses["sip"]
    words = ["--as", "101@office.test", "--server", server, "--password", "secret-101-secret"]
    assert office.run("register", *words).returncode == 0
    unknown = office.run(
        "register", "--as", "101@office.test", "--server", office.addresses["tls"], "--transport", "tls"
    )
    assert unknown.returncode == 15
    assert "certificate" in unknown.stderr
    trusting = [
        "--as",
        "101@office.test",
        "--server",
        office.addresses["tls"],
        "--transport",
        "tls",
        "--insecure",
    ]
    assert office.run("register", *trusting, "--password", "secret-101-secret").returncode == 0


def test_a_message_reaches_the_phone_that_answers(office):
    answering = office.answering()
    done = office.run("message", "102", "hello Bob", "--as", "101")
    assert (done.returncode, done.stderr) == (0, "delivered: 200 OK\n")
    answering.send_signal(signal.SIGINT)
    out, _ = answering.communicate(timeout=10)
    assert "message from Anna <101>: hello Bob" in out


def test_outcomes_have_exit_codes(office):
    assert office.run("call", "102", "--as", "101").returncode == 11
    unknown = office.run("call", "102", "--as", "199")
    assert unknown.returncode == 2
    assert "There is no such user on this machine" in unknown.stderr
    assert office.run("ping", f"sip:{office.addresses['sip']}").returncode == 0
