# SPDX-License-Identifier: Apache-2.0
"""What we ask of a network: datagrams, byte streams and names.

The real one is `net/sockets.py`; the lossy, seeded one for tests is `ringback.testing.Network`.
Everything above (transports, media) takes a `Network` as an argument and never opens a socket itself.
"""

import ssl
from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from ringback.kernel import Door
from ringback.sip.flow import Address


class DatagramSocket(Protocol):
    """A bound datagram socket. Sending never blocks nor raises: what cannot be sent is lost and counted."""

    @property
    def local(self) -> Address: ...
    def send(self, data: bytes, remote: Address) -> None: ...
    def send_batch(self, batch: list[tuple[bytes, Address]]) -> None: ...
    def close(self) -> None: ...


@runtime_checkable
class GuardedSocket(Protocol):
    """A datagram socket at which `door` may send away what comes, before it is handed on."""

    def answer_by(self, door: Door | None) -> None: ...


#: A batch longer than BATCH (`net/udp_socket.py`) says that more waited than one read could take.
DatagramsReceived = Callable[[Sequence[tuple[bytes, Address]]], None]


class StreamReader(Protocol):
    """What the owner of a stream implements.

    `data_received` with no data says: the peer will send no more. What is written then (and in `after_turn`)
    still goes out, and the stream closes; unless the answer is True: then the reader closes it when all is
    said. `connection_lost` is called exactly once, at the very end.
    """

    def data_received(self, data: bytes) -> bool | None: ...
    def connection_lost(self, detail: str) -> None: ...


class Stream(Protocol):
    """A connected byte stream. `write` queues; past its limit the stream is closed by the owner's policy.

    `after_turn` calls back when all streams that are ready at this moment have been read, or at once. Until
    then a reader may collect; what is written meanwhile is sent behind that, in one piece.

    `pause` and `resume` stop and go on with reading; `drained` is called when everything is written that had
    to wait.
    """

    drained: Callable[[], None] | None

    @property
    def local(self) -> Address: ...
    @property
    def remote(self) -> Address: ...
    @property
    def queued(self) -> int: ...
    def set_reader(self, reader: StreamReader) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def write(self, data: bytes) -> None: ...
    def after_turn(self, callback: Callable[[], None]) -> None: ...
    def close(self) -> None: ...
    def abort(self) -> None: ...


StreamAccepted = Callable[[Stream], None]


class Gate(Protocol):
    """Counts the connections of strangers. It is asked before a handshake costs us anything.

    `admit` takes a place or refuses; each place taken is given back by exactly one `release`.
    """

    def admit(self, remote: Address) -> bool: ...
    def release(self, remote: Address) -> None: ...
    def refused_handshake(self, remote: Address, local: Address, error: OSError, first: bytes) -> None: ...


class Listener(Protocol):
    """A listening stream socket."""

    @property
    def local(self) -> Address: ...
    def close(self) -> None: ...


class Network(Protocol):
    """The four things a network does. Port 0 asks for a free port. Failures are `OSError`."""

    async def bind_datagram(self, local: Address, received: DatagramsReceived) -> DatagramSocket: ...

    async def listen(
        self,
        local: Address,
        accepted: StreamAccepted,
        *,
        tls: ssl.SSLContext | None = None,
        gate: Gate | None = None,
        handshake_timeout: float = 5.0,
    ) -> Listener: ...

    async def connect(
        self,
        remote: Address,
        *,
        tls: ssl.SSLContext | None = None,
        server_name: str | None = None,
        timeout: float = 5.0,
    ) -> Stream: ...

    async def source_address(self, remote_host: str) -> str:
        """The local IP address that datagrams to `remote_host` would leave from."""
        ...
