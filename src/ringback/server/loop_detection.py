# SPDX-License-Identifier: Apache-2.0
"""Has this very request been here before? Loop detection: RFC 3261 section 16.3 item 4, RFC 5393 section 4.2.

What a request is routed by is hashed with a key of ours and travels as the end of the branch in our Via.
A request that comes back with one of our Vias and the same hash would be routed as before, again and
again: a loop. With another hash it is a spiral, which is legal. Others cannot make our hashes, so nobody
can have calls refused as loops.

Every request is hashed (1.7 us) and searched for the hash, as octets first (0.2 us): Vias are read only
where it was found.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

from ringback.kernel import BIT
from ringback.sip.identifiers import branch_suffix

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringback.kernel import Head
    from ringback.sip.message.message import Request

#: 64 bits: 16 characters.
HASH_SIZE = 8

#: RFC 5393 4.2.2: fields besides Request-URI and Route that can change where a request goes.
ROUTING_FIELDS = (
    "Proxy-Require",
    "Require",
    "Privacy",
    "Accept-Contact",
    "Reject-Contact",
    "Request-Disposition",
)
_ROUTING_BITS = sum(BIT[name.lower()] for name in ROUTING_FIELDS)


class LoopDetector:
    """Makes and recognises the hashes of one server."""

    __slots__ = ("_hashes",)

    def __init__(self, secret: bytes) -> None:
        key = blake2b(secret, person=b"loop detection").digest()
        self._hashes = blake2b(key=key, digest_size=HASH_SIZE)

    def hash_of(self, request: Request, routes: Sequence[str] = ()) -> str:
        """The hash of a request as it arrived; `routes` are the URIs of its Route after our own.

        Max-Forwards, Via and Max-Breadth change at every hop and are left out; so are credentials, which
        are taken off where they are checked.
        """
        head = request.head
        named: Head | Request = request if head is None else head
        number = request.cseq_number if head is None else head.cseq
        parts = [named.call_id, named.from_tag or "", named.to_tag or "", str(number), named.target, *routes]
        if named.present & _ROUTING_BITS:
            for name in ROUTING_FIELDS:
                parts += request.reading.get_all(name)
        keyed = self._hashes.copy()
        keyed.update("\0".join(parts).encode("utf-8", "surrogateescape"))
        return keyed.hexdigest()

    def round_hash_of(self, request: Request) -> str:
        """The hash of a call that we pass on as a call of our own (a B2BUA): Call-ID, tags and number are new
        each time round, what is called and by whom is not.
        """
        keyed = self._hashes.copy()
        parts = ["round", str(request.from_uri), request.target]
        keyed.update("\0".join(parts).encode("utf-8", "surrogateescape"))
        return keyed.hexdigest()

    def is_loop(self, request: Request, loop_hash: str) -> bool:
        """True when one of our Vias in the request carries the same hash."""
        head = request.head
        if head is not None and loop_hash.encode("ascii") not in head.data:
            return False
        return any(branch_suffix(via.branch or "") == loop_hash for via in request.vias)
