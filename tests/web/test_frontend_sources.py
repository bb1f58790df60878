# SPDX-License-Identifier: Apache-2.0
"""Do the tests of the pages' own code pass? They are written in JavaScript and run by Node."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

FRONTEND = Path(__file__).parents[2] / "frontend"


def test_node_finds_nothing_wrong() -> None:
    node = shutil.which("node")
    if node is None or not (FRONTEND / "node_modules" / "typescript").is_dir():
        reason = "Node or the packages of frontend/ are missing: make frontend"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    tests = sorted(str(file) for file in (FRONTEND / "tests").glob("*.test.mjs"))
    assert tests
    done = subprocess.run([node, "--test", *tests], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
