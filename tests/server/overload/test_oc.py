# SPDX-License-Identifier: Apache-2.0
"""Do those who can throttle hear how much (RFC 7339)?"""

import pytest

from ringback.server.overload.oc import is_announced, with_feedback, without_oc


@pytest.mark.parametrize(
    "parameters",
    [b";oc", b';oc;oc-algo="loss"', b";branch=z9hG4bK1;oc", b"; oc ;x=1", b";OC", b";oc, SIP/2.0/UDP b"],
)
def test_an_oc_without_a_value_announces_it(parameters: bytes):
    assert is_announced(b"Via: SIP/2.0/UDP a" + parameters)


@pytest.mark.parametrize(
    "parameters", [b"", b";ocx", b";oc=5", b';oc-algo="loss"', b";branch=oc", b", SIP/2.0/UDP b;oc"]
)
def test_nothing_else_does(parameters: bytes):
    assert not is_announced(b"Via: SIP/2.0/UDP a" + parameters)


def test_it_can_be_taken_away_and_nothing_else_with_it():
    via = b'Via: SIP/2.0/UDP a;branch=z9hG4bK1;oc;oc-algo="loss,rate";ocx;rport, SIP/2.0/TCP b;oc'
    assert without_oc(via) == b"Via: SIP/2.0/UDP a;branch=z9hG4bK1;ocx;rport, SIP/2.0/TCP b;oc"
    assert without_oc(b"Via: SIP/2.0/UDP a;rport") == b"Via: SIP/2.0/UDP a;rport"


def test_the_answer_stands_in_the_topmost_via():
    response = b"SIP/2.0 503 Service Unavailable\r\nVia: SIP/2.0/UDP a;x=1, SIP/2.0/TCP b\r\nVia: c\r\n\r\n"
    assert with_feedback(response, loss=0.256, sequence=1234.5) == (
        b"SIP/2.0 503 Service Unavailable\r\n"
        b'Via: SIP/2.0/UDP a;x=1;oc=26;oc-algo="loss";oc-validity=500;oc-seq=1234.500, SIP/2.0/TCP b\r\n'
        b"Via: c\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("loss", "percent"), [(-0.1, b"=0;"), (0.0, b"=0;"), (1.0, b"=100;"), (7.0, b"=100;")]
)
def test_the_share_is_a_percentage(loss: float, percent: bytes):
    assert b"a;oc" + percent in with_feedback(
        b"SIP/2.0 503 X\r\nVia: SIP/2.0/UDP a\r\n", loss=loss, sequence=0.0
    )
