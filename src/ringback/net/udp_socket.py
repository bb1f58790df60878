# SPDX-License-Identifier: Apache-2.0
"""How do datagrams get in and out fast? One non-blocking socket on `add_reader`, drained up to 64 a wake.

asyncio's own datagram transport reads one datagram per turn of the loop; under load that doubles its cost.
"""

import asyncio
import ipaddress
import logging
import socket
from collections import deque
from dataclasses import dataclass
from functools import lru_cache

from ringback.net.network import DatagramsReceived
from ringback.sip.flow import Address

log = logging.getLogger("ringback.net")

BATCH = 64
LARGEST_DATAGRAM = 65_535
RECEIVE_BUFFER = 4 * 1024 * 1024
SEND_BUFFER = 1024 * 1024
#: Datagrams that wait for room in the kernel's send buffer; more are dropped, as a network would.
SEND_QUEUE = 1024


@dataclass(slots=True)
class DatagramStatistics:
    """What a datagram socket did and could not do."""

    received: int = 0
    sent: int = 0
    dropped: int = 0
    errors: int = 0


@lru_cache(maxsize=8192)
def is_sendable(remote: Address) -> bool:
    """True for a numeric address with a port: `sendto` must never look a name up and block the loop."""
    try:
        ipaddress.ip_address(remote.host)
    except ValueError:
        return False
    return 0 < remote.port < 65_536


class UdpSocket:
    """A bound UDP socket; a `ringback.net.network.DatagramSocket`."""

    def __init__(self, sock: socket.socket, received: DatagramsReceived) -> None:
        self._socket = sock
        self._received = received
        self._loop = asyncio.get_running_loop()
        self._queue: deque[tuple[bytes, Address]] = deque()
        self._closed = False
        self.statistics = DatagramStatistics()
        name = sock.getsockname()
        self._local = Address(name[0], name[1])
        self._loop.add_reader(sock.fileno(), self._readable)

    @property
    def local(self) -> Address:
        """Where this socket is bound."""
        return self._local

    def send(self, data: bytes, remote: Address) -> None:
        """Send, or queue while the kernel has no room, or drop and count. Never blocks, never raises."""
        if self._closed or not is_sendable(remote):
            self.statistics.dropped += 1
        elif self._queue:
            self._enqueue(data, remote)
        elif not self._send_now(data, remote):
            self._enqueue(data, remote)
            self._loop.add_writer(self._socket.fileno(), self._writable)

    def close(self) -> None:
        """Stop receiving and sending. What waits to be sent is lost."""
        if self._closed:
            return
        self._closed = True
        self._loop.remove_reader(self._socket.fileno())
        self._loop.remove_writer(self._socket.fileno())
        self._queue.clear()
        self._socket.close()

    def _readable(self) -> None:
        batch: list[tuple[bytes, Address]] = []
        for _ in range(BATCH):
            try:
                data, name = self._socket.recvfrom(LARGEST_DATAGRAM)
            except BlockingIOError:
                break
            except ConnectionRefusedError:
                continue  # an ICMP message about a datagram we sent earlier: no datagram for us
            except OSError as error:
                self.statistics.errors += 1
                log.warning("our socket %s failed to receive: %s", self._local, error)
                break
            batch.append((data, Address(name[0], name[1])))
        if batch:
            self.statistics.received += len(batch)
            self._received(batch)

    def _send_now(self, data: bytes, remote: Address) -> bool:
        """False only when the kernel has no room now."""
        try:
            self._sendto(data, remote)
        except BlockingIOError:
            return False
        except OSError as error:
            self.statistics.errors += 1
            log.debug("cannot send %d bytes to %s: %s", len(data), remote, error)
        else:
            self.statistics.sent += 1
        return True

    def _sendto(self, data: bytes, remote: Address) -> None:
        try:
            self._socket.sendto(data, remote)
        except ConnectionRefusedError:
            self._socket.sendto(
                data, remote
            )  # that error was about an earlier datagram; this one was not sent

    def _enqueue(self, data: bytes, remote: Address) -> None:
        if len(self._queue) >= SEND_QUEUE:
            self.statistics.dropped += 1
        else:
            self._queue.append((data, remote))

    def _writable(self) -> None:
        while self._queue:
            if not self._send_now(*self._queue[0]):
                return
            self._queue.popleft()
        self._loop.remove_writer(self._socket.fileno())


def bound_udp_socket(local: Address) -> socket.socket:
    """A non-blocking UDP socket bound to a numeric address; the caller closes it. Raises `OSError`."""
    family = socket.AF_INET6 if ":" in local.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        if family == socket.AF_INET6:
            # One socket a family: an IPv4 peer must not appear as ::ffff:192.0.2.1.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        sock.bind(local)
    except OSError:
        sock.close()
        raise
    return sock
