# SPDX-License-Identifier: Apache-2.0
"""Pages that are made from code are current, and names that pages mention exist."""

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "ringback"
LIFE = (ROOT / "docs" / "life-of-an-invite.md").read_text()


def test_the_diagrams_are_what_the_tables_say() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "draw_state_machines.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("file", sorted(set(re.findall(r"\b([a-z_]+(?:/[a-z_]+)+\.py)\b", LIFE))))
def test_the_files_in_the_life_of_an_invite_exist(file: str) -> None:
    assert (SOURCE / file).is_file()


def named_with_their_file() -> list[tuple[str, str]]:
    found = []
    file = ""
    for line in LIFE.split("\n"):
        if match := re.search(r"\b([a-z_]+(?:/[a-z_]+)+)\.py\b", line):
            file = match[1]
            rest = line[match.end() :]
            found += [
                (file, name) for name in re.findall(r"\b([A-Z]\w+(?:\.[a-z_]+)?|[a-z]+_[a-z_]+(?=\())", rest)
            ]
    return [(file, name) for file, name in found if name not in ("NAT", "INVITE")]


@pytest.mark.parametrize(("file", "name"), named_with_their_file())
def test_the_names_in_the_life_of_an_invite_exist(file: str, name: str) -> None:
    value: object = importlib.import_module(f"ringback.{file.replace('/', '.')}")
    for part in name.split("."):
        value = getattr(value, part)


@pytest.mark.parametrize(
    "file",
    sorted(
        set(
            re.findall(
                r"`((?:sip|net|server|pbx|cli|media|kernel|tools)/[\w/]+\.py)`",
                (ROOT / "ARCHITECTURE.md").read_text(),
            )
        )
    ),
)
def test_the_files_in_the_architecture_exist(file: str) -> None:
    assert (SOURCE / file).is_file() or (ROOT / file).is_file()
