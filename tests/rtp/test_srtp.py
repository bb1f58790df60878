# SPDX-License-Identifier: Apache-2.0
"""SRTP against the formulas of RFC 3711 and 6188 written out with another library, and against garbage."""

import hmac
import random

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from ringback.rtp.packet import RtpPacket
from ringback.rtp.srtp import KEY_BYTES, LONGEST_PACKET, MOST_SOURCES, SrtpSession, UnusableKey

SUITES = sorted(KEY_BYTES)
COUNTER_SUITES = [name for name in SUITES if "_CM_" in name]


def pair(suite: str, seed: int = 1) -> tuple[SrtpSession, SrtpSession]:
    chance = random.Random(seed)
    one, other = (chance.randbytes(KEY_BYTES[suite]) for _ in range(2))
    return SrtpSession(suite, local=one, remote=other), SrtpSession(suite, local=other, remote=one)


def packet(number: int, ssrc: int = 7, payload: bytes = b"\x55" * 160) -> bytes:
    return RtpPacket(0, number & 0xFFFF, number * 160 & 0xFFFFFFFF, ssrc, payload).to_bytes()


REPORT = bytes.fromhex("80c9000100000007")


def counter_mode(key: bytes, iv: int, data: bytes) -> bytes:
    """AES in counter mode from a 128-bit counter."""
    encryptor = Cipher(algorithms.AES(key), modes.CTR(iv.to_bytes(16, "big"))).encryptor()
    return encryptor.update(data) + encryptor.finalize()


def derived(master: bytes, salt: bytes, label: int, size: int) -> bytes:
    """RFC 3711 section 4.3.1 with a key derivation rate of zero; RFC 6188 with a longer key."""
    return counter_mode(master, (int.from_bytes(salt, "big") ^ (label << 48)) << 16, bytes(size))


def by_the_book(suite: str, key: bytes, plain: bytes, index: int) -> bytes:
    master, salt = key[:-14], key[-14:]
    session_key = derived(master, salt, 0, len(master))
    session_salt = int.from_bytes(derived(master, salt, 2, 14), "big")
    ssrc = int.from_bytes(plain[8:12], "big")
    cipher = counter_mode(session_key, (session_salt << 16) ^ (ssrc << 64) ^ (index << 16), plain[12:])
    signed = plain[:12] + cipher
    tag = hmac.digest(derived(master, salt, 1, 20), signed + (index >> 16).to_bytes(4, "big"), "sha1")
    return signed + tag[: 4 if suite.endswith("_32") else 10]


@pytest.mark.parametrize("suite", COUNTER_SUITES)
def test_packets_look_as_the_rfc_says(suite):
    key = random.Random(suite).randbytes(KEY_BYTES[suite])
    session = SrtpSession(suite, local=key, remote=key)
    for number in (65_000, 65_535, 65_536, 65_540):  # the sequence number wraps, the rollover counter goes up
        assert session.protect_rtp([packet(number)]) == [by_the_book(suite, key, packet(number), number)]


@pytest.mark.parametrize("suite", SUITES)
def test_what_one_end_protects_the_other_reads(suite):
    alice, bob = pair(suite)
    for number in range(65_500, 65_600):
        (protected,) = alice.protect_rtp([packet(number)])
        assert packet(number)[12:44] not in protected
        assert bob.unprotect_rtp(protected) == packet(number)
    (report,) = bob.protect_rtcp([REPORT])
    assert alice.unprotect_rtcp(report) == REPORT
    assert alice.failures == bob.failures == 0


