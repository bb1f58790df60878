# SPDX-License-Identifier: Apache-2.0
"""Do our TCP and TLS streams deliver everything, end in order, and bear peers that are slow, rude or gone?"""

import asyncio
import contextlib
import random
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import pytest
from certificate import contexts
from element import Element

from ringback.net import tcp_stream
from ringback.net.limits import ConnectionGate, TransportLimits
from ringback.net.sockets import RealNetwork
from ringback.net.tcp_stream import TcpStream
from ringback.net.transport_layer import TransportLayer
from ringback.sip.flow import Address, Flow, Transport
from ringback.testing import messages

HERE = "127.0.0.1"
PLAIN_AND_TLS = pytest.mark.parametrize("is_tls", [False, True], ids=["TCP", "TLS"])
LARGE = bytes(range(256)) * 80_000  # 20 MB: more than the kernel takes at once

OPTIONS = messages.request("OPTIONS", "sip:bob@127.0.0.1", via="SIP/2.0/TCP 127.0.0.1:5060")

Contexts = tuple[ssl.SSLContext, ssl.SSLContext]


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Contexts:
    return contexts(tmp_path_factory.mktemp("tls"), HERE, "localhost")


class Ear:
    """Keeps what a stream delivers; `answer` is written for what comes."""

    def __init__(self, stream: TcpStream, answer: bytes = b"") -> None:
        self.stream = stream
        self.pieces: list[bytes] = []
        self.answer = answer
        self.end: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        stream.set_reader(self)

    @property
    def heard(self) -> bytes:
        return b"".join(self.pieces)

    def data_received(self, data: bytes) -> None:
        self.pieces.append(data)
        if self.answer:
            self.stream.write(self.answer)

    def connection_lost(self, detail: str) -> None:
        self.end.set_result(detail)


class Place:
    """A listener on the real network and everything that connected to it."""

    def __init__(self, contexts: Contexts | None, **options: object) -> None:
        self.network = RealNetwork()
        self.gate = ConnectionGate(TransportLimits())
        self.ears: list[Ear] = []
        self.answer = b""
        self._tls = contexts
        self._options = {"tls": contexts[0] if contexts else None, "gate": self.gate, **options}

    async def listen(self) -> None:
        self.listener = await self.network.listen(Address(HERE, 0), self.accepted, **self._options)

    def accepted(self, stream: TcpStream) -> None:
        self.ears.append(Ear(stream, self.answer))

    async def call(self, **options: object) -> Ear:
        context = self._tls[1] if self._tls else None
        return Ear(await self.network.connect(self.listener.local, **{"tls": context, **options}))

    async def pair(self) -> tuple[Ear, Ear]:
        """Both ends of a connection."""
        count = len(self.ears)
        near = await self.call()
        await until(lambda: len(self.ears) > count)
        return near, self.ears[-1]

    async def raw(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection by somebody else's hand."""
        context = self._tls[1] if self._tls else None
        return await asyncio.open_connection(*self.listener.local, ssl=context)

    async def close(self) -> None:
        self.listener.close()
        for ear in self.ears:
            ear.stream.abort()
        await until(lambda: len(self.network.poller) == 0 and self.gate.open == 0)


@pytest.fixture
async def place(tls: Contexts) -> AsyncIterator[Callable[..., Awaitable[Place]]]:
    made: list[Place] = []

    async def make(is_tls: bool, **options: object) -> Place:
        made.append(Place(tls if is_tls else None, **options))
        await made[-1].listen()
        return made[-1]

    yield make
    for one in made:
        await one.close()


Make = Callable[..., Awaitable[Place]]


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0)


async def hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


@PLAIN_AND_TLS
async def test_both_directions_carry_bytes_and_both_ends_know_their_addresses(place: Make, is_tls: bool):
    near, far = await (await place(is_tls)).pair()
    assert (near.stream.local, near.stream.remote) == (far.stream.remote, far.stream.local)
    near.stream.write(b"there")
    far.stream.write(b"back")
    await until(lambda: far.heard == b"there" and near.heard == b"back")
    near.stream.close()
    assert await far.end == "closed"
    assert await near.end == "closed"
    assert far.pieces[-1] == b"", "the end of the stream is told before the end of the connection"


