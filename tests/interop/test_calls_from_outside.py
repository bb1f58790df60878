# SPDX-License-Identifier: Apache-2.0
"""baresip phones whose calls are placed, recorded, transferred and ended with `ringback calls`, and written down."""

import time
import wave
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from interop_browser import Browser
from interop_process import wait_until
from interop_rig import PASSWORD, Rig
from interop_ringback import Ringback
from interop_sound import seconds_of_tone

from ringback.server.control import ask
from ringback.server.first_start import open_records

ANNA_HZ, BOB_HZ, CAROL_HZ = 440.0, 700.0, 1000.0


def on(server: Ringback) -> list[dict[str, Any]]:
    return list(ask(server.data, "calls")["calls"])


def only_call(server: Ringback) -> dict[str, Any]:
    (call,) = on(server)
    return call


def last_record(server: Ringback, call: str) -> dict[str, Any]:
    """The record on disk; it is written within a second."""

    def found() -> dict[str, Any] | None:
        with closing(open_records(server.data)) as records:
            return records.record(call)

    record = wait_until(found, 8, "the record")
    assert isinstance(record, dict)
    return record


def channels(file: Path, folder: Path) -> tuple[Path, Path]:
    """The two channels of a stereo file, each as a file of its own."""
    with wave.open(str(file)) as sound:
        assert sound.getnchannels() == 2
        frames, rate = sound.readframes(sound.getnframes()), sound.getframerate()
    made = []
    for side in (0, 1):
        path = folder / f"channel-{side}.wav"
        with wave.open(str(path), "wb") as mono:
            mono.setparams((1, 2, rate, 0, "NONE", ""))
            mono.writeframes(
                b"".join(frames[at + 2 * side : at + 2 * side + 2] for at in range(0, len(frames), 4))
            )
        made.append(path)
    return made[0], made[1]


def test_a_call_is_placed_recorded_and_written_down(rig: Rig, server: Ringback) -> None:
    anna = rig.baresip(server, "101", frequency=ANNA_HZ)
    bob = rig.baresip(server, "102", frequency=BOB_HZ)
    server.run("calls", "place", "101", "102")
    anna.wait_event("CALL_ESTABLISHED")
    bob.wait_event("CALL_ESTABLISHED")
    wait_until(lambda: only_call(server)["state"] == "talking", 5, "the two to be joined")
    call = only_call(server)
    assert (call["caller"]["number"], call["callee"]["number"]) == ("101", "102")
    assert (call["caller"]["name"], call["callee"]["name"]) == ("Anna", "Bob")
    assert "baresip" in call["callee"]["user_agent"]
    assert call["anchored"] == ""
    file = Path(server.run("calls", "record", call["id"]).strip())
    wait_until(lambda: only_call(server)["anchored"] == "it is recorded", 10, "the sound to come here")
    time.sleep(6)
    assert "through here: it is recorded (recorded)" in server.run("calls")
    server.run("calls", "record", call["id"], "--stop")
    anna.command("hangup")
    bob.wait_event("CALL_CLOSED")
    record = last_record(server, call["id"])
    assert (record["result"], record["ended_by"], record["recording"]) == ("answered", "caller", file.name)
    assert record["how_ended"].startswith("101 hung up after")
    assert 6 < record["ended_at"] - record["answered_at"] < 20
    streams = [leg["streams"][0] for leg in record["legs"] if leg["streams"]]
    assert [stream["codec"] for stream in streams] == ["PCMU", "PCMU"]
    assert all(stream["mos"] > 4 for stream in streams)
    assert {sample["leg"] for sample in record["quality"]} == {leg["name"] for leg in record["legs"]}
    left, right = channels(file, rig.folder)
    assert seconds_of_tone(left, ANNA_HZ) > 4
    assert seconds_of_tone(right, BOB_HZ) > 4
    assert "101 hung up" in server.run("calls", "--before", "--search", "anna")
    assert "MOS" in server.run("calls", "show", record["call_ids"][0])


