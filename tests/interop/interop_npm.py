# SPDX-License-Identifier: Apache-2.0
"""Installing what a folder's package.json names with npm, once, into the virtual environment."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from interop_process import require

NAMES = ("package.json", "package-lock.json", ".npmrc")


def installed(source: Path) -> Path:
    """The folder with the packages in it; filled the first time, and again when the wanted versions change."""
    npm = require("npm", "npm")
    wanted = b"".join((source / name).read_bytes() for name in NAMES)
    folder = Path(sys.prefix) / f"{source.name}-{hashlib.sha256(wanted).hexdigest()[:12]}"
    if not folder.exists():
        with tempfile.TemporaryDirectory(dir=sys.prefix, prefix=f"{source.name}-new-") as fresh:
            _install(npm, source, Path(fresh) / source.name)
            try:
                (Path(fresh) / source.name).rename(folder)
            except OSError:  # another test run was faster
                assert folder.exists()
    return folder


def _install(npm: str, source: Path, folder: Path) -> None:
    folder.mkdir()
    for name in NAMES:
        shutil.copy(source / name, folder)
    done = subprocess.run(
        [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
        cwd=folder, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        reason = f"npm could not install {source.name}: {(done.stderr + done.stdout)[-600:]}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
