# SPDX-License-Identifier: Apache-2.0
"""Whose is the data directory? One server at a time, and its owner only."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from ringback.server.storage.store import StorageError

LOCK_NAME = "lock"


def make_directory(directory: Path) -> bool:
    """Make the directory (0700) if it is not there; True when it is new. One that exists keeps its mode."""
    if directory.is_dir():
        if not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
            raise StorageError(
                f"the data directory {directory} cannot be written; choose another with --data"
            )
        return False
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        directory.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"the data directory {directory} cannot be made: {error.strerror}; choose another with --data"
        ) from error
    return True


class DirectoryLock:
    """Held while a server uses the directory; the system lets go of it when the process ends, however it
    ends.
    """

    __slots__ = ("_descriptor",)

    def __init__(self, directory: Path) -> None:
        file = directory / LOCK_NAME
        try:
            self._descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StorageError(f"{file} cannot be opened: {error.strerror or error}") from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(self._descriptor, 32).decode("ascii", "replace").strip()
            os.close(self._descriptor)
            who = f" (process {holder})" if holder else ""
            raise StorageError(
                f"another server{who} is using {directory}; stop it, or choose another directory with --data"
            ) from error
        os.ftruncate(self._descriptor, 0)
        os.write(self._descriptor, b"%d\n" % os.getpid())

    def release(self) -> None:
        """Let another server have the directory."""
        os.close(self._descriptor)
