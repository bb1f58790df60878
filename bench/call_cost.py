# SPDX-License-Identifier: Apache-2.0
"""What does a call through the server cost? CPU time of `ringback serve` per call, with SIPp on both ends.

    python bench/call_cost.py [calls] [calls-per-second] [rounds]

Prints the CPU microseconds (user + system, from the operating system's accounting) per call and per message, the median of the rounds. A
call is INVITE, 407, ACK, INVITE with credentials, 100, 180, 200, ACK, BYE, 200: the server receives and sends 16 messages for it (eight in, eight out).
"""

import os
import statistics
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "interop"))

from interop_process import free_port
from interop_ringback import Ringback
from interop_sipp import Sipp

PASSWORD = "secret-pass-1234"
MESSAGES_PER_CALL = 16
SCENARIOS = ROOT / "tests" / "interop" / "scenarios"


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and of the children it has waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(int(fields[index]) for index in (11, 12, 13, 14)) / os.sysconf("SC_CLK_TCK")


def run(folder: Path, calls: int, rate: int) -> float:
    server = Ringback(folder / "server", traced=False)
    try:
        server.add_user("101", "Anna", PASSWORD)
        server.add_user("102", "Bob", PASSWORD)
        port = free_port()
        uas = Sipp(folder / "uas", "-sf", str(SCENARIOS / "answer.xml"), "-p", str(port))
        keys = ["-key", "domain", server.domain]
        register = [
            "-sf",
            str(SCENARIOS / "register.xml"),
            "-m",
            "1",
            "-s",
            "102",
            "-au",
            "102",
            "-ap",
            PASSWORD,
        ]
        assert (
            Sipp(folder / "register", *register, "-key", "contact_port", str(port), *keys, server.sip)
            .result(20)
            .successful
            == 1
        )
        call = [
            "-sf",
            str(SCENARIOS / "call.xml"),
            "-s",
            "102",
            "-au",
            "101",
            "-ap",
            PASSWORD,
            "-d",
            "100",
            *keys,
        ]
        Sipp(folder / "warm", *call, "-m", "100", "-r", "50", server.sip).result(60)
        before = cpu_seconds(server.program.process.pid)
        result = Sipp(folder / "calls", *call, "-m", str(calls), "-r", str(rate), server.sip).result(300)
        spent = cpu_seconds(server.program.process.pid) - before
        uas.stop()
        if (result.successful, result.retransmissions) != (calls, 0):
            print(
                f"  {result.failed} failed, {result.retransmissions} retransmissions: this round is not comparable"
            )
        return spent / calls * 1e6
    finally:
        server.stop()


def main() -> None:
    calls, rate, rounds = (int(word) for word in (*sys.argv[1:4], *("2000", "100", "3")[len(sys.argv) - 1 :]))
    costs = []
    for number in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            costs.append(run(Path(folder), calls, rate))
        print(f"round {number + 1}: {costs[-1]:.0f} us of CPU a call")
    median = statistics.median(costs)
    print(
        f"median: {median:.0f} us a call, {median / MESSAGES_PER_CALL:.0f} us a message ({calls} calls at {rate}/s)"
    )


if __name__ == "__main__":
    main()
