# SPDX-License-Identifier: Apache-2.0
"""Keys in descriptions: RFC 4568, 6188, 7714; floods of them: RELIABILITY row 9."""

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sdp_peers import CRYPTO, said_by

from ringback.sdp.crypto import SUITES, CryptoLine, agreed_crypto, answering_crypto, crypto_lines
from ringback.sdp.session import Line, Section

KEY_30 = b64encode(bytes(range(30))).decode()
KEY_28 = b64encode(bytes(range(28))).decode()
KEY_46 = b64encode(bytes(range(46))).decode()
SHA_80 = "AES_CM_128_HMAC_SHA1_80"


def lines_of(*values: str) -> tuple[CryptoLine, ...]:
    return crypto_lines(Section(tuple(Line("a", f"crypto:{value}") for value in values)))


@pytest.mark.parametrize(
    ("value", "suite"),
    [
        (f"1 {SHA_80} inline:{KEY_30}", SHA_80),
        (f"2 AES_CM_128_HMAC_SHA1_32 inline:{KEY_30}", "AES_CM_128_HMAC_SHA1_32"),
        (f"3 AES_256_CM_HMAC_SHA1_80 inline:{KEY_46}", "AES_256_CM_HMAC_SHA1_80"),
        (f"3 AES_256_CM_HMAC_SHA1_32 inline:{KEY_46.rstrip('=')}", "AES_256_CM_HMAC_SHA1_32"),
        (f"4 AEAD_AES_128_GCM inline:{KEY_28}", "AEAD_AES_128_GCM"),
        (f"5 AEAD_AES_256_GCM inline:{b64encode(bytes(44)).decode()}", "AEAD_AES_256_GCM"),
        (f"1 {SHA_80.lower()} inline:{KEY_30}", SHA_80),
        (f"1 {SHA_80} inline:{KEY_30}|2^31", SHA_80),
        (f"1 {SHA_80} inline:{KEY_30}|2^20 WSH=128 -new=thing", SHA_80),
        (f"1 {SHA_80} inline:{KEY_30}|1048576", SHA_80),
    ],
)
def test_usable_lines_are_used(value, suite):
    (line,) = lines_of(value)
    assert line.suite == suite
    assert len(line.key) == SUITES[suite].secret_bytes


@pytest.mark.parametrize(
    "value",
    [
        "",
        "1",
        f"x {SHA_80} inline:{KEY_30}",
        f"9999999999 {SHA_80} inline:{KEY_30}",
        f"1 NULL_HMAC_SHA1_80 inline:{KEY_30}",
        f"1 {SHA_80} inline:{KEY_28}",
        f"1 {SHA_80} inline:{KEY_30[:-1]}!",
        f"1 {SHA_80} inline:{KEY_30[:-3]}",
        f"1 {SHA_80} key:{KEY_30}",
        f"1 {SHA_80} inline:{KEY_30}|2^19",
        f"1 {SHA_80} inline:{KEY_30}|2^99999",
        f"1 {SHA_80} inline:{KEY_30}|^",
        f"1 {SHA_80} inline:{KEY_30}|0",
        f"1 {SHA_80} inline:{KEY_30}|2^20|1:4",
        f"1 {SHA_80} inline:{KEY_30}|1:4",
        f"1 {SHA_80} inline:{KEY_30};inline:{KEY_30}",
        f"1 {SHA_80} inline:{KEY_30} UNENCRYPTED_SRTP",
        f"1 {SHA_80} inline:{KEY_30} UNAUTHENTICATED_SRTP",
        f"1 {SHA_80} inline:{KEY_30} KDR=1",
        f"1 {SHA_80} inline:{KEY_30} SOMETHING",
        f"1 {SHA_80} inline:" + "A" * 60_000,
    ],
)
def test_unusable_lines_are_skipped_and_the_next_one_counts(value):
    assert [line.tag for line in lines_of(value, f"7 {SHA_80} inline:{KEY_30}")] == [7]


def test_of_many_lines_sixteen_are_looked_at_and_of_one_tag_the_first():
    many = lines_of(*(f"{tag} {SHA_80} inline:{KEY_30}" for tag in range(1, 400)))
    assert [line.tag for line in many] == list(range(1, 17))
    assert len(lines_of(f"1 {SHA_80} inline:{KEY_30}", f"1 AEAD_AES_128_GCM inline:{KEY_28}")) == 1


def test_the_answer_takes_the_first_offered_suite_we_have_under_its_tag():
    offered = crypto_lines(said_by("linphone-sdes-offer").media[0])
    assert [line.tag for line in offered] == [1, 2, 3, 4]
    answer = answering_crypto(offered[1:], CRYPTO)
    assert answer is not None
    assert (answer.tag, answer.suite) == (2, "AES_CM_128_HMAC_SHA1_32")
    assert answer.key in {line.key for line in CRYPTO}
    assert agreed_crypto([answer], offered) == (answer, offered[1])
    assert agreed_crypto(offered, [answer]) == (offered[1], answer)


def test_without_a_suite_in_common_there_is_no_answer():
    offered = lines_of(f"1 AEAD_AES_128_GCM inline:{KEY_28}")
    own = lines_of(f"1 {SHA_80} inline:{KEY_30}")
    assert answering_crypto(offered, own) is None
    assert agreed_crypto(own, offered) is None


def test_keys_stay_out_of_representations():
    (line,) = lines_of(f"1 {SHA_80} inline:{KEY_30}")
    assert KEY_30 not in repr(line)
    assert str(line.key) not in repr(line)


@given(
    st.builds(
        lambda tag, suite, data: CryptoLine(
            tag, suite.name, data.draw(st.binary(min_size=suite.secret_bytes, max_size=suite.secret_bytes))
        ),
        st.integers(0, 999_999_999),
        st.sampled_from(list(SUITES.values())),
        st.data(),
    )
)
def test_what_is_printed_is_parsed_again(line):
    assert CryptoLine.parse(str(line)) == line


@given(st.text(max_size=200) | st.text("1 AESCM_280HMinline:|=^/+;", max_size=90))
def test_garbage_is_no_line_or_one_that_prints_the_same(text):
    line = CryptoLine.parse(text)
    if line is not None:
        assert CryptoLine.parse(str(line)) == line
