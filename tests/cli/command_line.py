# SPDX-License-Identifier: Apache-2.0
"""Running `ringback` commands from tests: inside this process (fast), or as a program of its own."""

import io
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from ringback.cli import main

#: Without the console's process, which takes a second of its own to start; tests/web has those with it.
CLEAN = {
    **{name: value for name, value in os.environ.items() if not name.startswith("RINGBACK_")},
    "RINGBACK_WEB__CONSOLE": "false",
}


@dataclass(frozen=True, slots=True)
class Done:
    """What a command came to."""

    returncode: int
    stdout: str
    stderr: str


def _words(arguments: tuple[str, ...], data: Path | None) -> list[str]:
    return [*arguments, *(["--data", str(data)] if data else [])]


def ringback(*arguments: str, data: Path | None = None, stdin: str = "", **environment: str) -> Done:
    """Run one command in this process."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in range(2))
    code: object = None
    with (
        patch.object(sys, "argv", ["ringback", *_words(arguments, data)]),
        patch.object(sys, "stdin", io.StringIO(stdin)),
        patch.dict(os.environ, {**CLEAN, **environment}, clear=True),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as end:
            code = end.code
    out.flush(), err.flush()
    said, complained = (stream.buffer.getvalue().decode() for stream in (out, err))  # type: ignore[attr-defined]
    return Done(code if isinstance(code, int) else 0, said, complained)


def ringback_program(*arguments: str, data: Path | None = None, **environment: str) -> Done:
    """Run one command as a program of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "ringback", *_words(arguments, data)],
        capture_output=True, text=True, encoding="utf-8", errors="replace", timeout=30, check=False,
        env={**CLEAN, **environment},
    )  # fmt: skip
    return Done(done.returncode, done.stdout, done.stderr)