@pytest.mark.parametrize("suite", SUITES)
def test_what_is_forged_changed_repeated_or_plain_is_counted_and_dropped(suite):
    alice, bob = pair(suite)
    chance = random.Random(2)
    (good,) = alice.protect_rtp([packet(1)])
    bad = [
        packet(1),
        good[:-1] + bytes((good[-1] ^ 1,)),
        good[:20] + bytes((good[20] ^ 1,)) + good[21:],
        good[:2] + b"\0\2" + good[4:],
        good[:13],
        good[:11],
        b"",
        bytes(LONGEST_PACKET + 1),
        *(chance.randbytes(chance.randrange(2_000)) for _ in range(500)),
    ]
    assert [bob.unprotect_rtp(each) for each in bad] == [None] * len(bad)
    assert bob.unprotect_rtp(good) == packet(1)
    assert bob.unprotect_rtp(good) is None
    assert bob.failures == len(bad) + 1
    assert [bob.unprotect_rtcp(each) for each in (*bad, REPORT)] == [None] * (len(bad) + 1)
    (report,) = alice.protect_rtcp([REPORT])
    assert bob.unprotect_rtcp(report) == REPORT
    assert bob.unprotect_rtcp(report) is None


def test_the_longest_packets_of_video_pass():
    alice, bob = pair("AES_CM_128_HMAC_SHA1_80")
    long = packet(1, payload=bytes(LONGEST_PACKET - 12))
    (protected,) = alice.protect_rtp([long])
    assert bob.unprotect_rtp(protected[:LONGEST_PACKET]) is None
    assert alice.protect_rtp([packet(2, payload=bytes(1_460))])[0][12:] != bytes(1_460)
    assert bob.unprotect_rtp(alice.protect_rtp([packet(3, payload=bytes(1_460))])[0]) is not None


def test_no_peer_makes_us_remember_sources_without_end():
    alice, bob = pair("AEAD_AES_128_GCM")
    mallory, target = SrtpSession("AEAD_AES_128_GCM", local=b"k" * 28, remote=b"l" * 28), bob
    strange = [mallory.protect_rtp([packet(1, ssrc=ssrc)]) for ssrc in range(MOST_SOURCES)]
    assert not any(target.unprotect_rtp(each) for (each,) in strange)
    heard = 0
    for ssrc in range(MOST_SOURCES + 50):
        for protected in alice.protect_rtp([packet(1, ssrc=ssrc)]):
            heard += bob.unprotect_rtp(protected) is not None
    assert heard == MOST_SOURCES
    assert alice.failures == 50


def test_a_new_key_is_taken_and_the_old_one_serves_what_is_on_its_way():
    suite = "AES_CM_128_HMAC_SHA1_80"
    old, new, back = b"o" * 30, b"n" * 30, b"b" * 30
    alice, bob = SrtpSession(suite, local=old, remote=back), SrtpSession(suite, local=back, remote=old)
    assert bob.unprotect_rtp(alice.protect_rtp([packet(1)])[0])
    (late,) = alice.protect_rtp([packet(2)])
    bob.rekey(suite, local=back, remote=new)
    assert bob.unprotect_rtp(late) == packet(2)
    alice.rekey(suite, local=new, remote=back)
    assert bob.unprotect_rtp(alice.protect_rtp([packet(3)])[0]) == packet(3)
    older = SrtpSession(suite, local=old, remote=back)
    assert bob.unprotect_rtp(older.protect_rtp([packet(4)])[0]) is None


def test_the_same_key_again_goes_on_counting():
    """A session that began anew would take the next packets for those of 65536 numbers ago."""
    suite = "AES_CM_128_HMAC_SHA1_80"
    alice, bob = pair(suite)
    keys = alice._keys
    for number in range(65_530, 65_546):
        assert bob.unprotect_rtp(alice.protect_rtp([packet(number)])[0])
    alice.rekey(suite, local=keys[1], remote=keys[2])
    bob.rekey(suite, local=keys[2], remote=keys[1])
    assert bob.unprotect_rtp(alice.protect_rtp([packet(65_546)])[0]) == packet(65_546)


@pytest.mark.parametrize(
    ("suite", "size"), [("AES_CM_128_HMAC_SHA1_80", 29), ("AEAD_AES_256_GCM", 46), ("F8", 30)]
)
def test_a_key_that_does_not_fit_is_refused(suite, size):
    with pytest.raises(UnusableKey):
        SrtpSession(suite, local=bytes(size), remote=bytes(size))
