# SPDX-License-Identifier: Apache-2.0
"""Is the page of diagnostics what the tables say, and do the tables name things that exist?"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from ringback.cli import COMMANDS
from ringback.net import tls_failures
from ringback.server.config import Settings
from ringback.server.reload import value_at
from ringback.server.verdicts import encryption
from ringback.server.verdicts.diagnose import FAMILIES
from ringback.server.verdicts.diagnostic import Diagnostic

ROOT = Path(__file__).parents[3]
ROWS = [row for _, _, rows in FAMILIES for row in rows]
SECTIONS = "|".join(Settings.model_fields)


def test_the_page_is_current() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "write_diagnostics.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_number_and_no_title_is_there_twice() -> None:
    assert len({row.number for row in ROWS}) == len(ROWS) == len({row.title for row in ROWS})


@pytest.mark.parametrize(("rows", "thousand"), [(rows, number) for (_, _, rows), number in zip(FAMILIES, (1, 2, 3, 4, 5), strict=True)])  # fmt: skip
def test_every_family_has_its_thousand(rows: tuple[Diagnostic, ...], thousand: int) -> None:
    assert {row.number // 1000 for row in rows} == {thousand}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.code)
def test_settings_and_commands_that_a_diagnostic_names_exist(row: Diagnostic) -> None:
    text = f"{row.cause} {row.advice}"
    for setting in re.findall(rf"\b((?:{SECTIONS})\.[a-z_]+)", text):
        value_at(Settings(), tuple(setting.split(".")))
    for command in re.findall(r"`ringback ([a-z-]+)", text):
        assert command in COMMANDS
    assert row.title[0].isupper()
    assert row.cause.endswith((".", ")"))
    assert row.advice.endswith(".")


def test_every_way_a_handshake_can_fail_has_its_row() -> None:
    assert set(tls_failures.KINDS.values()) | {"took too long", "hung up"} == set(encryption.THEY_CALLED)
    assert set(tls_failures.VERIFY_CODES.values()) == set(encryption.WE_CALLED)
