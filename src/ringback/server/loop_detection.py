# SPDX-License-Identifier: Apache-2.0
"""Has this very request been here before? Loop detection: RFC 3261 section 16.3 item 4, RFC 5393 section 4.2.

What a request is routed by is hashed with a key of ours and travels as the end of the branch in our Via.
A request that comes back with one of our Vias and the same hash would be routed as before, again and
again: a loop. With another hash it is a spiral, which is legal. Others cannot make our hashes, so nobody
can have calls refused as loops.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from ringback.sip.identifiers import branch_suffix

if TYPE_CHECKING:
    from ringback.sip.message.message import Request

#: 64 bits, as text.
HASH_LENGTH = 16

#: RFC 5393 4.2.2: fields besides Request-URI and Route that can change where a request goes.
ROUTING_FIELDS = (
    "Proxy-Require",
    "Require",
    "Privacy",
    "Accept-Contact",
    "Reject-Contact",
    "Request-Disposition",
)


class LoopDetector:
    """Makes and recognises the hashes of one server."""

    __slots__ = ("_key",)

    def __init__(self, secret: bytes) -> None:
        self._key = hmac.digest(secret, b"loop detection", "sha256")

    def hash_of(self, request: Request) -> str:
        """The hash of a request as it arrived, after our own Routes were taken off it.

        Max-Forwards, Via and Max-Breadth change at every hop and are left out; so are credentials, which
        are taken off where they are checked.
        """
        parts = [
            request.call_id,
            request.from_.tag or "",
            request.to.tag or "",
            str(request.cseq.number),
            str(request.uri),
            *request.headers.get_all("Route"),
        ]
        for name in ROUTING_FIELDS:
            parts += request.headers.get_all(name)
        text = "\0".join(parts).encode("utf-8", "surrogateescape")
        return hmac.digest(self._key, text, "sha256").hex()[:HASH_LENGTH]

    def is_loop(self, request: Request, loop_hash: str) -> bool:
        """True when one of our Vias in the request carries the same hash."""
        return any(branch_suffix(via.branch or "") == loop_hash for via in request.vias)
