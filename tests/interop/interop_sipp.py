# SPDX-License-Identifier: Apache-2.0
"""SIPp: scenarios, and what its statistics say happened."""

import csv
from dataclasses import dataclass
from pathlib import Path

from interop_process import Program, require


@dataclass(frozen=True, slots=True)
class SippResult:
    """The last line of SIPp's statistics."""

    exit_code: int
    successful: int
    failed: int
    retransmissions: int
    unexpected: int
    output: str


class Sipp:
    """One SIPp run in `folder`."""

    def __init__(self, folder: Path, *arguments: str, host: str = "127.0.0.1") -> None:
        program = require("sipp", "sip-tester")
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.program = Program(
            [program, *arguments, "-i", host, "-nostdin", "-trace_err", "-error_file", str(folder / "errors"),
             "-trace_stat", "-stf", str(folder / "statistics.csv"), "-trace_screen", "-screen_file", str(folder / "screen")],
            folder / "log",
            cwd=folder,
            env={"TERM": "dumb"},
        )  # fmt: skip

    def result(self, timeout: float) -> SippResult:
        code = self.program.wait(timeout)
        rows = list(csv.DictReader((self.folder / "statistics.csv").read_text().split("\n"), delimiter=";"))
        last = rows[-1]
        errors = self.folder / "errors"
        screen = self.folder / "screen"
        return SippResult(
            exit_code=code,
            successful=int(last["SuccessfulCall(C)"]),
            failed=int(last["FailedCall(C)"]),
            retransmissions=int(last["Retransmissions(C)"]),
            unexpected=int(last["FailedUnexpectedMessage(C)"]) + int(last["OutOfCallMsgs(C)"]),
            output=(errors.read_text()[-3000:] if errors.exists() else "")
            + (screen.read_text()[-3000:] if screen.exists() else ""),
        )

    def stop(self) -> None:
        self.program.stop()
