# SPDX-License-Identifier: Apache-2.0
"""The commands of the phone as a user types them, on loopback."""

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


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    variables = {name: value for name, value in os.environ.items() if not name.startswith("RINGBACK_")}
    return {**variables, "RINGBACK_DATA": str(tmp_path / "data"), "PYTHONUNBUFFERED": "1"}


def ringback(
    *words: str, environment: dict[str, str], timeout: float = 30
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
        stdin=subprocess.DEVNULL,
        check=False,
    )


class Answering:
    """`ringback answer`, running."""

    def __init__(self, *words: str, environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [*PROGRAM, "answer", "--bind", "127.0.0.1", *words],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = re.search(r"ready for calls at (\S+)", line)
        assert found is not None, (line, self.process.communicate(timeout=5))
        self.uri = found[1]

    def end(self, *, interrupt: bool = True) -> tuple[int, str, str]:
        if interrupt:
            self.process.send_signal(signal.SIGINT)
        out, errors = self.process.communicate(timeout=10)
        return self.process.returncode, out, errors


@pytest.fixture
def echo(environment: dict[str, str]) -> Iterator[Answering]:
    answering = Answering("--echo", environment=environment)
    yield answering
    answering.process.kill()
    answering.process.communicate()


def test_call_and_answer_hear_each_other(tmp_path, environment):
    write_pcm(tmp_path / "call.wav", b"".join(steady(440, 1_500)))
    write_pcm(tmp_path / "answer.wav", b"".join(steady(700, 1_500)))
    answering = Answering(
        "--play",
        str(tmp_path / "answer.wav"),
        "--record",
        str(tmp_path / "heard-by-answer.wav"),
        "--once",
        environment=environment,
    )
    done = ringback(
        "call", answering.uri, "--play", str(tmp_path / "call.wav"), "--ladder",
        "--record", str(tmp_path / "heard-by-call.wav"), environment=environment,
    )  # fmt: skip
    code, _out, errors = answering.end(interrupt=False)
    assert (done.returncode, code) == (0, 0), (done.stderr, errors)
    assert "answered, PCMU" in done.stderr
    for word in ("INVITE", "180 Ringing", "200 OK (INVITE) (SDP)", "ACK", "BYE", "──▶│"):
        assert word in done.stdout
    assert tone_share(read_pcm(tmp_path / "heard-by-call.wav"), 700) > 0.6
    assert tone_share(read_pcm(tmp_path / "heard-by-answer.wav"), 440) > 0.6
    assert "call 1 from" in errors


def test_an_echo_comes_back_and_the_second_recording_has_a_number(tmp_path, environment):
    write_pcm(tmp_path / "tone.wav", b"".join(steady(440, 800)))
    answering = Answering("--echo", "--record", str(tmp_path / "in.wav"), environment=environment)
    for name in ("one", "two"):
        done = ringback(
            "call",
            answering.uri,
            "--play",
            str(tmp_path / "tone.wav"),
            "--record",
            str(tmp_path / f"{name}.wav"),
            environment=environment,
        )
        assert done.returncode == 0, done.stderr
    code, _out, errors = answering.end()
    assert code == 0, errors
    for name in ("one", "two", "in", "in-2"):
        assert tone_share(read_pcm(tmp_path / f"{name}.wav"), 440) > 0.5


def test_ping_and_message(echo, environment):
    pinged = ringback("ping", echo.uri, environment=environment)
    assert pinged.returncode == 0
    assert re.fullmatch(r"200 OK \(Ringback\) in [0-9.]+ ms\n", pinged.stdout)
    sent = ringback("message", echo.uri, "hello there", environment=environment)
    assert (sent.returncode, sent.stderr) == (0, "delivered: 200 OK\n")
    assert "message from Anonymous <anonymous>: hello there" in echo.end()[2]


def test_who_hangs_up_long_before_the_end_is_told_by_the_exit_code(tmp_path, environment):
    write_pcm(tmp_path / "long.wav", b"".join(steady(440, 5_000)))
    answering = Answering("--for", "0.5", environment=environment)
    done = ringback("call", answering.uri, "--play", str(tmp_path / "long.wav"), environment=environment)
    answering.end()
    assert done.returncode == 20
    assert "the other side hung up after 0." in done.stderr


def test_a_call_for_some_seconds_ends_by_itself(echo, environment):
    done = ringback("call", echo.uri, "--for", "0.7", environment=environment)
    assert done.returncode == 0
    assert re.search(r"hung up after 0\.[78]", done.stderr)


def test_ctrl_c_hangs_up(echo, environment):
    running = subprocess.Popen(
        [*PROGRAM, "call", echo.uri, "--ladder"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stderr is not None
    while "answered" not in running.stderr.readline():
        pass
    time.sleep(0.2)
    running.send_signal(signal.SIGINT)
    out, _errors = running.communicate(timeout=10)
    assert running.returncode == 130
    assert "── BYE" in out


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["call", "http://example.org"], 2, "'http://example.org' is no number, name or SIP address"),
        (["call", "102"], 2, "'102' needs a domain"),
        (["call", "102", "--as", "101"], 2, "whose number is 101?"),
        (["call", "sip:x@127.0.0.1:9", "--dtmf", "12x"], 2, "'12x' has keys that no telephone has"),
        (["call", "sip:x@127.0.0.1:9", "--play", "missing.wav"], 2, "missing.wav"),
        (["call", "sip:x@127.0.0.1:9", "--server", "a b"], 2, "'a b'"),
        (["answer", "--play", "missing.wav"], 2, "missing.wav"),
        (["answer", "--bind", "127.0.0.1:99999"], 2, "99999 is no port"),
        (["register"], 2, "--as"),
        (["message", "sip:x@127.0.0.1:9;transport=tcp", "hi"], 15, "nobody could be reached"),
        (["ping", "no-such-host.invalid"], 15, "nobody could be reached"),
        (["call", "sip:x@127.0.0.1:9", "--transport", "carrier-pigeon"], 2, "carrier-pigeon"),
    ],
)
def test_what_cannot_work_is_one_clear_sentence(words, code, sentence, environment, tmp_path):
    done = subprocess.run(
        [*PROGRAM, *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "data").exists()


def test_a_file_that_is_no_wav_is_said_before_anybody_rings(tmp_path, environment, echo):
    wrong = tmp_path / "wrong.wav"
    wrong.write_text("not sound")
    done = ringback("call", echo.uri, "--play", str(wrong), environment=environment)
    assert done.returncode == 2
    assert "wrong.wav: not a WAV file" in done.stderr
    assert "call 1" not in echo.end()[2]


@pytest.mark.parametrize("command", ["call", "answer", "register", "message", "ping"])
def test_help_says_what_the_exit_codes_mean(command, environment):
    done = ringback(command, "--help", environment=environment)
    assert done.returncode == 0
    assert "10 busy" in done.stdout
