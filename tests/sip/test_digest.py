# SPDX-License-Identifier: Apache-2.0
"""The published vectors of digest authentication."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.sip.digest import ALGORITHMS, Proof, algorithm_named, digest_response, ha1, printed
from ringback.sip.message.credentials import Challenge

RFC_7616_NONCE = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
RFC_7616_CNONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_example_of_rfc_7616_section_3_9_1(algorithm: str, response: str) -> None:
    proof = Proof(
        ALGORITHMS[algorithm],
        RFC_7616_NONCE,
        "GET",
        "/dir/index.html",
        qop="auth",
        nonce_count="00000001",
        cnonce=RFC_7616_CNONCE,
    )
    secret = ha1("Mufasa", "http-auth@example.org", "Circle of Life", algorithm)
    assert digest_response(secret, proof) == response


def test_the_example_of_rfc_7616_section_3_9_2_as_corrected_by_erratum_4897() -> None:
    proof = Proof(
        ALGORITHMS["SHA-512-256"],
        "5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK",
        "GET",
        "/doe.json",
        qop="auth",
        nonce_count="00000001",
        cnonce="NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v",
    )
    secret = ha1("Jäsøn Doe", "api@example.org", "Secret, or not?", "SHA-512-256")
    assert (
        digest_response(secret, proof) == "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5"
    )


def test_the_example_of_rfc_2617_section_3_5() -> None:
    proof = Proof(
        ALGORITHMS["MD5"],
        "dcd98b7102dd2f0e8b11d0f600bfb0c093",
        "GET",
        "/dir/index.html",
        qop="auth",
        nonce_count="00000001",
        cnonce="0a4f113b",
    )
    secret = ha1("Mufasa", "testrealm@host.com", "Circle Of Life")
    assert digest_response(secret, proof) == "6629fae49393a05397450978507c4ef1"


@pytest.mark.parametrize(
    ("qop", "response"),
    [("", "bf57e4e0d0bffc0fbaedce64d59add5e"), ("auth", "89eb0059246c02b2f6ee02c7961d5ea3")],
)
def test_the_sip_examples_that_phones_are_built_from(qop: str, response: str) -> None:
    """INVITE sip:bob@biloxi.com, once as in RFC 2069 and once with qop
    (draft-smith-sipping-auth-examples).
    """
    proof = Proof(
        ALGORITHMS["MD5"],
        "dcd98b7102dd2f0e8b11d0f600bfb0c093",
        "INVITE",
        "sip:bob@biloxi.com",
        qop=qop,
        nonce_count="00000001",
        cnonce="0a4f113b",
    )
    assert digest_response(ha1("bob", "biloxi.com", "zanzibar"), proof) == response


@pytest.mark.parametrize("name", ["MD5", "SHA-256", "SHA-512-256"])
def test_auth_int_and_sess_are_what_the_formulas_of_rfc_7616_say(name: str) -> None:
    def h(text: str) -> str:
        return hashlib.new(
            {"MD5": "md5", "SHA-256": "sha256"}.get(name, "sha512_256"), text.encode()
        ).hexdigest()

    proof = Proof(
        ALGORITHMS[f"{name}-SESS".upper()],
        "n",
        "INVITE",
        "sip:a@b",
        qop="auth-int",
        nonce_count="00000002",
        cnonce="c",
        body=b"v=0",
    )
    a1 = h(f"{h('u:r:p')}:n:c")
    a2 = h(f"INVITE:sip:a@b:{h('v=0')}")
    assert digest_response(ha1("u", "r", "p", name), proof) == h(f"{a1}:n:00000002:c:auth-int:{a2}")


def test_no_algorithm_means_md5_and_an_unknown_one_means_nothing() -> None:
    assert algorithm_named(None) is ALGORITHMS["MD5"]
    assert algorithm_named("sha-256") is ALGORITHMS["SHA-256"]
    assert algorithm_named("SHA-1") is None
    assert algorithm_named("\u017fha-256") is None


def test_stronger_algorithms_are_ranked_higher() -> None:
    names = sorted(ALGORITHMS, key=lambda name: ALGORITHMS[name].strength)
    assert [name for name in names if not name.endswith("SESS")] == ["MD5", "SHA-256", "SHA-512-256"]


@given(st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=40))
def test_what_is_printed_is_read_back(value: str) -> None:
    text = printed([("realm", value, True), ("nc", "00000001", False)])
    assert Challenge.parse(text).parameters == {"realm": value, "nc": "00000001"}
