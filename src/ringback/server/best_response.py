# SPDX-License-Identifier: Apache-2.0
"""Which of the final responses does the caller get? RFC 3261 section 16.7 steps 6 and 7."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ringback.sip.message.message import Response

#: Step 6: these tell the caller what to do, and are preferred among the 4xx in this order.
HELPFUL = (401, 407, 415, 420, 484)

#: Responses that say nothing about the callee: taken only when there is nothing better.
UNINFORMATIVE = (408, 430, 487, 503)

CHALLENGES = ("WWW-Authenticate", "Proxy-Authenticate")


def best_response(responses: Sequence[Response]) -> Response:
    """6xx if there is one, else the lowest class, else what helps most, else what came first."""
    ranked = sorted(enumerate(responses), key=lambda item: (*_rank(item[1].status), item[0]))
    best = ranked[0][1]
    return _with_all_challenges(best, responses) if best.status in (401, 407) else best


def _rank(status: int) -> tuple[int, int]:
    if status >= 600:
        return 0, 0
    if status in HELPFUL:
        return status // 100, HELPFUL.index(status) - len(HELPFUL)
    return status // 100, 1 if status in UNINFORMATIVE else 0


def _with_all_challenges(best: Response, responses: Sequence[Response]) -> Response:
    """Step 7: the caller needs the challenges of every branch to get through on any of them."""
    merged = best.copy()
    for response in responses:
        if response is best or response.status not in (401, 407):
            continue
        for name in CHALLENGES:
            for value in response.reading.get_all(name):
                merged.headers.add(name, value)
    return merged
