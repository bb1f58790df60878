# SPDX-License-Identifier: Apache-2.0
"""Datagrams of one transaction meet their worker: by the system, and by looking."""

import os
import select
import socket
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.net.steering import FIRST_OFFSET, LAST_OFFSET, attach, owner_of, program
from ringback.sip.identifiers import Identifiers

COUNT = 3


def words(worker: int | None) -> Identifiers:
    return Identifiers(os.urandom, worker=worker, secret=bytes(32))


def response(branch: str, *, via: str = "SIP/2.0/UDP 192.0.2.1:5060;rport", reason: str = "OK") -> bytes:
    return (
        f"SIP/2.0 200 {reason}\r\nVia: {via};branch={branch}\r\n"
        f"Via: SIP/2.0/UDP 192.0.2.9;branch={words(0).branch()}\r\nContent-Length: 0\r\n\r\n"
    ).encode()


def request(to: str, *, before: str = "", body: str = "") -> bytes:
    return (
        f"BYE sip:a@b SIP/2.0\r\n{before}Via: SIP/2.0/UDP h;branch={words(2).branch()}\r\n{to}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


@pytest.mark.parametrize("worker", [0, 1, 9, 10, 63])
def test_a_response_belongs_to_the_worker_that_made_its_top_branch(worker: int) -> None:
    assert owner_of(response(words(worker).branch("suffix"))) == worker


@pytest.mark.parametrize("worker", [0, 63])
@pytest.mark.parametrize(
    "line", ["To: <sip:a@b>;tag={}", "t:<sip:a@b>;x;TAG={};x", 'TO : "=rb-05-" <sip:a>;tag={}']
)
def test_a_request_belongs_to_the_worker_that_made_the_tag_in_its_to(line: str, worker: int) -> None:
    assert owner_of(request(line.format(words(worker).tag()))) == worker
    assert owner_of(request(line.format(words(worker).keyed_tag("a")))) == worker


@pytest.mark.parametrize(
    "data",
    [
        request("To: <sip:a@b>;tag=abc"),
        request("To: <sip:a@b>;tag=rb-x1-00"),
        request("To: <sip:rb-01-@b>;tag=abc"),
        request("To: <sip:a@b>;tag=rb-1"),
        request("To: <sip:a@b>", before="From: <sip:a@b>;tag=rb-01-00\r\n"),
        request("To: <sip:a@b>", body="To: <sip:a@b>;tag="),
        response(words(None).branch()),
        response("z9hG4bK-x1-00"),
        b"SIP/2.0 200 OK\r\n\r\n",
        b"SIP/2.0 200 z9hG4bK-",
        b"",
        b"rb-01-",
    ],
)
def test_anything_else_may_be_taken_by_any_worker(data: bytes) -> None:
    assert owner_of(data) is None


@given(
    st.lists(
        st.sampled_from(
            [b"To", b":", b"tag", b"=", b"rb-", b"01", b" ", b"\r\n", b"SIP/", b"z9hG4bK-", b"\xff"]
        )
    )
)
def test_looking_for_an_owner_raises_nothing(pieces: list[bytes]) -> None:
    owner = owner_of(b"".join(pieces))
    assert owner is None or 0 <= owner < 100


@pytest.fixture
def sharers() -> Iterator[list[socket.socket]]:
    """Sockets that share a port, in the order of their workers."""
    sockets: list[socket.socket] = []
    port = 0
    for _ in range(COUNT):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(("127.0.0.1", port))
        port = sock.getsockname()[1]
        sockets.append(sock)
    yield sockets
    for sock in sockets:
        sock.close()


def receiver(sharers: list[socket.socket], data: bytes) -> int:
    """Which of them gets it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.sendto(data, sharers[0].getsockname())
    while ready := select.select(sharers, [], [], 5)[0]:
        if ready[0].recv(65536) == data:  # others may still send to whoever had this port before
            return sharers.index(ready[0])
    raise AssertionError("nobody got it")


def test_the_system_gives_responses_to_their_workers(sharers: list[socket.socket]) -> None:
    if not attach(sharers[1]):
        pytest.skip("this system does not let us attach programs")
    for worker in (0, 1, 2, 1, 0):
        for reason in ("OK", "", "Call/Transaction Does Not Exist"):
            for host in ("h", "192.0.2.1:5060", "[2001:db8:1111:2222:3333:4444:5555:6666]:65535"):
                via = f"SIP/2.0/UDP {host};rport=12345;received=192.0.2.111"
                assert receiver(sharers, response(words(worker).branch(), via=via, reason=reason)) == worker


def test_the_system_spreads_everything_else_by_its_sender(sharers: list[socket.socket]) -> None:
    if not attach(sharers[0]):
        pytest.skip("this system does not let us attach programs")
    for data in (
        b"OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=" + words(2).branch().encode() + b"\r\n\r\n" + b"x" * 400,
        response(words(None).branch()) + b"x" * 400,
        response(words(COUNT).branch()) + b"x" * 400,
        response("z9hG4bK-@@-") + b"x" * 400,
    ):  # fmt: skip
        assert {receiver(sharers, data) for _ in range(64)} == set(range(COUNT))


def test_a_datagram_that_is_cut_off_is_nobodys_loss(sharers: list[socket.socket]) -> None:
    attach(sharers[0])
    for data in (b"", b"SIP", b"SIP/2.0 200 OK\r\n", response(words(1).branch())[:60]):
        assert receiver(sharers, data) in range(COUNT)


def test_the_program_fits_into_what_the_system_takes() -> None:
    assert len(program()) < 4096
    assert all(code[1] < 256 and code[2] < 256 for code in program())
    assert (
        FIRST_OFFSET <= response("z9hG4bK-00", via="SIP/2.0/UDP a", reason="").index(b"z9hG4bK") < LAST_OFFSET
    )
