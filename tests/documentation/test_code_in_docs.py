# SPDX-License-Identifier: Apache-2.0
"""The code in README.md and docs/ runs, and every command shown there exists.

A python block is at least compiled. A comment line before it asks for more:
`<!-- test: run -->` runs it to its end against a real server; `<!-- test: stays -->` expects it to run until interrupted.
"""

import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"(?:<!-- test: (\w+) -->\n+)?```(\w+)\n(.*?)```", re.DOTALL)
SUBCOMMANDS = ("user", "device", "config")


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block of a page."""

    page: str
    line: int
    language: str
    mode: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(language: str) -> list[Block]:
    found = []
    for page in PAGES:
        text = page.read_text()
        for match in BLOCK.finditer(text):
            if match[2] == language:
                line = text.count("\n", 0, match.start(3)) + 1
                found.append(Block(str(page.relative_to(ROOT)), line, match[2], match[1] or "", match[3]))
    return found


@pytest.mark.parametrize("block", blocks("python"), ids=str)
def test_python_in_the_docs_compiles(block: Block) -> None:
    compile(block.text, str(block), "exec", flags=0x2000)  # top-level await is fine in a page


@pytest.fixture(scope="module")
def pbx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """host:port of a server with users 101 and 102 (password s3cret-s3cret), and a phone that answers 102 with an echo."""
    sys.path.insert(0, str(ROOT / "tests" / "interop"))
    from interop_process import Program
    from interop_ringback import RINGBACK, Ringback

    folder = tmp_path_factory.mktemp("docs")
    server = Ringback(folder, domain="127.0.0.1")
    echo = None
    try:
        for number, person in (("101", "Anna"), ("102", "Bob")):
            server.add_user(number, person, "s3cret-s3cret")
        echo = Program(
            [*RINGBACK, "answer", "--as", f"102@{server.sip}", "--password", "s3cret-s3cret", "--echo"],
            folder / "echo.log",
        )
        echo.wait_for("ready", 15)
        yield server.sip
    finally:
        if echo is not None:
            echo.stop()
        server.stop()


def write_script(block: Block, folder: Path, pbx: str) -> Path:
    from interop_sound import write_tone

    write_tone(folder / "reminder.wav", 440.0, seconds=1)
    script = folder / "sample.py"
    text = (
        block.text.replace("pbx.example.com", pbx)
        .replace('"s3cret"', '"s3cret-s3cret"')
        .replace("+442079460018", "102")
    )
    script.write_text(text)
    return script


@pytest.mark.parametrize("block", [b for b in blocks("python") if b.mode == "run"], ids=str)
def test_python_in_the_docs_runs(block: Block, tmp_path: Path, pbx: str) -> None:
    script = write_script(block, tmp_path, pbx)
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("block", [b for b in blocks("python") if b.mode == "stays"], ids=str)
def test_python_in_the_docs_stays_until_interrupted(block: Block, tmp_path: Path, pbx: str) -> None:
    script = write_script(block, tmp_path, pbx)
    with (tmp_path / "out").open("wb") as sink:
        process = subprocess.Popen([sys.executable, script], cwd=tmp_path, stdout=sink, stderr=sink)
        try:
            time.sleep(3)
            assert process.poll() is None, (tmp_path / "out").read_text()
            process.send_signal(signal.SIGINT)
            process.wait(10)
        finally:
            process.kill()
            process.wait()
    assert "Traceback" not in (tmp_path / "out").read_text()


def shown_commands() -> list[tuple[str, str]]:
    lines = []
    for block in blocks("console"):
        for line in block.text.split("\n"):
            if match := re.match(r"\$ (?:\S+/)?ringback( .*)?$", line):
                lines.append((str(block), (match[1] or "").split("#")[0].strip()))
    return lines


@cache
def help_of(*command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "ringback", *command, "--help"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(("where", "arguments"), shown_commands(), ids=lambda value: str(value)[:40])
def test_every_command_in_the_docs_exists_with_its_options(where: str, arguments: str) -> None:
    words = shlex.split(arguments)
    depth = 2 if words and words[0] in SUBCOMMANDS else 1
    command = [word for word in words[:depth] if not word.startswith("-")]
    text = help_of(*command)
    for word in words:
        if word.startswith("--"):
            assert word.split("=")[0] in text, f"{where}: {word} is no option of ringback {' '.join(command)}"


def test_every_page_that_is_linked_exists() -> None:
    for page in [*PAGES, ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md"]:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name} links to {target}"
