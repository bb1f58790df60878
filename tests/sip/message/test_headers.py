# SPDX-License-Identifier: Apache-2.0
"""Do header fields keep their order, their bytes and their typed values (RFC 3261 7.3)?"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.sip.errors import InvalidState, PeerError
from ringback.sip.message.headers import Headers
from ringback.sip.message.via import Via


def some() -> Headers:
    return Headers(
        [
            (b"v", b"SIP/2.0/UDP a, SIP/2.0/UDP b"),
            (b"X-Odd", b"1\r\n 2"),
            (b"VIA", b"SIP/2.0/UDP c"),
            (b"To", b"sip:a"),
        ]
    )


def test_names_are_found_in_every_case_and_form():
    headers = some()

    assert headers["via"] == headers["V"] == headers.get("Via") == "SIP/2.0/UDP a, SIP/2.0/UDP b"
    assert headers.get_all("VIA") == ["SIP/2.0/UDP a, SIP/2.0/UDP b", "SIP/2.0/UDP c"]
    assert ("t" in headers, "From" in headers, headers.get("From"), headers.get_all("From")) == (
        True,
        False,
        None,
        [],
    )
    with pytest.raises(KeyError):
        headers["From"]


def test_folds_are_one_blank_in_text_and_themselves_in_bytes():
    headers = Headers([(b"Subject", b"a \r\n \t b\r\n\tc")])

    assert headers["Subject"] == "a b c"
    assert headers.raw("Subject") == [b"a \r\n \t b\r\n\tc"]


def test_iterating_gives_long_names_and_text_in_order():
    assert list(some()) == [
        ("Via", "SIP/2.0/UDP a, SIP/2.0/UDP b"),
        ("X-Odd", "1 2"),
        ("Via", "SIP/2.0/UDP c"),
        ("To", "sip:a"),
    ]


def test_setting_replaces_all_lines_in_the_place_of_the_first():
    headers = some()

    headers["Via"] = "SIP/2.0/TCP d"

    assert headers.lines == [(b"Via", b"SIP/2.0/TCP d"), (b"X-Odd", b"1\r\n 2"), (b"To", b"sip:a")]
    headers["Subject"] = b"new"
    assert headers.lines[-1] == (b"Subject", b"new")


def test_adding_prepending_and_removing():
    headers = Headers()
    headers.add("Route", "<sip:b>")
    headers.prepend("Route", "<sip:a>")
    headers.add("To", "sip:c")

    assert headers.get_all("Route") == ["<sip:a>", "<sip:b>"]
    headers.remove("route")
    headers.remove("absent")
    assert headers.lines == [(b"To", b"sip:c")]
    assert "Route" not in headers


def test_the_first_value_of_a_list_goes_wherever_it_stands():
    headers = some()
    seen = []
    while headers.parsed("Via"):
        seen.append(headers.parsed("Via")[0].host)
        headers.remove_first_value("Via")

    assert seen == ["a", "b", "c"]
    assert [name for name, _ in headers.lines] == [b"X-Odd", b"To"]
    headers.remove_first_value("Via")


def test_the_first_value_of_a_list_can_be_replaced():
    headers = some()

    headers.replace_first_value("Via", "SIP/2.0/UDP a;received=192.0.2.1")

    assert [str(via) for via in headers.parsed("Via")] == [
        "SIP/2.0/UDP a;received=192.0.2.1",
        "SIP/2.0/UDP b",
        "SIP/2.0/UDP c",
    ]


def test_commas_in_quotes_and_brackets_do_not_part_the_first_value():
    headers = Headers([(b"Route", b'"a,b" <sip:x,y@h;lr>;z=",", <sip:c>')])

    headers.remove_first_value("Route")

    assert headers.get_all("Route") == ["<sip:c>"]


def test_typed_values_are_made_once_and_forgotten_on_change():
    headers = some()
    first = headers.parsed("Via")

    assert headers.parsed("v") is first
    for change in (
        lambda: headers.prepend("Via", "SIP/2.0/UDP new"),
        lambda: headers.add("V", "SIP/2.0/UDP last"),
        lambda: headers.remove_first_value("Via"),
        lambda: headers.__setitem__("via", "SIP/2.0/UDP only"),
        lambda: headers.remove("Via"),
    ):
        before = headers.parsed("Via")
        change()
        assert headers.parsed("Via") != before


def test_a_copy_is_independent():
    headers = some()
    headers.parsed("Via")
    twin = headers.copy()

    twin.remove("Via")
    twin["To"] = "sip:other"

    assert (headers["To"], len(headers.parsed("Via")), len(headers), len(twin)) == ("sip:a", 3, 4, 2)


@pytest.mark.parametrize("value", ["a\r\nVia: b", "a\nb", "a\rb", "a\0b", 'x"\\\\\0"', b"a\r\n b"])
def test_a_value_cannot_hold_a_line_end_or_nul(value: str | bytes):
    headers = Headers()
    for put in (headers.add, headers.prepend, headers.__setitem__):
        with pytest.raises(InvalidState):
            put("Subject", value)
    headers.add("Route", "<sip:a>")
    with pytest.raises(InvalidState):
        headers.replace_first_value("Route", value)
    assert headers.lines == [(b"Route", b"<sip:a>")]


@pytest.mark.parametrize("name", ["", "a b", "a:", "a\r\n", "Vía", " To"])
def test_a_name_must_be_a_token(name: str):
    with pytest.raises(InvalidState):
        Headers().add(name, "x")


def test_a_nul_that_a_peer_may_quote_may_be_set():
    headers = Headers()
    headers["To"] = '"NUL:\\\0" <sip:a>'

    assert headers.parsed("To").display_name == "NUL:\0"


def test_errors_name_the_field_and_the_rule():
    with pytest.raises(PeerError) as caught:
        Headers([(b"CSeq", b"x")]).parsed("cseq")

    assert (caught.value.detail, caught.value.status, caught.value.section) == (
        "CSeq: malformed CSeq",
        400,
        "RFC 3261 20.16",
    )


def test_absent_fields_are_none_or_empty_and_unknown_ones_text():
    headers = Headers([(b"X-A", b"1, 2"), (b"x-a", b"3")])

    assert (
        headers.parsed("Expires"),
        headers.parsed("Via"),
        headers.parsed("x-A"),
        headers.parsed("X-B"),
    ) == (
        None,
        [],
        ["1, 2", "3"],
        [],
    )


def test_bytes_that_are_no_utf_8_come_through():
    headers = Headers([(b"Subject", b"\xff\xfe")])
    twin = Headers()
    twin["Subject"] = headers["Subject"]

    assert twin.raw("Subject") == [b"\xff\xfe"]


NAMES = st.sampled_from(["Via", "v", "Route", "X-A", "x-a", "To"])
VALUES = st.sampled_from(["SIP/2.0/UDP a", "SIP/2.0/UDP b, SIP/2.0/UDP c", "", "<sip:a>, <sip:b>"])
CHANGES = st.lists(
    st.tuples(st.sampled_from(["add", "prepend", "set", "remove", "first"]), NAMES, VALUES), max_size=12
)


@given(CHANGES)
def test_lines_and_index_agree_after_any_changes(changes: list[tuple[str, str, str]]):
    headers = Headers()
    for change, name, value in changes:
        {
            "add": lambda n=name, v=value: headers.add(n, v),
            "prepend": lambda n=name, v=value: headers.prepend(n, v),
            "set": lambda n=name, v=value: headers.__setitem__(n, v),
            "remove": lambda n=name: headers.remove(n),
            "first": lambda n=name: headers.remove_first_value(n),
        }[change]()

    assert headers.by_key == Headers(headers.lines.copy()).by_key


def test_prepending_a_via_makes_it_the_top_one():
    headers = some()
    headers.prepend("Via", str(Via("UDP", "top", 5060, (("branch", "z9hG4bK1"),))))

    assert headers.parsed("via")[0].host == "top"
