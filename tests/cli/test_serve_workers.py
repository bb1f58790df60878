# SPDX-License-Identifier: Apache-2.0
"""`ringback serve --workers 2` as a user sees it: one server, whatever becomes of its processes."""

import json
import os
import re
import signal
from pathlib import Path

from command_line import ringback
from test_serve import Serve, register, serve, wait_for

__all__ = ["serve"]


def status(server: Serve) -> dict:
    return json.loads(ringback("status", "--json", data=server.data).stdout)


def workers(server: Serve) -> list[int]:
    return [worker["process"] for worker in status(server)["workers"]]


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_several_workers_are_one_server_to_everybody(serve, tmp_path: Path) -> None:
    trace = tmp_path / "calls.trace"
    server = serve("--workers", "2", "--trace", str(trace))
    port = server.port("udp")
    assert server.port("udp") == server.port("tcp")
    processes = workers(server)
    assert len({*processes, server.process.pid}) == 3
    assert (
        f"Workers              2 (processes {processes[0]}, {processes[1]})"
        in ringback("status", data=server.data).stdout
    )
    added = ringback("user", "add", "101", "Anna", "--password", "s3cret-s3cret", data=server.data)
    assert re.search(rf"Server +127\.0\.0\.1 +port {port} \(UDP\)", added.stdout)
    for _ in range(8):  # from eight ports: to both workers
        assert register(port, "101", "s3cret-s3cret") == 200
    wait_for(lambda: status(server)["registrations"] == 8)
    served = [worker["server"]["messages"]["received"] for worker in status(server)["workers"]]
    assert sum(served) == 16
    assert "101 (Anna)" in ringback("registrations", data=server.data).stdout
    wait_for(lambda: len(trace.read_text().splitlines()) == 32)
    assert status(server)["trace"]["written"] == 32
    assert ringback("user", "remove", "101", data=server.data).returncode == 0
    wait_for(lambda: status(server)["registrations"] == 0)
    assert register(port, "101", "s3cret-s3cret") in (401, 403)
    assert server.end() == 0
    assert not any(map(is_running, processes))
    assert "Traceback" not in server.text


def test_a_second_server_is_told_that_the_ports_are_in_use(serve, tmp_path: Path) -> None:
    """Workers share ports with each other, and with nobody else."""
    server = serve("--workers", "2")
    (tmp_path / "second").mkdir()
    ports = [
        "--sip-port",
        str(server.port("udp")),
        "--tls-port",
        "0",
        "--http-port",
        "0",
        "--https-port",
        "0",
    ]
    second = Serve(tmp_path / "second", "--workers", "2", ports=ports)
    assert second.ready is None
    assert second.end() == 1
    assert f"port {server.port('udp')} (UDP) is in use by another program" in second.text


def test_workers_do_not_outlive_a_server_that_is_killed(serve) -> None:
    server = serve("--workers", "2")
    ringback("user", "add", "101", "Anna", "--password", "s3cret-s3cret", data=server.data)
    assert register(server.port("udp"), "101", "s3cret-s3cret") == 200
    wait_for(lambda: status(server)["registrations"] == 1 and status(server)["store"]["pending"] == 0)
    processes = workers(server)
    os.kill(processes[0], signal.SIGSTOP)  # one that hangs is killed with it
    server.end(signal.SIGKILL)
    wait_for(lambda: not any(map(is_running, processes)), 5)
    again = serve("--workers", "3")
    assert "1 registered phone kept from before" in again.text
    assert [worker["server"]["registrations"] for worker in status(again)["workers"]] == [1, 1, 1]


def test_the_terminal_s_interrupt_ends_a_server_once(serve) -> None:
    server = serve("--workers", "2")
    processes = workers(server)
    for process in (*processes, server.process.pid):
        os.kill(process, signal.SIGINT)
    assert server.process.wait(15) == 0
    assert "Stopping; registrations are kept." in server.text
    assert "replaced" not in server.text
    assert not any(map(is_running, processes))
