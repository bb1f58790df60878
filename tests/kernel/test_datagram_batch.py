# SPDX-License-Identifier: Apache-2.0
"""Do datagrams get through real sockets, many at a time, with the address they came from?"""

import contextlib
import select
import socket
from collections.abc import Iterator
from types import ModuleType

import pytest
from kernel_messages import kernels

FAMILIES = pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
Remote = tuple[str, int]


@contextlib.contextmanager
def bound(host: str, *, room: int = 1 << 20) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        sock.bind((host, 0))
        yield sock


def name(sock: socket.socket) -> Remote:
    host, port = sock.getsockname()[:2]
    return host, port


def all_of(batch, sock: socket.socket, count: int) -> list[tuple[bytes, Remote]]:
    """What arrives until there are so many; loopback delivers before the sender's call returns, or never."""
    received: list[tuple[bytes, Remote]] = []
    while len(received) < count and select.select([sock], [], [], 5)[0]:
        received += batch.receive()
    return received


@kernels
@FAMILIES
def test_a_batch_arrives_whole_in_order_and_with_its_sender(kernel: ModuleType, host: str):
    with bound(host) as one, bound(host) as two:
        sender, receiver = kernel.DatagramBatch(one), kernel.DatagramBatch(two)
        sent = [b"%d" % number for number in range(100)] + [b"", b"x" * 60_000]

        assert sender.send([(data, name(two)) for data in sent]) == len(sent)

        received = all_of(receiver, two, len(sent))
        assert [data for data, _ in received] == sent
        assert {remote for _, remote in received} == {name(one)}
        assert (sender.errors, receiver.errors) == (0, 0)


@kernels
@FAMILIES
def test_an_answer_goes_to_the_address_that_was_given(kernel: ModuleType, host: str):
    with bound(host) as one, bound(host) as two:
        server = kernel.DatagramBatch(two)
        one.sendto(b"ping", name(two))

        ((_, remote),) = all_of(server, two, 1)
        assert server.send([(b"pong", remote)]) == 1

        assert select.select([one], [], [], 5)[0]
        assert one.recvfrom(100)[0] == b"pong"


@kernels
def test_a_batch_is_never_larger_than_asked_for(kernel: ModuleType):
    with bound("127.0.0.1") as one, bound("127.0.0.1") as two:
        kernel.DatagramBatch(one).send([(b"x", name(two))] * 10)
        receiver = kernel.DatagramBatch(two, 4)

        assert [len(receiver.receive()) for _ in range(4)] == [4, 4, 2, 0]


@kernels
def test_nothing_waiting_is_the_empty_list(kernel: ModuleType):
    with bound("127.0.0.1") as sock:
        assert kernel.DatagramBatch(sock).receive() == []
        assert kernel.DatagramBatch(sock).send([]) == 0


@kernels
@pytest.mark.parametrize(
    "bad",
    [
        (b"x", ("localhost", 5060)),
        (b"x", ("", 5060)),
        (b"x", ("127.0.0.1", 0)),
        (b"x", ("127.0.0.1", 65_536)),
        (b"x", ("127.0.0.1", -1)),
        (b"x", ("127.1", 5060)),
        (b"x", ("\u0661.2.3.4", 5060)),
        (b"x", ("::1", 5060)),
        (b"x", ("fe80::1%nowhere", 5060)),
        (b"x" * 65_508, ("127.0.0.1", 5060)),
    ],
)
def test_what_cannot_be_sent_is_skipped_and_counted(kernel: ModuleType, bad: tuple[bytes, Remote]):
    with bound("127.0.0.1") as one, bound("127.0.0.1") as two:
        sender = kernel.DatagramBatch(one)
        good = [(b"first", name(two)), (b"last", name(two))]

        assert sender.send([good[0], bad, good[1]]) == 3

        assert [data for data, _ in all_of(kernel.DatagramBatch(two), two, 2)] == [b"first", b"last"]
        assert sender.errors == 1


@kernels
def test_a_full_socket_takes_what_it_can_and_says_how_many(kernel: ModuleType):
    """A stream stands in for a datagram socket: on loopback only a stream can be filled up."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(name(listener)) as full,
        listener.accept()[0] as far,
    ):
        full.setblocking(False)
        batch = [(b"x" * 100_000, name(listener))] * 200
        sender = kernel.DatagramBatch(full)

        done = sender.send(batch)
        while sender.send(batch[done:]):
            continue  # what the far end has acknowledged meanwhile makes room

        assert done < 200
        assert sender.errors == 0
        far.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while far.recv(1 << 20):
                continue
        assert select.select([], [full], [], 5)[1]
        assert sender.send(batch[:1]) == 1


@kernels
def test_an_icmp_error_is_no_datagram_and_stops_nothing(kernel: ModuleType):
    with bound("127.0.0.1") as one, bound("127.0.0.1") as two:
        with bound("127.0.0.1") as gone:
            nobody = name(gone)
        one.setsockopt(socket.SOL_IP, 11, 1)  # IP_RECVERR: tell an unconnected socket, too
        batch = kernel.DatagramBatch(one)
        batch.send([(b"x", nobody)])
        two.sendto(b"hello", name(one))

        assert [data for data, _ in all_of(batch, one, 1)] == [b"hello"]
        batch.send([(b"x", nobody)])
        assert batch.send([(b"x", name(two))]) == 1
        assert [data for data, _ in all_of(kernel.DatagramBatch(two), two, 1)] == [b"x"]


@kernels
def test_a_socket_that_is_closed_raises_when_it_shall_receive(kernel: ModuleType):
    with bound("127.0.0.1") as sock:
        batch = kernel.DatagramBatch(sock)
    with pytest.raises(OSError, match="Bad file descriptor"):
        batch.receive()
    assert batch.send([(b"x", ("127.0.0.1", 9))]) == 1
    assert batch.errors == 1


@kernels
def test_more_strangers_than_the_tables_hold_are_all_told_apart(kernel: ModuleType):
    with bound("127.0.0.1") as sender, bound("127.0.0.1") as sock:
        receiver = kernel.DatagramBatch(sock)
        batch = kernel.DatagramBatch(sender)
        for number in range(9000):
            batch.send([(b"x", (f"127.{number >> 8}.{number & 255}.1", 1 + number))])
        batch.send([(b"last", name(sock))])

        assert [(data, remote) for data, remote in all_of(receiver, sock, 1)] == [(b"last", name(sender))]
