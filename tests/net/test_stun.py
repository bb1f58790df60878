# SPDX-License-Identifier: Apache-2.0
"""STUN on the SIP port: RFC 8489, RFC 5626 section 8."""

import asyncio
import struct
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.net.stun import COOKIE, binding_response, is_stun
from ringback.net.udp import UdpPort, is_noise
from ringback.sip.flow import Address, Flow
from ringback.testing import Network, run

#: RFC 5769 section 2.1 to 2.3: the transaction id and the addresses of the test vectors.
TRANSACTION = bytes.fromhex("b7e7a701bc34d686fa87dfae")
XOR_MAPPED_IPV4 = bytes.fromhex("00200008 0001a147e112a643")
XOR_MAPPED_IPV6 = bytes.fromhex("00200014 0002a147 0113a9fa a5d3f179 bc25f4b5 bed2b9d9")


def request(attributes: bytes = b"", *, kind: int = 1, size: int | None = None) -> bytes:
    length = len(attributes) if size is None else size
    return struct.pack("!HH", kind, length) + COOKIE + TRANSACTION + attributes


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (Address("192.0.2.1", 32853), XOR_MAPPED_IPV4),
        (Address("2001:db8:1234:5678:11:2233:4455:6677", 32853), XOR_MAPPED_IPV6),
    ],
)
def test_the_addresses_of_rfc_5769_are_told_as_it_says(source: Address, expected: bytes) -> None:
    answer = binding_response(request(), source)
    assert answer == struct.pack("!HH", 0x0101, len(expected)) + COOKIE + TRANSACTION + expected


def test_names_of_software_are_passed_over() -> None:
    data = request(attribute(0x8022, b"a phone") + attribute(0x8028, bytes(4)))
    assert binding_response(data, Address("192.0.2.1", 5060))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n\r\n",
        b"OPTIONS sip:a@b SIP/2.0\r\n\r\n",
        request()[:19],
        request(kind=0x0101),
        request(kind=0x0011),
        request(size=4),
        request(attribute(0x0006, b"user")),
        request(attribute(0x8022, b"a phone") + attribute(0x0008, bytes(20))),
    ],
)
def test_all_else_is_not_answered(data: bytes) -> None:
    assert binding_response(data, Address("192.0.2.1", 5060)) is None


@given(st.binary(max_size=64) | st.binary(max_size=64).map(request))
def test_no_bytes_make_it_fail_or_answer_more_than_an_address(data: bytes) -> None:
    answer = binding_response(data, Address("192.0.2.1", 5060))
    assert answer is None or len(answer) == 32
    assert answer is None or (is_stun(data) and is_noise(data))


def test_a_sip_port_answers_and_tells_nobody_above() -> None:
    async def main() -> tuple[list[bytes], list[bytes]]:
        network = Network(seed=1)
        above: list[bytes] = []
        answers: list[bytes] = []

        def received(batch: Sequence[tuple[bytes, Flow]]) -> None:
            above.extend(data for data, _flow in batch)

        port = UdpPort(received)
        await port.bind(network.host("10.0.0.1"), Address("10.0.0.1", 5060))
        phone = await network.host("10.0.0.2").bind_datagram(
            Address("10.0.0.2", 5060), lambda batch: answers.extend(data for data, _ in batch)
        )
        phone.send(request(), Address("10.0.0.1", 5060))
        await asyncio.sleep(1)
        return above, answers

    above, answers = run(main())
    assert above == []
    assert [answer[:2] for answer in answers] == [b"\x01\x01"]
