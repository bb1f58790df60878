# SPDX-License-Identifier: Apache-2.0
"""Which file does a name mean that came from outside? One in the folder itself, and never another."""

from __future__ import annotations

from pathlib import Path


def file_inside(folder: Path, name: str) -> Path | None:
    """The plain file of that name; None if there is none, or a link leads out of the folder."""
    if not name or name != Path(name).name or name.startswith(".") or "\x00" in name:
        return None
    try:
        file = (folder / name).resolve(strict=True)
        is_inside = file.parent == folder.resolve(strict=True) and file.is_file()
    except (OSError, RuntimeError):  # RuntimeError: links in a circle
        return None
    return file if is_inside else None
