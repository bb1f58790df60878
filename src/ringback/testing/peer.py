# SPDX-License-Identifier: Apache-2.0
"""Who is at the other end in a test? A peer that follows a script, message by message, and forgives nothing.

    from ringback.sip.flow import Address
    from ringback.testing import Network, Peer, run

    async def main() -> int:
        network = Network()
        alice = await Peer.bind(network.host("10.0.0.1"), Address("10.0.0.1", 5060))
        bob = await Peer.bind(network.host("10.0.0.2"), Address("10.0.0.2", 5060))
        alice.request("OPTIONS", "sip:bob@10.0.0.2", remote=bob.local)
        await bob.expect("OPTIONS")
        bob.reply(200)
        return (await alice.expect(200)).status

    assert run(main()) == 200

It speaks and hears bytes; what it expects and does not get is an `Unexpected`, an AssertionError.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

from ringback.net.network import DatagramSocket, Listener, Network, Stream
from ringback.sip.flow import Address, Transport
from ringback.sip.message.framing import Ping, StreamFramer
from ringback.sip.message.message import Request, Response
from ringback.sip.message.parser import parse_message
from ringback.testing import messages


class Unexpected(AssertionError):
    """Something else came than the script says, or nothing."""


class Peer:
    """A SIP peer of raw bytes on any `Network`, over UDP or over one TCP connection at a time.

    Everything it hears is in `heard`, also what the script did not ask for.
    """

    def __init__(self, transport: Transport, local: Address) -> None:
        self.transport = transport
        self.local = local
        self.remote: Address | None = None
        self.heard: list[bytes] = []
        #: False: CRLFCRLF gets no answer, as from a peer that does not know RFC 5626.
        self.answers_pings = True
        #: Why the connection ended; None while it lives.
        self.ended: str | None = None
        self._inbox: asyncio.Queue[bytes] = asyncio.Queue()
        self._last_request = b""
        self._framer = StreamFramer()
        self._socket: DatagramSocket | None = None
        self._listener: Listener | None = None
        self._stream: Stream | None = None
        self._end = asyncio.Event()

    @classmethod
    async def bind(cls, network: Network, local: Address) -> "Peer":
        """A peer on a UDP port."""
        peer = cls(Transport.UDP, local)
        peer._socket = await network.bind_datagram(local, peer._datagrams)
        peer.local = peer._socket.local
        return peer

    @classmethod
    async def listen(cls, network: Network, local: Address) -> "Peer":
        """A peer that waits for a TCP connection; a later one takes the place of an earlier one."""
        peer = cls(Transport.TCP, local)
        peer._listener = await network.listen(local, peer._accept)
        peer.local = peer._listener.local
        return peer

    @classmethod
    async def connect(cls, network: Network, remote: Address, **options: Any) -> "Peer":
        """A peer that opens a TCP connection (with tls=, a TLS connection)."""
        peer = cls(Transport.TLS if options.get("tls") else Transport.TCP, remote)
        peer._accept(await network.connect(remote, **options))
        return peer

    # --- speaking ---

    def send(self, data: bytes, remote: Address | None = None) -> None:
        """Send bytes as they are: to `remote`, or to who spoke last."""
        if self._stream is not None:
            self._stream.write(data)
            return
        destination = remote or self.remote
        assert self._socket is not None, "nobody is connected"
        assert destination is not None, "to whom?"
        self._socket.send(data, destination)

    def request(self, method: str, target: str, *, remote: Address | None = None, **parts: Any) -> bytes:
        """Send a request with our Via; the parts are those of `ringback.testing.messages.request`."""
        parts.setdefault("via", f"SIP/2.0/{self.transport} {self.local}")
        data = messages.request(method, target, **parts)
        self.send(data, remote)
        return data

    def reply(
        self,
        status: int,
        *,
        to: bytes | None = None,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        tag: str = "peer",
    ) -> None:
        """Answer the request heard last, or the one given."""
        self.send(messages.response(to or self._last_request, status, headers=headers, body=body, tag=tag))

    def reset(self) -> None:
        """Break the connection."""
        assert self._stream is not None
        self._stream.abort()

    # --- hearing ---

    async def hear(self, *, timeout: float = 40.0) -> bytes:
        """The next message as bytes."""
        try:
            async with asyncio.timeout(timeout):
                return await self._inbox.get()
        except TimeoutError as error:
            raise Unexpected(
                f"nothing came in {timeout:g} s; the connection: {self.ended or 'open'}"
            ) from error

    async def expect(self, what: str | int, *, skip: Sequence[str | int] = (), timeout: float = 40.0) -> Any:
        """The next message, which must be this method or status; `skip` names what may come before it.

        The result is a `Request` or a `Response`.
        """
        while True:
            data = await self.hear(timeout=timeout)
            message = parse_message(data)
            kind = message.method if isinstance(message, Request) else message.status
            if kind == what:
                return message
            if kind not in skip:
                raise Unexpected(f"expected {what}, heard: {data[:80]!r}")

    async def expect_silence(self, seconds: float) -> None:
        """Nothing may come for so long."""
        try:
            data = await self.hear(timeout=seconds)
        except Unexpected:
            return
        raise Unexpected(f"expected silence, heard: {data[:80]!r}")

    async def expect_end(self, *, timeout: float = 40.0) -> str:
        """The connection must end; the result says how."""
        async with asyncio.timeout(timeout):
            await self._end.wait()
        return self.ended or ""

    def close(self) -> None:
        """Close everything."""
        for opened in (self._socket, self._listener, self._stream):
            if opened is not None:
                opened.close()

    # --- what sockets call ---

    def data_received(self, data: bytes) -> None:
        """A `StreamReader`: bytes of the connection."""
        for frame in self._framer.feed(data):
            if not isinstance(frame, Ping):
                self._take(frame)
            elif frame is Ping.PING and self.answers_pings and self._stream is not None:
                self._stream.write(b"\r\n")

    def connection_lost(self, detail: str) -> None:
        """A `StreamReader`: the connection is over."""
        self.ended = detail
        self._stream = None
        self._end.set()

    def _accept(self, stream: Stream) -> None:
        self._framer = StreamFramer()
        self._stream = stream
        self.ended = None
        self._end.clear()
        if self._listener is None:
            self.local = stream.local
        self.remote = stream.remote
        stream.set_reader(self)

    def _datagrams(self, batch: Sequence[tuple[bytes, Address]]) -> None:
        for data, remote in batch:
            self.remote = remote
            self._take(data)

    def _take(self, data: bytes) -> None:
        self.heard.append(data)
        if not data.startswith(b"SIP/2.0 "):
            self._last_request = data
        self._inbox.put_nowait(data)


__all__ = ["Peer", "Request", "Response", "Unexpected"]
