# SPDX-License-Identifier: Apache-2.0
"""Does docs/reliability.md tell the truth? Each test it names exists, and each test of this folder is in its row."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reliability.md").read_text()
ROWS = range(1, 59)
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
#: "Row 9:", "Rows 5 and 51:", "Rows 1 to 7:", "Section 6.1:"
DOCSTRING = re.compile(r"(?:Rows? (\d+)(?: (and|to) (\d+))?|Section (6)(?:\.\d)?): ")


def lines() -> dict[int, str]:
    """The line of each row."""
    found = re.findall(r"^\| (\d+) \|.*$", PAGE, re.MULTILINE)
    texts = [line for line in PAGE.split("\n") if re.match(r"\| \d+ \|", line)]
    assert [int(number) for number in found] == list(ROWS), "every row once, in order"
    return dict(zip(ROWS, texts, strict=True))


def functions(file: Path) -> dict[str, str]:
    """The tests of a file and their docstrings."""
    return {
        node.name: ast.get_docstring(node) or ""
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    }


def ours() -> Iterator[tuple[str, str, str]]:
    """(path, name, docstring) of every test of this folder."""
    for file in sorted(Path(__file__).parent.glob("test_*.py")):
        if file != Path(__file__):
            for name, text in functions(file).items():
                yield str(file.relative_to(ROOT)), name, text


def test_every_test_the_page_names_exists() -> None:
    named = NAMED.findall(PAGE)
    assert len(named) > 150
    for path, name in named:
        assert name in functions(ROOT / path), f"{path}::{name}"


@pytest.mark.parametrize("row", ROWS)
def test_every_row_has_a_test_or_says_what_is_missing(row: int) -> None:
    line = lines()[row]
    assert NAMED.search(line) or "not there yet" in line


def test_every_test_here_says_its_row_and_stands_in_it() -> None:
    table = lines()
    secrets = PAGE.partition("## Secrets")[2]
    for path, name, text in ours():
        said = DOCSTRING.match(text)
        assert said, f"{path}::{name} does not say its row"
        first, word, last, section = said.groups()
        here = f"`{path}::{name}`"
        if section:
            assert here in secrets, here
        elif word == "to":
            assert any(here in table[row] for row in range(int(first), int(last) + 1)), here
        else:
            for row in filter(None, (first, last)):
                assert here in table[int(row)], f"{here} is not in row {row}"
