# SPDX-License-Identifier: Apache-2.0
"""Which To tag does a response get? RFC 3261 sections 8.2.6.2, 8.2.7 and 16.11.

The tag is a keyed hash of what a request, its repetitions, its CANCEL and the ACK to its failure have in
common. So a repetition gets the same tag without memory, and an ACK shows by its tag that it belongs to an
answer of ours.
"""

from __future__ import annotations

from collections.abc import Iterable
from hmac import compare_digest
from typing import TYPE_CHECKING

from ringback.sip.errors import PeerError
from ringback.sip.message.message import Request, Response

if TYPE_CHECKING:
    from ringback.sip.identifiers import Identifiers


def response_tag(identifiers: Identifiers, request: Request) -> str:
    """The To tag of our responses to `request`."""
    try:
        parts = _readable_parts(request)
    except PeerError:
        parts = [request.headers.get(name) or "" for name in ("Via", "From", "Call-ID", "CSeq")]
    return identifiers.keyed_tag(*parts)


def has_own_tag(identifiers: Identifiers, ack: Request) -> bool:
    """True when the To tag of an ACK is the one we gave in a response to the INVITE with the same branch."""
    tag = ack.to_tag
    return (
        tag is not None
        and identifiers.may_be_keyed(tag)
        and compare_digest(tag.encode("utf-8", "surrogateescape"), response_tag(identifiers, ack).encode())
    )


def tagged(
    request: Request,
    status: int,
    tag: str,
    *,
    reason: str | None = None,
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
    content_type: str | None = None,
) -> Response:
    """8.2.6.2: every response but 100 has a To tag; one that the request brought stays."""
    return Response.to(
        request,
        status,
        reason,
        to_tag=None if status == 100 else tag,
        headers=headers,
        body=body,
        content_type=content_type,
    )


def _readable_parts(request: Request) -> list[str]:
    head = request.head
    if head is not None:
        return [head.call_id, str(head.cseq), head.from_tag or "", head.sent_by, head.branch]
    via = request.top_via
    return [
        request.call_id,
        str(request.cseq_number),
        request.from_tag or "",
        via.sent_by.lower(),
        via.branch or "",
    ]
