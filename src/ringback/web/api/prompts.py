# SPDX-License-Identifier: Apache-2.0
"""Which file does a prompt's name mean? One under the data directory, or a built-in one; never another."""

from __future__ import annotations

from pathlib import Path

from ringback.media.prompts import PROMPTS
from ringback.web.api.access import missing


def file_inside(folder: Path, name: str) -> Path | None:
    """The plain file of that name in the folder itself; None if there is none, or a link leads out of it."""
    if not name or name != Path(name).name or name.startswith(".") or "\x00" in name:
        return None
    try:
        file = (folder / name).resolve(strict=True)
        is_inside = file.parent == folder.resolve(strict=True) and file.is_file()
    except (OSError, RuntimeError):  # RuntimeError: links in a circle
        return None
    return file if is_inside else None


def prompt_argument(folder: Path, name: str) -> str:
    """What "call-play" is told: the path of a file, or the name of a built-in prompt."""
    file = file_inside(folder, name)
    if file is not None:
        return str(file)
    if name in PROMPTS:
        return name
    raise missing("prompt", name)
