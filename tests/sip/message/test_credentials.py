# SPDX-License-Identifier: Apache-2.0
"""Are challenges and credentials read and written as RFC 3261 25.1 and RFC 7616 say?"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.kernel import auth_parameters
from ringback.sip.errors import PeerError
from ringback.sip.message.credentials import (
    AuthenticationResult,
    Challenge,
    Credentials,
    _careful_parameters,
)


def test_names_are_lower_case_and_values_lose_their_quotes():
    challenge = Challenge.parse(
        'Digest Realm="a \\"b\\", c" ,nonce = "x=,",  STALE=true ,qop="auth,auth-int"'
    )

    assert challenge == Challenge(
        "Digest", {"realm": 'a "b", c', "nonce": "x=,", "stale": "true", "qop": "auth,auth-int"}
    )
    assert challenge.parameter("REALM") == 'a "b", c'


def test_each_parameter_is_quoted_as_its_grammar_says():
    parameters = {"realm": "a", "qop": "auth", "algorithm": "MD5", "stale": "true"}

    assert str(Challenge("Digest", parameters)) == 'Digest realm="a", qop="auth", algorithm=MD5, stale=true'
    assert str(Credentials("Digest", {"username": "b", "qop": "auth", "nc": "00000001"})) == (
        'Digest username="b", qop=auth, nc=00000001'
    )
    assert str(AuthenticationResult({"nextnonce": "1", "nc": "00000001"})) == 'nextnonce="1", nc=00000001'


def test_other_schemes_are_kept():
    assert Credentials.parse("NoOneKnowsThisScheme opaque-data=here").parameters == {"opaque-data": "here"}
    assert Credentials.parse("Bearer eyJh.bGci_Oi==") == Credentials("Bearer", {}, "eyJh.bGci_Oi==")
    assert str(Credentials.parse("Bearer eyJh.bGci_Oi==")) == "Bearer eyJh.bGci_Oi=="
    assert (str(Challenge.parse("Negotiate")), Challenge.parse("Negotiate ")) == (
        "Negotiate",
        Challenge("Negotiate"),
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Digest ,",
        'Digest realm="a',
        'Digest realm="a" nonce="b"',
        'Digest realm="a",',
        'Digest realm="a",,nonce="b"',
        'Digest realm="a", REALM="b"',
        "Digest realm",
        "Digest =a",
        'Dig"est realm="a"',
        "Digest a b",
    ],
)
def test_malformed_credentials_are_refused(text: str):
    if text == "Digest realm":
        assert Challenge.parse(text).token == "realm"
        return
    with pytest.raises(PeerError):
        Challenge.parse(text)


VALUES = st.text(max_size=10).filter(lambda text: "\r" not in text and "\n" not in text)


@given(st.dictionaries(st.sampled_from(["realm", "nonce", "uri", "username", "opaque"]), VALUES, min_size=1))
def test_no_value_changes_any_key_but_its_own(parameters: dict[str, str]):
    for kind in (Challenge, Credentials):
        assert kind.parse(str(kind("Digest", parameters))) == kind("Digest", parameters)


@given(st.text(alphabet='Digest ="\\,;a1\t', max_size=40))
def test_garbage_raises_peer_error_or_parses(text: str):
    try:
        Challenge.parse(text)
    except PeerError:
        return


parameters_text = st.lists(
    st.tuples(
        st.sampled_from(["realm", "nonce", "nc", "uri", "Realm", "x", "qop", "", "user name"]),
        st.sampled_from(["=", "= ", " =", ""]),
        st.sampled_from(
            ["a", "1-2", '"a"', '"a, b"', '"', '""', '"a"b"', "é", "a b", "", '"a\\"b"', "a;b", "="]
        ),
        st.sampled_from([",", ", ", " , ", "\t,", ";", ",,", ""]),
    ),
    max_size=4,
).map(lambda pieces: "".join(part for piece in pieces for part in piece))


@given(parameters_text.flatmap(lambda text: st.sampled_from([text, text[:-1], text.rstrip(", \t")])))
def test_what_is_read_fast_is_read_the_same_with_care(text: str):
    plain = auth_parameters(text)
    if plain is not None:
        assert plain == _careful_parameters(text)
        assert Credentials.parse(f"Digest {text}") == Credentials("Digest", plain)


def test_what_phones_write_is_read_fast():
    text = 'username="a", realm="b c",nonce="0",uri="sip:d;x=y",response="0f",algorithm=SHA-256, nc=00000001'
    assert auth_parameters(text) == _careful_parameters(text)
