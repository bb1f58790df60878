# SPDX-License-Identifier: Apache-2.0
"""Does the kernel cut a head as its docstring says, whichever path it takes?"""

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.kernel import IMPLEMENTATION, split_head

PIECES = st.sampled_from(
    [
        b"\r\n",
        b"\r",
        b"\n",
        b" ",
        b"\t",
        b":",
        b"a",
        b"Via",
        b"v",
        b"\0",
        b'"',
        b"\r\n ",
        b"\r\n\t",
        b"\xff",
        b"\x0b",
    ]
)
HEADS = st.lists(PIECES, max_size=40).map(b"".join)


def by_the_letter(data: bytes) -> tuple[bytes, list[tuple[bytes, bytes]], int]:
    """The docstring of split_head, line by line and without haste."""
    end = data.index(b"\r\n\r\n")
    start_line, *rest = data[:end].split(b"\r\n")
    lines: list[bytes] = []
    for line in rest:
        if line[:1] in (b" ", b"\t") and lines:
            lines[-1] += b"\r\n" + line
        else:
            lines.append(line)
    fields = []
    for line in lines:
        name, colon, value = line.partition(b":")
        name = name.rstrip(b" \t")
        is_field = colon and name and name[:1] not in (b" ", b"\t")
        fields.append((name, value.strip(b" \t\r\n")) if is_field else (b"", line.strip(b" \t\r\n")))
    return start_line, fields, end + 4


def test_a_head_is_cut_into_start_line_fields_and_the_offset_of_the_body():
    data = b"BYE sip:a SIP/2.0\r\nVia: x\r\nSubject:\r\nTo :  b \r\n\r\nbody"

    assert split_head(data) == (b"BYE sip:a SIP/2.0", [(b"Via", b"x"), (b"Subject", b""), (b"To", b"b")], 49)
    assert data[49:] == b"body"


def test_folds_inside_a_value_stay_and_folds_around_it_go():
    data = b"S\r\nA:\r\n b\r\n\tc\r\n \r\n\r\n"

    assert split_head(data) == (b"S", [(b"A", b"b\r\n\tc")], len(data))


def test_a_line_without_a_name_gives_the_empty_name():
    data = b"S\r\n folded\r\nno colon\r\n: x\r\nA: b\r\n\r\n"

    assert split_head(data)[1] == [(b"", b"folded"), (b"", b"no colon"), (b"", b": x"), (b"A", b"b")]


def test_only_crlf_ends_a_line():
    assert split_head(b"S\r\nA: b\nC: d\r\nE: f\rG\r\n\r\n")[1] == [(b"A", b"b\nC: d"), (b"E", b"f\rG")]


def test_a_head_without_header_fields_has_none():
    assert split_head(b"S\r\n\r\nx") == (b"S", [], 5)


@pytest.mark.parametrize("data", [b"", b"S", b"S\r\nA: b\r\n", b"S\n\nA: b\n\n", b"S\r\rA\r\r"])
def test_no_empty_line_is_an_error(data: bytes):
    with pytest.raises(ValueError, match="empty line"):
        split_head(data)


@given(HEADS)
def test_every_head_is_cut_as_the_docstring_says(head: bytes):
    data = head + b"\r\n\r\nbody"

    assert split_head(data) == by_the_letter(data)


@given(st.binary(max_size=80))
def test_garbage_is_cut_or_refused(data: bytes):
    try:
        assert split_head(data) == by_the_letter(data)
    except ValueError:
        assert b"\r\n\r\n" not in data


def run_with_kernel(name: str) -> subprocess.CompletedProcess[str]:
    program = "import ringback.kernel; print(ringback.kernel.IMPLEMENTATION)"
    environment = os.environ | {"RINGBACK_KERNEL": name}
    return subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False
    )


def test_the_kernel_in_use_says_its_name():
    assert IMPLEMENTATION in ("python", "compiled")
    assert run_with_kernel("python").stdout == "python\n"


def test_an_asked_for_kernel_is_never_silently_replaced():
    result = run_with_kernel("compiled")

    assert result.stdout == "compiled\n" or "ImportError: RINGBACK_KERNEL=compiled" in result.stderr


def test_an_unknown_kernel_is_refused():
    assert 'must be "python" or "compiled"' in run_with_kernel("fortran").stderr