@PLAIN_AND_TLS
async def test_what_is_written_in_one_turn_arrives_in_one_piece(place: Make, is_tls: bool):
    near, far = await (await place(is_tls)).pair()
    for number in range(20):
        near.stream.write(b"message %d;" % number)
    assert near.stream.queued == sum(len(b"message %d;" % number) for number in range(20))
    await until(lambda: far.pieces)
    assert far.pieces == [b"".join(b"message %d;" % number for number in range(20))]
    assert near.stream.queued == 0
    near.stream.close()
    await near.end


@PLAIN_AND_TLS
async def test_everything_written_goes_out_before_the_end(place: Make, is_tls: bool):
    near, far = await (await place(is_tls)).pair()
    for start in range(0, len(LARGE), 500_000):
        near.stream.write(LARGE[start : start + 500_000])
    assert near.stream.queued > 0
    near.stream.close()
    near.stream.write(b"too late")
    await far.end
    assert far.heard == LARGE


@PLAIN_AND_TLS
async def test_who_reads_late_gets_everything_in_order_and_lets_the_queue_grow(place: Make, is_tls: bool):
    here = await place(is_tls)
    reader, writer = await here.raw()
    await until(lambda: here.ears)
    stream = here.ears[0].stream
    for start in range(0, len(LARGE), 500_000):
        stream.write(LARGE[start : start + 500_000])
        await asyncio.sleep(0)
    assert stream.queued > 100_000
    assert await asyncio.wait_for(reader.readexactly(len(LARGE)), 10) == LARGE
    await until(lambda: stream.queued == 0)
    stream.write(b"more")
    assert await asyncio.wait_for(reader.readexactly(4), 10) == b"more"
    await hang_up(writer)


