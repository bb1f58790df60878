# SPDX-License-Identifier: Apache-2.0
"""Does a program that none of us wrote say the same? SIPp calls through both servers, paced, over UDP and TCP.

SIPp registers nobody here: the load generator registers the one user whose Contact is SIPp's answering side.
"""

from __future__ import annotations

import csv
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench_accounting import cpu_seconds
from bench_cases import BY_NAME, Case
from bench_program import ROOT, BenchmarkError, Program, free_port, require
from bench_register import register
from bench_turn import Server, Setup, running

SCENARIOS = ROOT / "bench" / "sipp"
SECONDS, WARM_UP = 8, 2
RATES = (500, 2000)


def measure(*, kernel: str, tell: Callable[[str], None]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for transport in ("udp", "tcp"):
        case = BY_NAME["call"]
        case = replace(case, load=replace(case.load, tcp=transport == "tcp"))
        for rate in RATES:
            for setup in (Setup("ringback", kernel=kernel), Setup("kamailio")):
                tell(f"sipp: {setup.server}, {rate} calls/s over {transport}")
                found.setdefault(f"{transport}-{rate}", {})[setup.server] = _turn(
                    setup, case, rate, transport
                )
    return found


def _turn(setup: Setup, case: Case, rate: int, transport: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="ringback-bench-") as name:
        folder = Path(name)
        with running(setup, case, folder) as server:
            return _calls(server, folder, rate, transport)


def _calls(server: Server, folder: Path, rate: int, transport: str) -> dict[str, Any]:
    port, mode = free_port(), "t1" if transport == "tcp" else "u1"
    answering = _sipp(folder / "answering", "-sf", str(SCENARIOS / "answer.xml"), "-p", str(port), "-t", mode)
    try:
        register(
            server.address, server.domain, "100000", f"sip:100000@127.0.0.1:{port};transport={transport}"
        )
        words = [
            "-sf",
            str(SCENARIOS / "call.xml"),
            "-s",
            "100000",
            "-key",
            "domain",
            server.domain,
            "-t",
            mode,
            "-recv_timeout",
            "10000",
            server.address,
        ]
        _result(_sipp(folder / "warm", *words, "-r", str(rate), "-m", str(rate * WARM_UP)), folder / "warm")
        before, begun = cpu_seconds(server.pid), time.monotonic()
        counted = _result(
            _sipp(folder / "calls", *words, "-r", str(rate), "-m", str(rate * SECONDS)), folder / "calls"
        )
        spent, lasted = cpu_seconds(server.pid) - before, time.monotonic() - begun
    finally:
        answering.stop()
    calls = counted["successful"] or 1
    return {"us_per_call": spent / calls * 1e6, "rate": calls / lasted, **counted}


def _sipp(folder: Path, *words: str) -> Program:
    folder.mkdir()
    command = [
        require("sipp", "sip-tester"),
        *words,
        "-i",
        "127.0.0.1",
        "-nostdin",
        "-trace_err",
        "-error_file",
        str(folder / "errors"),
        "-trace_stat",
        "-stf",
        str(folder / "statistics"),
    ]
    return Program(command, folder / "log", env={"TERM": "dumb"})


def _result(program: Program, folder: Path) -> dict[str, int]:
    try:
        program.process.wait(120)
    except TimeoutError as error:
        raise BenchmarkError("SIPp did not end") from error
    finally:
        program.stop()
    last = list(csv.DictReader((folder / "statistics").read_text().split("\n"), delimiter=";"))[-1]
    return {
        "successful": int(last["SuccessfulCall(C)"]),
        "failed": int(last["FailedCall(C)"]),
        "retransmissions": int(last["Retransmissions(C)"]),
    }
