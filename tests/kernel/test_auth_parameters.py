# SPDX-License-Identifier: Apache-2.0
"""Are the parameters of a digest read as the careful reader reads them?"""

from types import ModuleType

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from kernel_messages import compiled, kernels, needs_both, reference

from ringback.kernel import _grammar
from ringback.sip.message.credentials import _careful_parameters

USUAL = 'username="101", realm="example.com", nonce="ab==", uri="sip:example.com", response="7587", algorithm=SHA-256, qop=auth, nc=00000001, cnonce=""'
NAMES = st.sampled_from([*_grammar.AUTH_NAMES, "Realm", "x", "", "realm "])
VALUES = st.sampled_from(
    [
        '"a"',
        '""',
        '"a,b"',
        '"a\\"',
        '"a',
        'a"',
        "MD5",
        "SHA-256",
        "-",
        "",
        "a_b",
        "a.b",
        " a",
        '"é"',
        '"a" b',
        "-1",
    ]
)
BLANKS = st.sampled_from(["", "", " ", "\t ", "\n"])
PIECES = st.tuples(BLANKS, NAMES, st.sampled_from(["=", "=", "=", "", " = "]), VALUES, BLANKS).map("".join)
TEXTS = st.one_of(st.lists(PIECES, max_size=5).map(",".join), st.text('anonce="\\, -=\t\0', max_size=30))


@kernels
def test_what_all_phones_write_is_read(kernel: ModuleType):
    assert kernel.auth_parameters(USUAL) == {
        "username": "101",
        "realm": "example.com",
        "nonce": "ab==",
        "uri": "sip:example.com",
        "response": "7587",
        "algorithm": "SHA-256",
        "qop": "auth",
        "nc": "00000001",
        "cnonce": "",
    }


@kernels
@pytest.mark.parametrize(
    "text",
    [
        "",
        ",",
        'realm="a",',
        'realm="a" nonce="b"',
        'realm="a", realm="b"',
        'x="y"',
        'REALM="a"',
        'realm = "a"',
        "qop=-",
        'realm="é"',
    ],
)
def test_anything_else_is_left_to_the_careful_reader(kernel: ModuleType, text: str):
    assert kernel.auth_parameters(text) is None


@kernels
@given(TEXTS)
def test_what_is_read_is_what_the_careful_reader_reads(kernel: ModuleType, text: str):
    parameters = kernel.auth_parameters(text)
    if parameters is not None:
        assert list(parameters.items()) == list(_careful_parameters(text).items())


@needs_both
@given(TEXTS)
@example(USUAL)
def test_both_kernels_read_the_same(text: str):
    assert compiled.auth_parameters(text) == reference.auth_parameters(text)
