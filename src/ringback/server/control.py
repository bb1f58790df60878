# SPDX-License-Identifier: Apache-2.0
"""How do other commands talk to the running server? JSON lines over a socket in the data directory.

Whoever may read the directory may speak: the socket has mode 0600. A request is `{"verb": ..., ...}`, the
answer `{"ok": true, ...}` or `{"ok": false, "error": ...}`. The server side is asynchronous, the client
side (`ask`) blocks.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
import stat
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ringback.sip.errors import RingbackError

logger = logging.getLogger("ringback.control")

SOCKET_NAME = "control.sock"
MAX_REQUEST = 65_536
MAX_ANSWER = 67_108_864
MAX_CONNECTIONS = 16
IDLE = 10.0
#: The longest path a socket address holds on Linux is 107 bytes; beyond it the directory is named by
#: descriptor.
MAX_PATH = 100

Answer = dict[str, Any]
Verb = Callable[[Mapping[str, Any]], Awaitable[Answer]]


class ControlError(RingbackError):
    """The running server refused, or answered nonsense."""


class NoServer(ControlError):
    """No server is running on this data directory."""


class ControlServer:
    """Answers on the socket of one data directory."""

    __slots__ = ("_directory", "_open", "_server", "_verbs")

    def __init__(self, directory: Path, verbs: Mapping[str, Verb]) -> None:
        self._directory = directory
        self._verbs = verbs
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen. The caller holds the lock of the directory, so a socket that is there already is a dead
        one's.
        """
        file = self._directory / SOCKET_NAME
        with contextlib.suppress(FileNotFoundError):
            if stat.S_ISSOCK(file.lstat().st_mode):
                file.unlink()
        with _short_path(self._directory) as path:
            listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            before = os.umask(0o177)
            try:
                listening.bind(path)
            finally:
                os.umask(before)
        self._server = await asyncio.start_unix_server(self._accept, sock=listening, limit=MAX_REQUEST)

    async def close(self) -> None:
        """Stop listening, end what is open, and take the socket away."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        with contextlib.suppress(OSError):
            (self._directory / SOCKET_NAME).unlink(missing_ok=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or self._server is None or len(self._open) >= MAX_CONNECTIONS:
            writer.close()
            return
        self._open.add(task)
        try:
            await self._converse(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass  # the other command has gone, or we are closing
        finally:
            self._open.discard(task)
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                line = await asyncio.wait_for(reader.readline(), IDLE)
            except (TimeoutError, ValueError):  # ValueError: the line is longer than MAX_REQUEST
                return
            if not line.endswith(b"\n"):
                return
            writer.write(json.dumps(await self._answer(line)).encode("ascii") + b"\n")
            await asyncio.wait_for(writer.drain(), IDLE)

    async def _answer(self, line: bytes) -> Answer:
        try:
            request = json.loads(line)
        except (ValueError, RecursionError):
            return {"ok": False, "error": "the request is no JSON"}
        verb = self._verbs.get(str(request.get("verb"))) if isinstance(request, dict) else None
        if verb is None:
            return {"ok": False, "error": f"the verbs are: {', '.join(self._verbs)}"}
        try:
            return {"ok": True, **await verb(request)}
        except RingbackError as error:
            return {"ok": False, "error": str(error)}


def ask(directory: Path, verb: str, *, timeout: float = 10.0, **arguments: object) -> Answer:
    """Ask the running server. Raises `NoServer` when there is none, `ControlError` when it refuses."""
    with contextlib.closing(_connect(directory, timeout=timeout)) as connection:
        try:
            connection.sendall(json.dumps({"verb": verb, **arguments}).encode("ascii") + b"\n")
            answer = json.loads(_read_line(connection))
        except TimeoutError as error:
            raise ControlError(f"the running server gave no answer in {timeout:g} seconds") from error
        except (OSError, ValueError, RecursionError) as error:
            raise ControlError(f"the running server gave no answer that makes sense: {error}") from error
    if not isinstance(answer, dict) or answer.get("ok") is not True:
        raise ControlError(str(answer.get("error", answer)) if isinstance(answer, dict) else "no answer")
    return answer


def _connect(directory: Path, *, timeout: float) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(timeout)
    try:
        with _short_path(directory) as path:
            connection.connect(path)
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError) as error:
        connection.close()
        raise NoServer(f"no server is running on {directory}") from error
    except OSError as error:
        connection.close()
        raise ControlError(f"{directory / SOCKET_NAME}: {error.strerror or error}") from error
    return connection


def _read_line(connection: socket.socket) -> bytes:
    received = bytearray()
    while not received.endswith(b"\n"):
        piece = connection.recv(65_536)
        if not piece or len(received) > MAX_ANSWER:
            raise ValueError("the answer ended too early")
        received += piece
    return bytes(received)


@contextlib.contextmanager
def _short_path(directory: Path) -> Iterator[str]:
    """A path to the socket that fits into a socket address, however deep the directory is."""
    path = str(directory / SOCKET_NAME)
    if len(os.fsencode(path)) <= MAX_PATH:
        yield path
        return
    descriptor = (
        os.open(directory, os.O_PATH | os.O_DIRECTORY)
        if hasattr(os, "O_PATH")
        else os.open(directory, os.O_RDONLY)
    )
    try:
        yield f"/proc/self/fd/{descriptor}/{SOCKET_NAME}"
    finally:
        os.close(descriptor)
