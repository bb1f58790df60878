# SPDX-License-Identifier: Apache-2.0
"""A server of two worker processes, asked by programs that know nothing of it: SIPp from many ports, baresip over TCP."""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from interop_baresip import Baresip
from interop_process import free_port, wait_until
from interop_rig import PASSWORD, Rig
from interop_ringback import Ringback
from interop_sipp import Sipp
from interop_sound import seconds_of_tone

SCENARIOS = Path(__file__).parent / "scenarios"
ANNA_HZ, BOB_HZ = 440.0, 700.0


@pytest.fixture
def server(rig: Rig, request: pytest.FixtureRequest) -> Ringback:
    """`request.param` is how calls are carried: bridged, unless a test wants it otherwise."""
    mode = getattr(request, "param", "bridge")
    # Nobody is refused here: on a busy machine the overload gate would, and rightly.
    server = rig.ringback(config=f'workers = 2\n[overload]\nenabled = false\n[calls]\nmode = "{mode}"\n')
    for number, name in (("101", "Anna"), ("102", "Bob")):
        server.add_user(number, name, PASSWORD)
    return server


def workers(server: Ringback) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(server.run("status", "--json"))["workers"]
    return found


def answering(rig: Rig, server: Ringback) -> None:
    """SIPp as the phone of 102."""
    port = free_port()
    rig.sipp("-sf", str(SCENARIOS / "answer.xml"), "-p", str(port))
    result = rig.sipp(
        "-sf", str(SCENARIOS / "register.xml"), "-m", "1", "-s", "102", "-au", "102", "-ap", PASSWORD, "-key", "contact_port",
        str(port), "-key", "domain", server.domain, server.sip,
    ).result(20)  # fmt: skip
    assert result.exit_code == 0, result.output


def calling(rig: Rig, server: Ringback, *, calls: int, rate: int, hold: int, transport: str = "u1") -> Sipp:
    return rig.sipp(
        "-sf", str(SCENARIOS / "call.xml"), "-m", str(calls), "-r", str(rate), "-d", str(hold), "-s", "102", "-t", transport,
        "-au", "101", "-ap", PASSWORD, "-key", "domain", server.domain, server.sip,
    )  # fmt: skip


def test_a_thousand_calls_from_eight_places_meet_their_workers(rig: Rig, server: Ringback) -> None:
    answering(rig, server)
    callers = [calling(rig, server, calls=125, rate=12, hold=200) for _ in range(8)]
    for caller in callers:
        result = caller.result(90)
        assert (result.exit_code, result.successful, result.failed, result.unexpected) == (0, 125, 0, 0), (
            result.output
        )
    counted = [worker["server"]["messages"] for worker in workers(server)]
    assert all(messages["received"] > 100 for messages in counted)
    assert all(messages["stray_responses"] == 0 for messages in counted)


@pytest.mark.parametrize("server", ["proxy"], indirect=True)
def test_calls_end_well_though_a_worker_is_killed_in_the_middle_of_them(rig: Rig, server: Ringback) -> None:
    answering(rig, server)
    callers = [calling(rig, server, calls=20, rate=20, hold=4000) for _ in range(4)]
    wait_until(lambda: _answered(server) >= 80, 20, "80 calls")
    before = [worker["process"] for worker in workers(server)]
    os.kill(before[0], signal.SIGKILL)
    for caller in callers:
        result = caller.result(60)
        assert (result.exit_code, result.successful, result.failed) == (0, 20, 0), result.output
    after = [worker["process"] for worker in workers(server)]
    assert after[0] != before[0]
    assert after[1] == before[1]
    assert "101" not in server.run("registrations")
    assert "102" in server.run("registrations")


def _answered(server: Ringback) -> int:
    """Calls that are answered: their ACK went through the server."""
    return sum(
        '"sent"' in line and '"message": "ACK' in line for line in server.trace.read_text().split("\n")
    )


def test_two_tcp_phones_on_different_workers_hear_each_other(rig: Rig, server: Ringback) -> None:
    anna = rig.baresip(server, "101", transport="tcp", frequency=ANNA_HZ)
    bob = on_the_other_worker(rig, server)
    for caller, callee, number in ((anna, bob, "102"), (bob, anna, "101")):
        caller.command("dial", f"sip:{number}@{server.domain}")
        caller.wait_event("CALL_ESTABLISHED")
        callee.wait_event("CALL_ESTABLISHED")
        time.sleep(1.5)  # real phones speak in real time
        callee.command("hangup")
        caller.wait_event("CALL_CLOSED")
        callee.wait_event("CALL_CLOSED")
    assert seconds_of_tone(anna.heard(), BOB_HZ) > 0.7
    assert seconds_of_tone(bob.heard(), ANNA_HZ) > 0.7
    assert sum(worker["server"]["given_to_other_workers"] for worker in workers(server)) > 0


def on_the_other_worker(rig: Rig, server: Ringback) -> Baresip:
    """The system gives each connection to one of them: try until each worker knows one of the other's."""
    for _ in range(10):
        phone = rig.baresip(server, "102", transport="tcp", frequency=BOB_HZ)
        counts = [worker["server"]["connections_of_other_workers"] for worker in workers(server)]
        if counts == [1, 1]:
            return phone
        phone.stop()
    raise AssertionError("all connections reach one worker")
