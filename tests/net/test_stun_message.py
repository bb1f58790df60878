# SPDX-License-Identifier: Apache-2.0
"""STUN messages and their signatures: the vectors of RFC 5769, and what attackers make of them (row 44)."""

import random

import pytest

from ringback.net.stun import COOKIE
from ringback.net.stun_message import REQUEST, SUCCESS, Attribute, StunMessage, built
from ringback.sip.flow import Address

PASSWORD = b"VOkJxbRl1RmTxUk/WvJxBt"
#: RFC 5769 section 2.1.
SAMPLE = bytes.fromhex(
    "000100582112a442b7e7a701bc34d686fa87dfae"
    "802200105354554e207465737420636c69656e74"
    "002400046e0001ff"
    "80290008932ff9b151263b36"
    "000600096576746a3a68367659202020"
    "000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2"
    "80280004e57a3bcf"
)
TRANSACTION = b"0123456789ab"


def test_the_sample_request_of_the_rfc_is_read_and_its_signature_is_good():
    message = StunMessage.parse(SAMPLE)
    assert message is not None
    assert message.kind == REQUEST
    assert message.attributes[Attribute.USERNAME] == b"evtj:h6vY"
    assert message.attributes[Attribute.PRIORITY] == bytes.fromhex("6e0001ff")
    assert message.unknown == []
    assert message.is_signed_with(PASSWORD)
    assert not message.is_signed_with(PASSWORD[:-1])


@pytest.mark.parametrize("at", range(0, len(SAMPLE) - 8, 3))
def test_a_changed_octet_spoils_the_signature_or_the_message(at):
    changed = bytearray(SAMPLE)
    changed[at] ^= 0x40
    message = StunMessage.parse(bytes(changed))
    assert message is None or not message.is_signed_with(PASSWORD)


def test_what_follows_the_signature_is_not_read():
    signed = built(REQUEST, TRANSACTION, [(Attribute.USERNAME, b"a:b")], b"key")[:-8]
    added = signed + bytes.fromhex("00250000")
    added = added[:2] + (len(added) - 20).to_bytes(2, "big") + added[4:]
    message = StunMessage.parse(added)
    assert message is not None
    assert message.is_signed_with(b"key")
    assert Attribute.USE_CANDIDATE not in message.attributes


def test_a_message_without_signature_is_signed_with_nothing():
    message = StunMessage.parse(built(REQUEST, TRANSACTION, [(Attribute.USERNAME, b"a:b")]))
    assert message is not None
    assert not message.is_signed_with(b"")
    short = StunMessage.parse(built(REQUEST, TRANSACTION, [(Attribute.MESSAGE_INTEGRITY, b"\0" * 4)]))
    assert short is not None
    assert not short.is_signed_with(b"")


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1"])
def test_an_answer_says_where_the_question_came_from(host):
    question = StunMessage.parse(SAMPLE)
    answer = StunMessage.parse(question.success(Address(host, 32_853), PASSWORD))
    assert answer.kind == SUCCESS
    assert answer.transaction == question.transaction
    assert answer.is_signed_with(PASSWORD)
    value = answer.attributes[Attribute.XOR_MAPPED_ADDRESS]
    assert int.from_bytes(value[2:4], "big") ^ 0x2112 == 32_853
    mask = COOKIE + question.transaction
    packed = bytes(a ^ b for a, b in zip(value[4:], mask, strict=False))
    assert len(packed) == (4 if host == "192.0.2.1" else 16)
    assert packed[:2] in (b"\xc0\x00", b"\x20\x01")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        SAMPLE[:19],
        SAMPLE[:-4],
        SAMPLE + bytes(4),
        SAMPLE[:4] + b"\0\0\0\0" + SAMPLE[8:],
        bytes.fromhex("000100042112a442") + TRANSACTION + bytes.fromhex("0006ffff"),
        bytes.fromhex("000100082112a442") + TRANSACTION + bytes.fromhex("0006000500000000"),
    ],
)
def test_what_is_broken_is_no_message(data):
    assert StunMessage.parse(data) is None


def test_no_octets_raise():
    chance = random.Random(3)
    for _ in range(3_000):
        body = chance.randbytes(4 * chance.randrange(30))
        StunMessage.parse(bytes((0, 1)) + len(body).to_bytes(2, "big") + COOKIE + TRANSACTION + body)
        StunMessage.parse(chance.randbytes(chance.randrange(200)))
