# SPDX-License-Identifier: Apache-2.0
"""How does a trunk or another proxy learn how much less to send? By the `oc` parameters of RFC 7339.

Who can throttle says so with an `oc` without a value in its Via. In the Via of our refusals it gets the
share of requests to hold back (RFC 7339 sections 4 and 5.1); the algorithm is "loss", which everybody must
know.
"""

from __future__ import annotations

import re

#: For how long it holds, in milliseconds: while we are too busy our refusals renew it.
VALIDITY = 500

#: The first value of a Via line, with the quoted commas in it.
_FIRST = re.compile(rb'(?:[^",\r\n]|"[^"\r\n]*+")*+')
_ANNOUNCED = re.compile(rb";[ \t]*oc[ \t]*(?=;|$)", re.IGNORECASE)
_PARAMETER = re.compile(
    rb';[ \t]*oc(?:-algo|-validity|-seq)?[ \t]*(?:=[ \t]*(?:"[^"]*+"[ \t]*|[^;"]*+))?(?=;|$)', re.IGNORECASE
)


def is_announced(via: bytes) -> bool:
    """4.1: the parameter without a value, in the first value of a Via line."""
    return b"oc" in via.lower() and _ANNOUNCED.search(_first_value(via)) is not None


def without_oc(via: bytes) -> bytes:
    """The line as if its sender knew nothing of all this."""
    first = _first_value(via)
    return _PARAMETER.sub(b"", first) + via[len(first) :]


def with_feedback(response: bytes, *, loss: float, sequence: float) -> bytes:
    """The answer, behind the first Via value. `sequence` grows with each answer (4.4): the time will do."""
    start = response.find(b"\r\n") + 2
    end = start + len(_first_value(response[start : response.find(b"\r\n", start)]))
    percent = min(100, max(0, round(100 * loss)))
    feedback = b';oc=%d;oc-algo="loss";oc-validity=%d;oc-seq=%.3f' % (percent, VALIDITY, sequence)
    return response[:end] + feedback + response[end:]


def _first_value(via: bytes) -> bytes:
    found = _FIRST.match(via)
    return found[0] if found is not None else b""