@PLAIN_AND_TLS
async def test_who_never_reads_cannot_keep_a_closed_connection(
    place: Make, is_tls: bool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(tcp_stream, "FAREWELL", 0.05)
    here = await place(is_tls)
    _reader, writer = await here.raw()
    await until(lambda: here.ears)
    here.ears[0].stream.write(LARGE)
    here.ears[0].stream.close()
    assert await asyncio.wait_for(here.ears[0].end, 5) == "the peer does not read"
    assert here.gate.open == 0
    await hang_up(writer)


@PLAIN_AND_TLS
async def test_who_never_stops_talking_is_hung_up_on(
    place: Make, is_tls: bool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(tcp_stream, "LINGER", 0.1)
    here = await place(is_tls)
    reader, writer = await here.raw()
    await until(lambda: here.ears)
    writer.write(LARGE)
    await until(lambda: here.ears[0].heard)
    here.ears[0].stream.write(b"enough")
    here.ears[0].stream.close()
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        assert await asyncio.wait_for(reader.read(), 5) == b"enough"
        while not writer.transport.is_closing():
            writer.write(b"and another thing")
            await asyncio.sleep(0)
    assert await asyncio.wait_for(here.ears[0].end, 5)
    assert len(here.ears[0].heard) < len(LARGE), "after its last word it hears nothing"
    assert here.gate.open == 0


@PLAIN_AND_TLS
async def test_who_vanishes_while_we_say_goodbye_is_forgotten(place: Make, is_tls: bool):
    here = await place(is_tls)
    reader, writer = await here.raw()
    await until(lambda: here.ears)
    here.ears[0].stream.write(LARGE)
    here.ears[0].stream.close()
    await asyncio.wait_for(reader.readexactly(1000), 5)
    writer.transport.abort()
    assert await asyncio.wait_for(here.ears[0].end, 5)
    assert here.gate.open == 0


@PLAIN_AND_TLS
async def test_what_the_last_words_of_a_peer_deserve_still_goes_out(place: Make, is_tls: bool):
    here = await place(is_tls)
    here.answer = b"an answer"
    reader, writer = await here.raw()
    writer.write(b"a question")
    if is_tls:  # asyncio closes a TLS connection at once, so let the other way be seen: by our own client
        near = await here.call()
        near.stream.write(b"a question")
        near.stream.close()
        await until(lambda: len(here.ears) == 2 and here.ears[1].end.done())
        assert here.ears[1].pieces == [b"a question", b""]
    else:
        writer.write_eof()
    assert await asyncio.wait_for(reader.readexactly(9), 5) == b"an answer"
    await hang_up(writer)


@PLAIN_AND_TLS
async def test_an_aborted_connection_ends_at_once_at_both_ends(place: Make, is_tls: bool):
    near, far = await (await place(is_tls)).pair()
    near.stream.abort()
    near.stream.write(b"dropped")
    near.stream.close()
    assert not near.end.done(), "the reader is not called from inside of its own call"
    assert await near.end == "aborted"
    assert await far.end
    assert far.heard == b""


@PLAIN_AND_TLS
async def test_a_reader_that_comes_late_learns_of_the_end(place: Make, is_tls: bool):
    here = await place(is_tls)
    stream = await here.network.connect(here.listener.local, tls=here._tls[1] if here._tls else None)
    stream.abort()
    await asyncio.sleep(0)
    assert await Ear(stream).end == "aborted"


@PLAIN_AND_TLS
@pytest.mark.parametrize("seed", range(3))
async def test_a_storm_of_connections_leaves_nothing_behind(
    place: Make, is_tls: bool, seed: int, caplog: pytest.LogCaptureFixture
):
    """Whatever both ends do, in whatever order: what arrives was said, all ends are told, no place stays taken."""
    chance = random.Random(seed)
    here = await place(is_tls)
    pairs = [await here.pair() for _ in range(20)]
    said = {ear: b"" for pair in pairs for ear in pair}
    for _ in range(1500):
        near, far = chance.choice(pairs)
        one = chance.choice((near, far))
        act = chance.random()
        if act < 0.9 and not one.end.done():
            piece = chance.randbytes(chance.choice((1, 100, 20_000)))
            one.stream.write(piece)
            said[one] += piece
        elif act < 0.91:
            one.stream.close()
        elif act < 0.915:
            one.stream.abort()
        if chance.random() < 0.3:
            await asyncio.sleep(0)
    for near, far in pairs:
        chance.choice((near, far)).stream.close()
    await until(lambda: all(ear.end.done() for ear in said))
    assert all(said[far].startswith(near.heard) and said[near].startswith(far.heard) for near, far in pairs)
    assert here.gate.open == 0
    assert len(here.network.poller) == 1, "the listener"
    assert "our own code failed" not in caplog.text


# --- TLS ---


async def test_a_handshake_and_records_may_come_byte_by_byte(place: Make, tls: Contexts):
    here = await place(True)
    here.answer = b"heard"
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = tls[1].wrap_bio(incoming, outgoing, server_hostname=HERE)
    reader, writer = await asyncio.open_connection(*here.listener.local)

    async def drip() -> None:
        for byte in outgoing.read():
            writer.write(bytes((byte,)))
            await asyncio.sleep(0)

    async def take(step: Callable[[], object]) -> object:
        while True:
            with contextlib.suppress(ssl.SSLWantReadError):
                return step()
            await drip()
            incoming.write(await asyncio.wait_for(reader.read(1), 5))

    writer.transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    await take(client.do_handshake)
    client.write(b"split at every byte")
    await drip()
    assert await take(lambda: client.read(100)) == b"heard"
    assert here.ears[0].heard == b"split at every byte"
    with contextlib.suppress(ssl.SSLWantReadError):
        client.unwrap()
    await drip()
    assert await here.ears[0].end == "closed"
    await hang_up(writer)


async def shaken(tls: Contexts, at: Address) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, "Sealer"]:
    """A TLS connection whose segments are ours to cut; the last flight of its handshake is not sent yet."""
    sealer = Sealer(tls[1])
    reader, writer = await asyncio.open_connection(*at)
    while not sealer.is_ready():
        writer.write(sealer.outgoing.read())
        sealer.incoming.write(await asyncio.wait_for(reader.read(65_536), 5))
    return reader, writer, sealer


class Sealer:
    """The client's half of TLS without a socket."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname=HERE)

    def is_ready(self) -> bool:
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.do_handshake()
            return True
        return False

    def goodbye(self) -> None:
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.unwrap()

    def opened(self, data: bytes) -> bytes:
        self.incoming.write(data)
        return self.tls.read(65_536)


async def test_what_comes_right_behind_the_handshake_is_delivered(place: Make, tls: Contexts):
    """The client's last flight and its first message in one segment."""
    here = await place(True)
    _reader, writer, sealer = await shaken(tls, here.listener.local)
    sealer.tls.write(b"early")
    writer.write(sealer.outgoing.read())
    await until(lambda: here.ears and here.ears[0].heard == b"early")
    await hang_up(writer)


async def test_a_request_and_the_goodbye_in_one_segment_are_answered(tls: Contexts):
    bob = Element(RealNetwork())
    at = await bob.listen(Transport.TLS, Address(HERE, 0), tls=tls[0])
    reader, writer, sealer = await shaken(tls, at.local)
    sealer.tls.write(OPTIONS)
    sealer.goodbye()
    writer.write(sealer.outgoing.read())
    assert b"SIP/2.0 200 OK" in sealer.opened(await asyncio.wait_for(reader.read(), 5))
    await hang_up(writer)
    await bob.close()


async def test_messages_ahead_of_one_that_breaks_the_framing_are_answered():
    bob = Element(RealNetwork())
    at = await bob.listen(Transport.TCP, Address(HERE, 0))
    reader, writer = await asyncio.open_connection(*at.local)
    writer.write(OPTIONS + OPTIONS.replace(b"Content-Length: 0", b"Content-Length: x") + b"junk" * 100_000)
    said = await asyncio.wait_for(reader.read(), 5)
    assert [line[:11] for line in said.split(b"\r\n") if line.startswith(b"SIP/2.0")] == [
        b"SIP/2.0 200",
        b"SIP/2.0 400",
    ]
    await hang_up(writer)
    await bob.close()


async def test_many_records_in_one_segment_are_one_delivery(place: Make, tls: Contexts):
    here = await place(True)
    reader, writer = await here.raw()
    await until(lambda: here.ears)
    # In one turn of the loop: asyncio's client seals each of them, and sends them together.
    writer.writelines([b"x" * 100] * 50)
    await until(lambda: len(here.ears[0].heard) == 5000)
    assert len(here.ears[0].pieces) < 50
    await hang_up(writer)
    assert await asyncio.wait_for(reader.read(), 5) == b""


async def test_a_broken_record_ends_its_connection(place: Make):
    here = await place(True)
    near, far = await here.pair()
    near.stream._push(b"\x17\x03\x03\x00\x20" + b"\0" * 32)
    assert "bad" in await asyncio.wait_for(far.end, 5) or "MAC" in await far.end
    assert await near.end


@pytest.mark.parametrize("junk", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff" + b"\0" * 70_000, b""])
async def test_what_is_no_handshake_is_put_out_and_gives_its_place_back(place: Make, junk: bytes):
    here = await place(True, handshake_timeout=0.1)
    reader, writer = await asyncio.open_connection(*here.listener.local)
    writer.write(junk)
    with contextlib.suppress(ConnectionError):
        await asyncio.wait_for(reader.read(), 5)
    await until(lambda: here.gate.open == 0)
    assert not here.ears
    await hang_up(writer)


async def test_handshakes_that_stand_still_hold_nobody_up(place: Make):
    here = await place(True)
    held = [await asyncio.open_connection(*here.listener.local) for _ in range(20)]
    for _reader, writer in held:
        writer.write(b"\x16\x03\x01\x02\x00\x01")
    near, far = await here.pair()
    near.stream.write(b"hello")
    await until(lambda: far.heard == b"hello")
    assert here.gate.open == 21
    here.listener.close()
    await until(lambda: here.gate.open == 1)
    far.stream.write(b"open ones go on")
    await until(lambda: near.heard == b"open ones go on")
    for _reader, writer in held:
        await hang_up(writer)
    near.stream.close()
    await near.end


@pytest.mark.parametrize("name", ["a..b", "x" * 64 + ".example.com", "evil.example.com", ".", "a b"])
async def test_a_certificate_must_name_the_server(place: Make, name: str):
    here = await place(True)
    with pytest.raises(OSError, match="certificate"):
        await here.call(server_name=name)
    await until(lambda: here.gate.open == 0)
    assert not here.ears


async def test_a_server_that_does_not_shake_hands_is_given_up(place: Make, tls: Contexts):
    here = await place(False)
    with pytest.raises(TimeoutError, match=r"did not answer in 0.05 s"):
        await here.call(tls=tls[1], timeout=0.05)
    async with asyncio.timeout(5):
        await here.ears[0].end


async def test_a_connection_given_up_leaves_nothing_behind(place: Make, tls: Contexts):
    here = await place(False)
    calling = asyncio.ensure_future(here.call(tls=tls[1]))
    await until(lambda: here.ears)
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    assert await here.ears[0].end
    await until(lambda: len(here.network.poller) == 1)  # the listener


async def test_a_new_certificate_serves_new_connections_and_open_ones_live_on(place: Make, tmp_path: Path):
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    server, client = contexts(tmp_path / "old", HERE)
    _other, new_client = contexts(tmp_path / "new", HERE)
    here = await place(True, tls=server)
    before = await here.call(tls=client)
    server.load_cert_chain(tmp_path / "new" / "test.pem")
    with pytest.raises(OSError, match="certificate verify failed"):
        await here.call(tls=client)
    after = await here.call(tls=new_client)
    for ear in (before, after):
        ear.stream.write(b"still here")
    await until(lambda: [ear.heard for ear in here.ears] == [b"still here"] * 2)
    for ear in (before, after):
        ear.stream.close()
        await ear.end


# --- many connections ---


async def test_what_all_ready_connections_hold_goes_up_in_one_batch_and_each_is_answered_in_one_piece():
    batches: list[Sequence[tuple[bytes, Flow]]] = []

    def received(batch: Sequence[tuple[bytes, Flow]]) -> None:
        batches.append(batch)
        assert layer.send_batch(batch) == []

    layer = TransportLayer(
        RealNetwork(),
        limits=TransportLimits(),
        client_tls=None,
        path="/ws",
        received=received,
        lost=lambda _flow, _detail: None,
        chance=random.Random(1),
    )
    at = await layer.listen(Transport.TCP, Address(HERE, 0), advertise=None, tls=None, path="/ws")
    callers = [socket.create_connection(at.local) for _ in range(3)]
    for caller in callers:
        caller.setblocking(False)
        caller.send(b"\r\n\r\n" + OPTIONS * 3)
    await until(lambda: len(layer.pool) == 3 and batches)
    assert [len(batch) for batch in batches] == [9]
    assert len({flow for _data, flow in batches[0]}) == 3
    for caller in callers:
        assert await asyncio.get_running_loop().sock_recv(caller, 65_536) == b"\r\n" + OPTIONS * 3
        caller.close()
    await layer.close()


# --- the listener ---


async def test_two_processes_may_share_a_port_and_others_may_not():
    one, other = RealNetwork(reuse_port=True), RealNetwork(reuse_port=True)
    first = await one.listen(Address(HERE, 0), lambda _stream: None)
    second = await other.listen(first.local, lambda _stream: None)
    with pytest.raises(OSError, match="in use"):
        await RealNetwork().listen(first.local, lambda _stream: None)
    first.close()
    second.close()
    assert len(one.poller) == len(other.poller) == 0


async def test_without_a_file_descriptor_it_waits_and_goes_on(place: Make, monkeypatch: pytest.MonkeyPatch):
    from ringback.net import streams

    monkeypatch.setattr(streams, "BREATHER", 0.05)
    here = await place(False)
    refusals = 3

    class Exhausted:
        """The listening socket of a process that has no descriptor left, for a while."""

        def __init__(self, sock: socket.socket) -> None:
            self._socket = sock
            self.fileno, self.close = sock.fileno, sock.close

        def accept(self) -> tuple[socket.socket, object]:
            nonlocal refusals
            refusals -= 1
            if refusals >= 0:
                raise OSError(24, "Too many open files")
            return self._socket.accept()

    here.listener._socket = Exhausted(here.listener._socket)
    near = await here.call()
    near.stream.write(b"patience")
    await until(lambda: here.ears and here.ears[0].heard == b"patience")
    assert refusals < 0
    near.stream.close()
    await near.end
