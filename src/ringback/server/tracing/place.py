# SPDX-License-Identifier: Apache-2.0
"""Where do the files of a trace lie, and which of them are whose?

`trace/0-00000012.sip` is the twelfth file of worker 0. Every worker writes, reads and removes its own; those
of workers that there are no more belong to worker 0.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

_NAME = re.compile(r"([0-9]{1,3})-([0-9]{8})\.sip")


@dataclass(frozen=True, slots=True)
class Place:
    """The folder, and which of several workers asks."""

    folder: Path
    worker: int = 0
    workers: int = 1

    def path(self, number: int) -> Path:
        """Of the file with this number."""
        return self.folder / f"{self.worker}-{number:08}.sip"

    def files(self) -> list[tuple[float, Path]]:
        """Ours, with the time of their last change, the oldest first."""
        found: list[tuple[float, str, Path]] = []
        try:
            with os.scandir(self.folder) as entries:
                for entry in entries:
                    name = _NAME.fullmatch(entry.name)
                    if (
                        name is not None
                        and self._is_ours(int(name[1]))
                        and entry.is_file(follow_symlinks=False)
                    ):
                        found.append((entry.stat().st_mtime, entry.name, Path(entry.path)))
        except FileNotFoundError:
            return []
        return [(changed, path) for changed, _, path in sorted(found)]

    def next_number(self) -> int:
        """One that no file has."""
        numbers = [
            int(name[2])
            for _, path in self.files()
            if (name := _NAME.fullmatch(path.name)) is not None and int(name[1]) == self.worker
        ]
        return max(numbers, default=0) + 1

    def _is_ours(self, worker: int) -> bool:
        return worker == self.worker or (self.worker == 0 and worker >= self.workers)
