# SPDX-License-Identifier: Apache-2.0
"""Are tel URIs read, written and compared as RFC 3966 says?"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.sip.errors import PeerError
from ringback.sip.message.tel_uri import TelUri


def test_numbers_keep_their_separators_and_know_their_digits():
    uri = TelUri.parse("tel:+1-201-555-0123;ext=12;isub=a%20b")

    assert (uri.number, uri.digits, uri.is_global) == ("+1-201-555-0123", "+12015550123", True)
    assert (uri.parameter("EXT"), uri.parameter("isub")) == ("12", "a b")
    assert str(uri) == "tel:+1-201-555-0123;ext=12;isub=a%20b"


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("tel:+1-201-555-0123", "TEL:+12015550123"),
        ("tel:+1(201)555.0123", "tel:+12015550123"),
        ("tel:7042;phone-context=example.com", "tel:7042;PHONE-CONTEXT=Example.COM"),
        ("tel:863-1234;phone-context=+1-914-555", "tel:8631234;phone-context=+1914555"),
        ("tel:+1;ext=1-2;isub=x", "tel:+1;isub=x;ext=12"),
        ("tel:7aB*#", "tel:7Ab*#"),
    ],
)
def test_equivalent_numbers(one: str, two: str):
    assert TelUri.parse(one).is_equivalent(TelUri.parse(two))


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("tel:+12015550123", "tel:12015550123"),
        ("tel:7042;phone-context=example.com", "tel:7042"),
        ("tel:+1;ext=1", "tel:+1;ext=2"),
        ("tel:+1", "tel:+2"),
    ],
)
def test_numbers_that_differ(one: str, two: str):
    assert not TelUri.parse(one).is_equivalent(TelUri.parse(two))


@pytest.mark.parametrize(
    "text",
    [
        "tel:",
        "tel:+",
        "tel:-",
        "tel:+a",
        "tel:12 3",
        "tel:+1;",
        "tel:+1;;a",
        "tel:+1;a=",
        "tel:+1;a;A",
        "tel:+1;a=b=c",
        "tel:٣",
        "tel:x",
    ],
)
def test_what_is_no_number_is_refused(text: str):
    with pytest.raises(PeerError):
        TelUri.parse(text)


@given(
    st.from_regex(r"\A(\+[0-9().\-]{0,9}[0-9]|[0-9A-Fa-f*#]{1,9})\Z").map(lambda text: text.strip("\n")),
    st.lists(
        st.tuples(
            st.sampled_from(["ext", "isub", "phone-context", "x"]),
            st.none() | st.text(min_size=1, max_size=5).filter(lambda t: t.isprintable()),
        ),
        max_size=2,
        unique_by=lambda p: p[0],
    ),
)
def test_printing_then_parsing_is_identity(number: str, parameters: list):
    uri = TelUri(number, tuple(parameters))

    assert TelUri.parse(str(uri)) == uri
