# SPDX-License-Identifier: Apache-2.0
"""Are SIP URIs read, written and compared as RFC 3261 19.1 says?"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.sip.errors import PeerError
from ringback.sip.message.sip_uri import SipUri
from ringback.sip.message.uri import OtherUri, TelUri, parse_uri

TEXT = st.text(max_size=12).filter(lambda text: not any("\ud800" <= c <= "\udfff" for c in text))
NAMES = TEXT.filter(bool)
HOSTS = st.sampled_from(["example.com", "a", "192.0.2.1", "2001:db8::1", "pbx_1.local", "x-y.example."])


@st.composite
def uris(draw: st.DrawFn) -> SipUri:
    parameters = draw(
        st.lists(st.tuples(NAMES, st.none() | NAMES), max_size=3, unique_by=lambda p: p[0].lower())
    )
    return SipUri(
        draw(st.none() | NAMES),
        draw(HOSTS),
        draw(st.none() | st.integers(0, 65535)),
        secure=draw(st.booleans()),
        parameters=tuple(parameters),
        headers=tuple(draw(st.lists(st.tuples(NAMES, TEXT), max_size=2))),
    )


def test_all_parts_are_read():
    uri = SipUri.parse("sips:alice:secret%20word@Example.COM:5061;transport=tcp;lr?subject=a%26b&to=")

    assert uri == SipUri(
        "alice",
        "example.com",
        5061,
        secure=True,
        password="secret word",
        parameters=(("transport", "tcp"), ("lr", None)),
        headers=(("subject", "a&b"), ("to", "")),
    )
    assert (uri.scheme, uri.transport) == ("sips", "TCP")
    assert (uri.has_parameter("LR"), uri.parameter("lr"), uri.parameter("none")) == (True, None, None)


def test_a_parsed_uri_prints_as_it_was_written_and_a_changed_one_anew():
    uri = SipUri.parse("sip:%61lice@EXAMPLE.com;Transport=TCP")

    assert str(uri) == "sip:%61lice@EXAMPLE.com;Transport=TCP"
    assert str(uri.replace(port=5070)) == "sip:alice@example.com:5070;Transport=TCP"
    assert str(uri.with_parameter("transport", "tls")) == "sip:alice@example.com;transport=tls"
    assert str(uri.without_parameters("TRANSPORT").with_parameter("lr")) == "sip:alice@example.com;lr"
    assert str(uri.address_of_record()) == "sip:alice@example.com"


def test_an_ipv6_host_has_no_brackets_inside_and_brackets_outside():
    uri = SipUri.parse("sip:[2001:DB8:0:0::1]:5060")

    assert (uri.host, uri.port) == ("2001:db8::1", 5060)
    assert SipUri(None, "[2001:db8::1]", 5060) == SipUri(None, "2001:db8::1", 5060) == uri
    assert str(SipUri(None, "2001:db8::1", 5060)) == "sip:[2001:db8::1]:5060"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sip:",
        "sip:@",
        "sip:@host",
        "sip:a@b@c",
        "sip:a b@host",
        "sip:host;;lr",
        "sip:host;lr;LR",
        "sip:host;",
        "sip:host;=x",
        "sip:host;a=",
        "sip:host;a=b=c",
        "sip:host?",
        "sip:host?a",
        "sip:host?a=b&",
        "sip:a%@host",
        "sip:a%4@host",
        "sip:a%zz@host",
        "sip:2001:db8::1",
        "sip:[2001:db8::1",
        "sip:[1:2]",
        "sip:[fe80::1%25eth0]",
        "sip:host:port",
        "sip:host:65536",
        "sip:host:٣",
        "sip:a@ho st",
        "sip:a@.host",
        "sip:a@ho..st",
        "sip:a@-host",
        "sip:a@1.2.3",
        "sip:a@256.1.1.1",
        "sip:a@2130706433",
        "sip:a@0x7f.1",
        "sip:a@host\r\nVia: x",
        "sip:a@host\x00",
        "sip:é@host",
        "<sip:a@host>",
        "sip:a@host,sip:b@host",
        "sip:" + "a" * 9000 + "@" + "h" * 300,
    ],
)
def test_what_the_grammar_does_not_allow_is_refused(text: str):
    with pytest.raises(PeerError):
        SipUri.parse(text)


@pytest.mark.parametrize(
    ("user", "text"),
    [
        ("*43", "sip:*43@h"),
        ("#31#", "sip:%2331%23@h"),
        ("a@b", "sip:a%40b@h"),
        ("null-\x00-null", "sip:null-%00-null@h"),
        ("müller", "sip:m%C3%BCller@h"),
        ("\udcff", "sip:%FF@h"),
        ("user;par=u", "sip:user;par=u@h"),
        ("a\r\nb", "sip:a%0D%0Ab@h"),
    ],
)
def test_users_are_escaped_once_and_unescaped_once(user: str, text: str):
    assert str(SipUri(user, "h")) == text
    assert SipUri.parse(text).user == user


def test_a_hash_sign_in_the_user_is_forgiven():
    assert SipUri.parse("sip:#31#@h").user == "#31#"


@given(uris())
def test_printing_then_parsing_is_identity(uri: SipUri):
    assert SipUri.parse(str(uri)) == uri
    assert str(SipUri.parse(str(uri))) == str(uri)


@given(uris())
def test_every_uri_is_equivalent_to_itself_written_otherwise(uri: SipUri):
    other = uri.replace(parameters=uri.parameters[::-1], headers=uri.headers[::-1])

    assert uri.is_equivalent(other)
    assert other.is_equivalent(uri)


@given(st.text(alphabet='sip:SIP@;=?&%41[]:.abc \r\n"<>', max_size=40))
def test_garbage_raises_peer_error_or_parses(text: str):
    try:
        uri = parse_uri(text)
    except PeerError:
        return
    assert parse_uri(str(uri)) == uri


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"),
        ("sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on"),
        (
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
        ),
        (
            "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
            "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
        ),
        ("sip:[2001:db8::1]", "sip:[2001:DB8:0::1]"),
    ],
)
def test_equivalent_uris_of_19_1_4(one: str, two: str):
    assert SipUri.parse(one).is_equivalent(SipUri.parse(two))
    assert SipUri.parse(two).is_equivalent(SipUri.parse(one))


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
        ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
        ("sip:bob@biloxi.com", "sips:bob@biloxi.com"),
        ("sip:bob@biloxi.com", "sip:bob:pw@biloxi.com"),
        ("sip:bob@biloxi.com;newparam=5", "sip:bob@biloxi.com;newparam=6"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;maddr=192.0.2.1"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;user=phone"),
        ("sip:null-%00-null@h", "sip:null-%00%00-null@h"),
        ("sip:biloxi.com", "tel:+1"),
    ],
)
def test_uris_that_are_not_equivalent_of_19_1_4(one: str, two: str):
    assert not SipUri.parse(one).is_equivalent(parse_uri(two))
    assert not parse_uri(two).is_equivalent(SipUri.parse(one))


def test_the_scheme_decides_the_type():
    assert isinstance(parse_uri("SIPS:a@b"), SipUri)
    assert isinstance(parse_uri("TEL:+1-2"), TelUri)
    assert parse_uri("nobodyKnowsThisScheme:totallyopaque") == OtherUri(
        "nobodyknowsthisscheme", "totallyopaque"
    )
    assert str(parse_uri("soap.beep://192.0.2.103:3002")) == "soap.beep://192.0.2.103:3002"
    for text in ("", "a", ":a", "1a:b", "a:", "a:b c", "a:<b>", "a:\u00e9"):
        with pytest.raises(PeerError):
            parse_uri(text)
