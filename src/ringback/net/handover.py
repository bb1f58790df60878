# SPDX-License-Identifier: Apache-2.0
"""How does a message get from one worker to another? Packed into datagrams on local sockets.

Each worker has an inbox: one end of a pair of sockets whose other end all the others hold. Everything that is
handed over in one turn of the loop goes in as few datagrams as fit: a message costs 18 us alone (most of it
to wake the other process), 2.5 among sixteen, 1.6 among sixty-four. Datagrams, not a stream: a worker that is
killed leaves no half of a message, and what waits for it is read by its replacement.

Who holds the sockets is trusted: the supervisor made them and gave them to its workers only.
"""

import asyncio
import logging
import socket
import struct
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from ringback.sip.flow import Address, Flow, Transport

log = logging.getLogger("ringback.net")

#: A message for the other worker to handle, and bytes for it to send on a connection of its own. From WANTED
#: on: a message for whoever knows what it belongs to, and how often it may be passed on.
MESSAGE, BYTES_TO_SEND, WANTED = 1, 2, 128

#: kind, length of the flow, length of the data
_FRAME = struct.Struct("!BHI")

#: A datagram is sent when it is so full; a longer message has one of its own.
FULL = 60_000
LARGEST = 1_200_000
BUFFER = 4 * 1024 * 1024
#: Bytes that wait for a worker that does not read; more are lost, as on any network, and counted.
MAX_WAITING = 8 * 1024 * 1024
#: Datagrams read in one turn of the loop.
BATCH = 32

Received = Callable[[Sequence[tuple[bytes, Flow]]], None]
#: (data, flow, how often it may be passed on) -> whether it was passed on
PassedOn = Callable[[bytes, Flow, int], bool]


def inbox_pair() -> tuple[socket.socket, socket.socket]:
    """The end to read from, and the end that all others write to."""
    inside, outside = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    for end in (inside, outside):
        end.setblocking(False)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
    return inside, outside


class Handover:
    """One worker's inbox and its ways to the others."""

    def __init__(self, inbox: socket.socket, others: Mapping[int, socket.socket]) -> None:
        self._inbox = inbox
        self._ways = {number: _Way(other) for number, other in others.items()}
        self._received: Received | None = None
        self._send: Callable[[bytes, Flow], object] | None = None
        self._passed_on: PassedOn = lambda *_: False
        self._buffer = bytearray(LARGEST)
        self._loop = asyncio.get_running_loop()

    def begin(self, received: Received, send: Callable[[bytes, Flow], object], passed_on: PassedOn) -> None:
        """From now on `received` gets the messages that others hand over, `send` the bytes for connections of
        ours, and `passed_on` is asked about messages whose worker is wanted.
        """
        self._received, self._send, self._passed_on = received, send, passed_on
        self._loop.add_reader(self._inbox.fileno(), self._readable)

    def pass_on(self, number: int, data: bytes, flow: Flow, times: int) -> None:
        """A message whose worker is wanted: is it `number`?"""
        self._ways[number].put(WANTED + times, data, flow)

    @property
    def numbers(self) -> list[int]:
        """Those of the other workers."""
        return list(self._ways)

    def knows(self, number: int) -> bool:
        """True for the number of another worker."""
        return number in self._ways

    def give(self, number: int, data: bytes, flow: Flow) -> None:
        """A message that came to us on `flow` is for worker `number`."""
        self._ways[number].put(MESSAGE, data, flow)

    def send(self, number: int, data: bytes, flow: Flow) -> None:
        """`flow` is a connection of worker `number`: let it send this."""
        self._ways[number].put(BYTES_TO_SEND, data, flow)

    @property
    def lost(self) -> int:
        """Messages that found no room."""
        return sum(way.lost for way in self._ways.values())

    def close(self) -> None:
        """Give what waits as far as there is room, and read no more. The sockets stay open: they are not
        ours.
        """
        self._loop.remove_reader(self._inbox.fileno())
        for way in self._ways.values():
            way.close()

    def _readable(self) -> None:
        messages: list[tuple[bytes, Flow]] = []
        with memoryview(self._buffer) as view:
            for _ in range(BATCH):
                try:
                    length = self._inbox.recv_into(view)
                except BlockingIOError:
                    break
                self._unpack(bytes(view[:length]), messages)
        if messages and self._received is not None:
            self._received(messages)

    def _unpack(self, pack: bytes, messages: list[tuple[bytes, Flow]]) -> None:
        at, end = 0, len(pack)
        while at < end:
            kind, flow_length, length = _FRAME.unpack_from(pack, at)
            at += _FRAME.size
            flow = unpack_flow(pack[at : at + flow_length])
            at += flow_length
            data = pack[at : at + length]
            at += length
            if kind == BYTES_TO_SEND:
                if self._send is not None:
                    self._send(data, flow)
            elif kind == MESSAGE or not self._passed_on(data, flow, kind - WANTED):
                messages.append((data, flow))


class _Way:
    """The way to one worker: what is put in one turn of the loop goes together."""

    __slots__ = ("_frames", "_is_flushing", "_loop", "_packs", "_size", "_socket", "_waiting", "lost")

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._loop = asyncio.get_running_loop()
        self._frames: list[bytes] = []
        self._size = 0
        self._packs: deque[bytes] = deque()
        self._waiting = 0
        self._is_flushing = False
        self.lost = 0

    def put(self, kind: int, data: bytes, flow: Flow) -> None:
        head = pack_flow(flow)
        size = _FRAME.size + len(head) + len(data)
        if size > LARGEST or self._waiting + self._size > MAX_WAITING:
            self.lost += 1
            return
        if self._size + size > FULL:
            self._pack()
        self._frames += (_FRAME.pack(kind, len(head), len(data)), head, data)
        self._size += size
        if not self._is_flushing:
            self._is_flushing = True
            self._loop.call_soon(self._flush)

    def close(self) -> None:
        self._flush()
        self._loop.remove_writer(self._socket.fileno())

    def _pack(self) -> None:
        if self._frames:
            self._packs.append(b"".join(self._frames))
            self._waiting += self._size
            self._frames.clear()
            self._size = 0

    def _flush(self) -> None:
        """While the other one has no room, what waits is flushed when it has."""
        self._pack()
        while self._packs:
            try:
                self._socket.send(self._packs[0])
            except BlockingIOError:
                self._loop.add_writer(self._socket.fileno(), self._writable)
                return
            except OSError as error:
                log.warning("a message for another worker is lost: %s", error)
                self.lost += 1
            self._waiting -= len(self._packs.popleft())
        self._is_flushing = False

    def _writable(self) -> None:
        self._loop.remove_writer(self._socket.fileno())
        self._flush()


@lru_cache(maxsize=8192)
def pack_flow(flow: Flow) -> bytes:
    """A flow as it travels between processes."""
    local, remote = flow.local, flow.remote
    fields = (flow.transport, local.host, local.port, remote.host, remote.port, flow.connection, flow.sent_by)
    return "|".join(map(str, fields)).encode("ascii")


@lru_cache(maxsize=8192)
def unpack_flow(packed: bytes) -> Flow:
    """What `pack_flow` wrote; one object for one flow, as everywhere."""
    transport, local, local_port, remote, remote_port, connection, sent_by = packed.decode("ascii").split("|")
    return Flow(
        Transport(transport),
        Address(local, int(local_port)),
        Address(remote, int(remote_port)),
        int(connection),
        sent_by,
    )