def test_a_call_is_transferred_and_ended_from_outside(rig: Rig, server: Ringback) -> None:
    anna = rig.baresip(server, "101", frequency=ANNA_HZ)
    bob = rig.baresip(server, "102", frequency=BOB_HZ)
    carol = rig.baresip(server, "103", frequency=CAROL_HZ)
    anna.command("dial", f"sip:102@{server.domain}")
    anna.wait_event("CALL_ESTABLISHED")
    call = only_call(server)["id"]
    server.run("calls", "transfer", call, "103")
    carol.wait_event("CALL_ESTABLISHED")
    bob.wait_event("CALL_CLOSED")
    wait_until(lambda: only_call(server)["callee"]["number"] == "103", 5, "Carol in the call")
    time.sleep(2)
    server.run("calls", "hangup", call)
    carol.wait_event("CALL_CLOSED")
    anna.wait_event("CALL_CLOSED")
    assert seconds_of_tone(carol.heard(), ANNA_HZ) > 1
    record = last_record(server, call)
    assert record["ended_by"] == "server"
    assert "101 now speaks with 103" in [note["text"] for note in record["notes"]]
    assert server.run("calls") == "No call is on.\n"


@pytest.fixture(scope="module")
def two_workers(tmp_path_factory: pytest.TempPathFactory) -> Any:
    running = Ringback(tmp_path_factory.mktemp("two-workers"), "--workers", "2")
    try:
        for number, name in (("101", "Anna"), ("102", "Bob")):
            running.add_user(number, name, PASSWORD)
        yield running
    finally:
        running.stop()


def test_several_workers_write_into_one_book(rig: Rig, two_workers: Ringback) -> None:
    server = two_workers
    anna = rig.baresip(server, "101", transport="tcp")
    bob = rig.baresip(server, "102", transport="tcp")
    server.run("calls", "place", "101", "102")
    bob.wait_event("CALL_ESTABLISHED")
    wait_until(lambda: only_call(server)["state"] == "talking", 5, "the two to be joined")
    call = only_call(server)["id"]
    bob.command("hangup")
    anna.wait_event("CALL_CLOSED")
    assert last_record(server, call)["how_ended"].startswith("102 hung up")
    anna.command("dial", f"sip:102@{server.domain}")
    anna.wait_event("CALL_ESTABLISHED")
    call = only_call(server)["id"]
    server.run("calls", "hangup", call)
    anna.wait_event("CALL_CLOSED")
    assert last_record(server, call)["ended_by"] == "server"


def test_a_browser_and_a_desk_phone_are_called_for_each_other(
    rig: Rig, server: Ringback, browser: Browser
) -> None:
    page = rig.browser_phone(browser, server, "101", tone=500, calls="answer")
    bob = rig.baresip(server, "102", frequency=900.0, answer="manual")
    server.run("calls", "place", "101", "102")
    page.wait_event("established")
    bob.wait_event("CALL_INCOMING")
    wait_until(lambda: page.hears_of(440.0, 480.0), 10, "the tone of a phone that rings")
    bob.command("accept")
    bob.wait_event("CALL_ESTABLISHED")
    page.wait_hears(900)
    call = only_call(server)
    assert call["anchored"] == "101 is a browser (DTLS-SRTP)"
    time.sleep(1)  # before the announcement takes its place, its voice is heard
    server.run("calls", "play", call["id"], "not-in-service", "--side", "callee")
    time.sleep(3)
    page.start("hangup")
    bob.wait_event("CALL_CLOSED")
    assert seconds_of_tone(bob.heard(), 500.0) > 0.5
    record = last_record(server, call["id"])
    assert [leg["security"] for leg in record["legs"]] == ["dtls", "plain"]
    assert "AES" in record["legs"][0]["suite"]


def test_a_call_between_browsers_is_recorded(rig: Rig, server: Ringback, browser: Browser) -> None:
    anna = rig.browser_phone(browser, server, "101", tone=500)
    bob = rig.browser_phone(browser, server, "102", tone=900, calls="answer")
    anna.start("call", to=f"sip:102@{server.domain}")
    anna.wait_event("established")
    anna.wait_hears(900)
    call = only_call(server)["id"]
    file = Path(server.run("calls", "record", call).strip())
    wait_until(lambda: only_call(server)["anchored"] == "it is recorded", 10, "the sound to come here")
    anna.wait_hears(900)
    bob.wait_hears(500)
    time.sleep(3)
    server.run("calls", "record", call, "--stop")
    anna.start("hangup")
    bob.wait_event("ended")
    left, right = channels(file, rig.folder)
    assert seconds_of_tone(left, 500.0) > 1.5
    assert seconds_of_tone(right, 900.0) > 1.5
