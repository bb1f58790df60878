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

_ANNOUNCED = re.compile(rb";[ \t]*oc[ \t]*(?=[;,]|$)", re.IGNORECASE)
_PARAMETER = re.compile(
    rb';[ \t]*oc(?:-algo|-validity|-seq)?[ \t]*(?:=[ \t]*(?:"[^"\r\n]*"|[^;,"\r\n]*+))?(?=[;,]|$)',
    re.IGNORECASE,
)


def is_announced(via: bytes) -> bool:
    """4.1: the parameter without a value in the first value of a Via line."""
    return b"oc" in via and _ANNOUNCED.search(via.partition(b",")[0]) is not None


def with_feedback(via: bytes, *, loss: float, sequence: float) -> bytes:
    """The Via line for the response. `sequence` grows with each answer (4.4): the time will do."""
    first, comma, rest = via.partition(b",")
    percent = min(100, max(0, round(100 * loss)))
    feedback = b';oc=%d;oc-algo="loss";oc-validity=%d;oc-seq=%.3f' % (percent, VALIDITY, sequence)
    return _PARAMETER.sub(b"", first) + feedback + comma + rest
