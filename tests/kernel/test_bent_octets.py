# SPDX-License-Identifier: Apache-2.0
"""Does any octet, anywhere, make the two kernels differ, or the compiled one fall over?

Plain messages and the torture messages, bent at random places, through every function. The compiled kernel was
also run so under AddressSanitizer, with local variables that begin as garbage: `tools/sanitize_kernel.sh`.
"""

import os
import random
from pathlib import Path
from typing import Any

import pytest
from kernel_messages import INVITE, OK, PIECES, compiled, facts, needs_both, reference

from ringback.kernel import BIT

VECTORS = Path(os.environ.get("RINGBACK_VECTORS") or Path(__file__).parents[3] / "shared" / "vectors")
PLAIN = [INVITE, OK]
ODD = [path.read_bytes() for path in sorted(VECTORS.glob("*/*.dat"))]
LINES = sorted({line for data in (*PLAIN, *ODD) for line in data.split(b"\r\n") if b":" in line})


def bent(chance: random.Random) -> bytes:
    """A message with up to three faults."""
    data = chance.choice(PLAIN if not ODD or chance.random() < 0.7 else ODD)
    for _ in range(chance.randrange(4)):
        place = chance.randrange(len(data) + 1)
        kind = chance.randrange(7)
        if kind == 0:
            lines = data.split(b"\r\n")
            lines.insert(chance.randrange(len(lines)), chance.choice(LINES))
            data = b"\r\n".join(lines)
        elif kind == 1:
            lines = data.split(b"\r\n")
            del lines[chance.randrange(len(lines))]
            data = b"\r\n".join(lines)
        elif kind == 2:
            data = data[: max(1, place)]
        elif kind == 3:
            end = place + chance.randrange(20)
            data = data[:place] + data[place:end] * chance.choice((2, 3, 80)) + data[end:]
        elif kind == 4:
            data = data[:place] + bytes([chance.randrange(256)]) + data[place + chance.randrange(2) :]
        else:
            data = data[:place] + chance.choice(PIECES) + data[place + chance.choice((0, 0, 1, 3)) :]
    return data


def outcome(kernel: Any, function: str, *arguments: Any, **keywords: Any) -> Any:
    """The result, or the type of the exception."""
    try:
        result = getattr(kernel, function)(*arguments, **keywords)
    except ValueError as error:
        return type(error)
    return facts(result) if function == "scan" else result


def assert_both(function: str, *arguments: Any, **keywords: Any) -> None:
    assert outcome(compiled, function, *arguments, **keywords) == outcome(
        reference, function, *arguments, **keywords
    )


def assert_nobody_differs(count: int, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(count):
        data = bent(chance)
        host, port = chance.choice([("", 0), ("192.0.2.1", 5060), ("10.0.0.1", 99), ("2001:db8::1", 7)])
        gone = sum({chance.choice(list(BIT.values())) for _ in range(chance.choice((0, 0, 1, 5)))})
        assert_both("scan", data, host, port)
        assert_both(
            "edit_request",
            data,
            target=chance.choice((None, "sip:new")),
            max_forwards=chance.choice((-1, 0, 69)),
            drop_routes=chance.randrange(4),
            without=gone,
            on_top=chance.choice((b"", b"Via: x\r\n")),
            at_end=chance.choice((b"", b"X: y\r\n")),
        )
        assert_both("pop_via", data, gone)
        assert_both(
            "respond",
            data,
            b"SIP/2.0 480 Away",
            to_tag=chance.choice((None, "t")),
            at_end=b"\r\n",
            with_record_route=chance.random() < 0.5,
            with_timestamp=chance.random() < 0.5,
            host=host,
            port=port,
        )
        assert_both("peek", data)
        assert_both("split_head", data)
        assert_both("message_end", data, chance.choice((0, 0, 1, 5, len(data), len(data) + 3)))


@needs_both
@pytest.mark.parametrize("seed", range(4))
def test_both_kernels_agree_on_bent_messages(seed: int):
    assert_nobody_differs(500, seed)


@needs_both
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 108))
def test_both_kernels_agree_on_very_many_bent_messages(seed: int):
    assert_nobody_differs(25_000, seed)
