# SPDX-License-Identifier: Apache-2.0
"""Are the small values read and written as their RFCs say?"""

from datetime import UTC, datetime

import pytest

from ringback.sip.errors import PeerError
from ringback.sip.message.dates import Date
from ringback.sip.message.names import METHODS, OPTION_TAGS, REASON_PHRASES, Method, reason_phrase
from ringback.sip.message.numbers import decimal
from ringback.sip.message.values import (
    CSeq,
    DialogReference,
    RAck,
    Reason,
    RetryAfter,
    SessionExpires,
    Timestamp,
    Warning,  # noqa: A004
    call_id,
)


@pytest.mark.parametrize("text", ["0", "7", "0068", "4294967295", b"12"])
def test_decimal_reads_ascii_digits(text: str | bytes):
    assert decimal(text, limit=2**32 - 1) == int(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " 5",
        "5 ",
        "+5",
        "-5",
        "1_0",
        "5\x0b",
        "٣",
        "²",
        "0x1",
        "1e3",
        "1.0",
        "4294967296",
        "9" * 5000,
        "0" * 5000,
        b"1_0",
    ],
)
def test_decimal_refuses_everything_else(text: str | bytes):
    with pytest.raises(PeerError):
        decimal(text, limit=2**32 - 1)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (CSeq(2**31 - 1, "INVITE"), "2147483647 INVITE"),
        (RAck(776656, 1, "INVITE"), "776656 1 INVITE"),
        (SessionExpires(1800, "uac"), "1800;refresher=uac"),
        (SessionExpires(90), "90"),
        (SessionExpires(90, "uas", (("x", "1"),)), "90;refresher=uas;x=1"),
        (Reason("Q.850", 16), "Q.850;cause=16"),
        (
            Reason("SIP", 200, 'Call "completed" elsewhere'),
            'SIP;cause=200;text="Call \\"completed\\" elsewhere"',
        ),
        (RetryAfter(5), "5"),
        (RetryAfter(18000, "(I'm \\( in)", (("duration", "3600"),)), "18000 (I'm \\( in);duration=3600"),
        (Warning(307, "isi.edu:5060", "no 'foo'"), "307 isi.edu:5060 \"no 'foo'\""),
        (Timestamp("54.25", "0.5"), "54.25 0.5"),
        (DialogReference("a@b", (("to-tag", "1"), ("early-only", None))), "a@b;to-tag=1;early-only"),
        (Date(datetime(2010, 11, 13, 23, 29, tzinfo=UTC)), "Sat, 13 Nov 2010 23:29:00 GMT"),
    ],
)
def test_values_print_and_parse(value: object, text: str):
    assert str(value) == text
    assert type(value).parse(text) == value


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (CSeq, "2147483648 INVITE"),
        (CSeq, "1INVITE"),
        (CSeq, "1 IN VITE"),
        (RAck, "1 2"),
        (SessionExpires, "1800;refresher=uac;refresher=uas"),
        (SessionExpires, "soon"),
        (Reason, ";cause=1"),
        (Reason, "SIP;cause=x"),
        (RetryAfter, "1 (a"),
        (RetryAfter, "949302838503028349304023988"),
        (Warning, '1812 overture "In Progress"'),
        (Warning, "307 a b"),
        (Timestamp, "x"),
        (DialogReference, ";to-tag=1"),
        (Date, "Fri, 01 Jan 2010 16:00:00 EST"),
        (Date, "Fri, 01 Jan 2010 16:00:00 UTC"),
        (Date, "Fri, 31 Feb 2010 16:00:00 GMT"),
        (Date, "fri, 01 jan 2010 16:00:00 GMT"),
    ],
)
def test_malformed_values_are_refused(kind: type, text: str):
    with pytest.raises(PeerError):
        kind.parse(text)


def test_what_the_values_mean():
    reference = DialogReference.parse('425928@bobster.example.org;to-tag=7743;from-tag="6472";Early-Only')

    assert (reference.parameter("from-tag"), reference.has_parameter("early-only")) == ("6472", True)
    assert RetryAfter.parse("5;duration=60").duration == 60
    assert RetryAfter.parse("5").duration is None
    assert Reason.sip(487) == Reason("SIP", 487, "Request Terminated")


@pytest.mark.parametrize("text", ["a", "a@b", "word%ZK-!.*_+'@word`~)(><:\\/\"][?}{"])
def test_call_ids(text: str):
    assert call_id(text) == text


@pytest.mark.parametrize("text", ["", "a b", "a@b@c", "@a", "a@", "é", "a,b", "a;b"])
def test_no_call_ids(text: str):
    with pytest.raises(PeerError):
        call_id(text)


def test_the_tables_of_names():
    assert {value for name, value in vars(Method).items() if name.isupper()} == set(METHODS)
    assert [name for name, row in METHODS.items() if row.creates_dialog] == [
        "INVITE",
        "REFER",
        "SUBSCRIBE",
        "NOTIFY",
    ]
    assert all(100 <= status < 700 for status in REASON_PHRASES)
    assert (reason_phrase(486), reason_phrase(299), reason_phrase(799)) == ("Busy Here", "OK", "Unknown")
    assert all(tag == tag.lower() for tag in OPTION_TAGS)
