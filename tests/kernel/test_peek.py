# SPDX-License-Identifier: Apache-2.0
"""What does a glance tell, and does it never fail whatever it falls upon?"""

from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel_messages import INVITE, OK, compiled, heads, kernels, messages, needs_both, reference


@kernels
def test_a_glance_tells_method_tag_and_branch(kernel: ModuleType):
    assert kernel.peek(INVITE) == (b"INVITE", False, b"z9hG4bK776asdhds")
    assert kernel.peek(OK) == (b"", True, b"z9hG4bKours")


@kernels
def test_a_glance_needs_no_more_than_the_first_line(kernel: ModuleType):
    assert kernel.peek(b"FOO sip:a SIP/2.0\r\nVia") == (b"FOO", False, b"")
    assert kernel.peek(b"BYE x SIP/2.0\r\nt :<sip:a>;x;TAG=1\r\nV:a;BRANCH=b,c;branch=d\r\n") == (
        b"BYE",
        True,
        b"b",
    )
    assert kernel.peek(b"BYE x SIP/2.0\r\n\r\nVia: a;branch=b\r\n") == (b"BYE", False, b"")


@kernels
def test_a_tag_inside_the_brackets_is_none(kernel: ModuleType):
    assert kernel.peek(b"BYE x SIP/2.0\r\nTo: <sip:a;tag=1>\r\n\r\n") == (b"BYE", False, b"")


@kernels
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"INVITE sip:a SIP/2.0",
        b"A" * 65 + b" a SIP/2.0\r\n",
        b"SIP/3.0 200 OK\r\n",
    ],
)
def test_what_does_not_look_like_sip_is_none(kernel: ModuleType, data: bytes):
    assert kernel.peek(data) is None


@kernels
@given(heads())
def test_a_glance_at_a_plain_message_is_right(kernel: ModuleType, data: bytes):
    head = kernel.scan(data)
    if head is not None:
        method, has_tag, branch = kernel.peek(data)
        assert method.decode() == ("" if head.status else head.method)
        assert has_tag == (head.to_tag is not None)
        assert branch.decode() == head.branch


@kernels
def test_a_message_ends_where_its_length_says(kernel: ModuleType):
    stream = b"BYE" + INVITE + OK

    assert kernel.message_end(stream, 3) == 3 + len(INVITE)
    assert kernel.message_end(stream, 3 + len(INVITE)) == len(stream)
    assert kernel.message_end(INVITE[:-4], 0) == len(INVITE)
    assert kernel.message_end(INVITE[:-7], 0) == 0


@kernels
@pytest.mark.parametrize(
    "length",
    [
        b"",
        b"x",
        b"+4",
        b"4 4",
        b"1234567890",
        b"4\r\nl:4",
        b"4\r\n 4",
        b"4\r\n\tx: 1",
        b"4\r\n\nx: 1",
        b"4\rx",
    ],
)
def test_an_odd_length_is_left_to_the_careful_framer(kernel: ModuleType, length: bytes):
    assert kernel.message_end(INVITE.replace(b"Content-Length: 4", b"Content-Length: " + length), 0) == -1


@kernels
@pytest.mark.parametrize("data", [b"\r\n", b"\r\n" + INVITE, b" " + INVITE, b"a\r\nb: c\r\n\r\n"])
def test_blank_lines_and_no_length_are_left_to_it_too(kernel: ModuleType, data: bytes):
    assert kernel.message_end(data, 0) == -1


@kernels
@given(heads())
def test_a_plain_message_ends_behind_its_body(kernel: ModuleType, data: bytes):
    head = kernel.scan(data)
    if head is not None:
        assert kernel.message_end(data, 0) == len(head.data)


@kernels
@given(messages(), st.integers(-2, 900))
def test_no_glance_fails(kernel: ModuleType, data: bytes, start: int):
    found = kernel.peek(data)
    end = kernel.message_end(data, max(0, start))

    assert end == -1 or end == 0 or end > start
    if found is not None:
        assert b"SIP/2.0" in data.split(b"\r\n")[0].split(b" ")


@needs_both
@given(messages(), st.integers(0, 900))
def test_both_kernels_glance_the_same(data: bytes, start: int):
    assert compiled.peek(data) == reference.peek(data)
    assert compiled.message_end(data, start) == reference.message_end(data, start)
    assert compiled.message_end(data, 0) == reference.message_end(data, 0)
