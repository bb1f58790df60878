# SPDX-License-Identifier: Apache-2.0
"""How do datagrams get in and out many at a time? Here one by one, with the socket that is given."""

import ipaddress
from collections.abc import Sequence
from functools import lru_cache
from typing import Protocol

MAX_BATCH = 64
LARGEST_DATAGRAM = 65_535

Remote = tuple[str, int]


class Socket(Protocol):
    """What is asked of a socket, which does not block."""

    def fileno(self) -> int: ...
    def recvfrom(self, size: int, /) -> tuple[bytes, tuple[str, int]]: ...
    def sendto(self, data: bytes, remote: tuple[str, int], /) -> int: ...


class DatagramBatch:
    """A datagram socket's door. `errors` counts what could not be sent and never will be."""

    __slots__ = ("_size", "_socket", "errors")

    def __init__(self, socket: Socket, size: int = MAX_BATCH) -> None:
        self._socket = socket
        self._size = max(1, min(size, MAX_BATCH))
        self.errors = 0

    def receive(self) -> list[tuple[bytes, Remote]]:
        """What waits, at most `size` datagrams with where they came from. OSError if the socket fails."""
        batch: list[tuple[bytes, Remote]] = []
        for _ in range(self._size):
            try:
                data, name = self._socket.recvfrom(LARGEST_DATAGRAM)
            except BlockingIOError:
                break
            except ConnectionRefusedError:
                continue  # an ICMP message about a datagram we sent earlier: no datagram for us
            except OSError:
                if batch:
                    break
                raise
            batch.append((data, (name[0], name[1])))
        return batch

    def send(self, batch: Sequence[tuple[bytes, Remote]]) -> int:
        """How many were dealt with, from the first on: fewer than there are when the kernel has no room now.

        A datagram that cannot be sent at all, or not to a numeric address and port, is skipped and counted.
        """
        done = 0
        for data, remote in batch:
            try:
                if _is_sendable(remote):
                    self._send_one(data, remote)
                else:
                    self.errors += 1
            except BlockingIOError:
                break
            except OSError:
                self.errors += 1
            done += 1
        return done

    def _send_one(self, data: bytes, remote: Remote) -> None:
        try:
            self._socket.sendto(data, remote)
        except ConnectionRefusedError:
            # That error was about an earlier datagram; this one was not sent.
            self._socket.sendto(data, remote)


@lru_cache(maxsize=8192)
def _is_sendable(remote: Remote) -> bool:
    """True for a numeric address with a port: nothing may look a name up here."""
    try:
        ipaddress.ip_address(remote[0])
    except ValueError:
        return False
    return 0 < remote[1] < 65_536
