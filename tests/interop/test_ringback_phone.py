# SPDX-License-Identifier: Apache-2.0
"""The command-line phone against itself and against baresip, through a server and without one."""

import time
from pathlib import Path

import pytest
from interop_process import Program, free_port
from interop_rig import PASSWORD, Rig
from interop_ringback import RINGBACK, Ringback, run_ringback
from interop_sound import seconds_of_tone, write_tone


def answering(rig: Rig, server: Ringback, user: str, *more: str) -> Program:
    program = rig.keep(
        Program(
            [
                *RINGBACK,
                "answer",
                "--as",
                f"{user}@{server.domain}",
                "--password",
                PASSWORD,
                "--server",
                server.sip,
                *more,
            ],
            rig.folder / f"answer-{user}.log",
        )
    )
    program.wait_for("ready", 15)
    assert isinstance(program, Program)
    return program


def call(server: Ringback, number: str, *more: str, expect: int = 0) -> str:
    return server.run(
        "call", f"sip:{number}@{server.domain}", "--as", f"101@{server.domain}", "--password", PASSWORD,
        "--server", server.sip, *more, expect=expect,
    )  # fmt: skip


def test_ringback_call_and_ringback_answer_hear_each_other(rig: Rig, server: Ringback) -> None:
    tone = write_tone(rig.folder / "tone.wav", 440.0, seconds=3)
    other = write_tone(rig.folder / "other.wav", 700.0, seconds=6)
    answering(
        rig, server, "102", "--play", str(other), "--record", str(rig.folder / "heard-by-102.wav"), "--once"
    )
    printed = call(
        server, "102", "--play", str(tone), "--record", str(rig.folder / "heard-by-101.wav"), "--ladder"
    )
    time.sleep(0.5)
    assert seconds_of_tone(rig.folder / "heard-by-101.wav", 700.0) > 2.0
    assert seconds_of_tone(rig.folder / "heard-by-102.wav", 440.0) > 2.0
    for word in ("INVITE", "200 OK", "ACK", "BYE"):
        assert word in printed
    assert PASSWORD not in printed


def test_ringback_call_and_baresip_hear_each_other(rig: Rig, server: Ringback) -> None:
    bob = rig.baresip(server, "102", frequency=700.0)
    tone = write_tone(rig.folder / "tone.wav", 440.0, seconds=3)
    heard = rig.folder / "heard.wav"
    call(server, "102", "--play", str(tone), "--record", str(heard))
    bob.wait_event("CALL_CLOSED")
    assert seconds_of_tone(heard, 700.0) > 2.0
    assert seconds_of_tone(bob.heard(), 440.0) > 2.0


def test_baresip_calls_ringback_answer_and_hears_its_echo(rig: Rig, server: Ringback) -> None:
    answering(rig, server, "103", "--echo")
    bob = rig.baresip(server, "102", frequency=700.0)
    bob.command("dial", f"sip:103@{server.domain}")
    bob.wait_event("CALL_ESTABLISHED")
    time.sleep(2.5)
    bob.command("hangup")
    time.sleep(0.3)
    assert seconds_of_tone(bob.heard(), 700.0) > 1.0


def test_keys_sent_by_ringback_call_arrive_at_baresip(rig: Rig, server: Ringback) -> None:
    bob = rig.baresip(server, "102")
    call(server, "102", "--dtmf", "159#")
    keys = [str(bob.wait_event("CALL_DTMF_START")["param"]) for _ in range(4)]
    assert keys == ["1", "5", "9", "#"]


def test_a_call_without_any_server(rig: Rig) -> None:
    port = free_port()
    answer = rig.keep(
        Program(
            [*RINGBACK, "answer", "--bind", f"127.0.0.1:{port}", "--echo", "--once"],
            rig.folder / "answer.log",
        )
    )
    answer.wait_for("ready", 15)
    tone = write_tone(rig.folder / "tone.wav", 440.0, seconds=2)
    done = run_ringback(
        "call", f"sip:echo@127.0.0.1:{port}", "--play", str(tone), "--record", str(rig.folder / "back.wav"), data=rig.folder
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert seconds_of_tone(rig.folder / "back.wav", 440.0) > 1.0


def test_ping_asks_options(server: Ringback) -> None:
    assert "200" in server.run("ping", f"sip:{server.sip}")


@pytest.mark.parametrize(
    ("number", "code"), [("199", 13), ("102", 11)], ids=["unknown number", "nobody registered"]
)
def test_the_exit_code_tells_the_outcome(rig: Rig, number: str, code: int) -> None:
    server = rig.ringback()
    server.add_user("101", "Anna", PASSWORD)
    server.add_user("102", "Bob", PASSWORD)
    call(server, number, expect=code)


def test_the_password_is_not_needed_where_the_server_lives(rig: Rig, server: Ringback) -> None:
    bob = rig.baresip(server, "102")
    server.run("call", "102", "--as", "101", "--for", "1")
    bob.wait_event("CALL_ESTABLISHED")


def test_a_file_that_is_no_wav_is_said_before_anybody_rings(rig: Rig, server: Ringback) -> None:
    wrong = Path(rig.folder / "wrong.wav")
    wrong.write_text("not sound")
    printed = call(server, "102", "--play", str(wrong), expect=2)
    assert "wrong.wav" in printed
    assert "Traceback" not in printed
