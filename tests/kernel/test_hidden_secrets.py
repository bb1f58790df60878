# SPDX-License-Identifier: Apache-2.0
"""Do both kernels hide the same of a message, whatever it is?"""

import random
from types import ModuleType

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from kernel_messages import INVITE, compiled, kernels, messages, needs_both, reference
from test_bent_octets import bent

from ringback.kernel import _reference_secrets

#: What secrets stand behind, what ends them, and what only looks so.
FRAGMENTS = [
    b"\r\n", b"\r\n", b"\n", b"\r", b" ", b"\t", b"\v", b"\0", b"Authorization: a", b"proxy-AUTHORIZATION :", b"Authentication-Info:",
    b"proxy-authentication-info\t:x", b"authorizations: x", b"identity:x", b"Y\t: x", b"y", b"a=crypto:1", b"A=ICE-PWD:x", b"a=key-mgmt:",
    b"K=", b"k", b"Signal =5", b"signal", b"sip:a:b@c", b"SIPS:a:b:c@", b"sip:", b"sip:sip:", b"sips", b":", b"@", b"x" * 255, b"xy",
    b"?authorization=x", b"&Proxy-Authorization=", b"?", b"&", b"authorization=", b"MESSAGE ", b"message sip:a", b"CSeq: 1 MESSAGE",
    b"cseq : MESSAGE", b"CSeq:MESSAGE", b" message", b"Content-Type: application/dtmf", b"c:application/kpml-response", b"c : application/DTMF;",
    b"application/dtmf-relay", b"c:", b"\r\n\r\n", b"\n\n", b"body", b"(hidden: 12 bytes)", b"(hidden: 1234567890 bytes)", b"<", b">", b"\xff",
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(FRAGMENTS), max_size=14).map(b"".join)


@kernels
def test_nothing_is_copied_where_nothing_is_hidden(kernel: ModuleType):
    assert kernel.without_secrets(INVITE) is INVITE


@kernels
def test_credentials_are_hidden_with_their_folded_lines(kernel: ModuleType):
    data = (
        b"BYE sip:a:b@c SIP/2.0\r\nAuthorization : x\r\n y\r\nk=1\r\nTo: <sip:a?Authorization=z&b=c>\r\n\r\n"
    )
    assert kernel.without_secrets(data) == (
        b"BYE sip:a:(hidden)@c SIP/2.0\r\nAuthorization : (hidden)\r\nk=(hidden)\r\n"
        b"To: <sip:a?Authorization=(hidden)&b=c>\r\n\r\n"
    )


@needs_both
@given(st.one_of(TEXTS, messages(), st.tuples(messages(), TEXTS).map(b"".join)))
@example(b"MESSAGE x\r\n\r\n(hidden: 1 bytes)")
@example(b"\r\n\r\ncseq: 1 message\r\n\nbody")
@example(b"?authorization=sip:u:p&w@x y")
@example(b"x\r\nc:\r\napplication/dtmf\r\n\r\n1")
def test_both_kernels_hide_the_same(data: bytes):
    assert compiled.without_secrets(data) == reference.without_secrets(data)


@needs_both
@pytest.mark.parametrize("seed", range(4))
def test_both_kernels_hide_the_same_of_bent_messages(seed: int):
    chance = random.Random(seed)
    for _ in range(500):
        data = bent(chance)
        place = chance.randrange(len(data) + 1)
        data = data[:place] + b"".join(chance.choices(FRAGMENTS, k=chance.randrange(5))) + data[place:]
        assert compiled.without_secrets(data) == reference.without_secrets(data), data


@given(TEXTS)
def test_a_glance_hides_as_much_as_all_patterns_do(data: bytes):
    """What a cheap look lets pass would have been left alone by every pattern."""
    whole = _reference_secrets._without_secret_fields(_reference_secrets._without_private_body(data))
    for pattern in (
        _reference_secrets._SECRET_LINE,
        _reference_secrets._SECRET_IN_URI,
        _reference_secrets._SECRET_URI_HEADER,
    ):
        whole = pattern.sub(rb"\1" + _reference_secrets.HIDDEN, whole)
    assert reference.without_secrets(data) == whole
