# SPDX-License-Identifier: Apache-2.0
"""Which transaction does a message belong to? RFC 3261 sections 17.1.3, 17.2.3 and 8.2.2.2.

A branch that begins with the magic cookie, and goes on after it, names a transaction together with the
sent-by. Without one (RFC 2543, or a branch that is nothing but the cookie) the Request-URI, the tags, the
Call-ID, the CSeq number and the top Via decide together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringback.sip.identifiers import MAGIC_COOKIE

if TYPE_CHECKING:
    from ringback.sip.message.message import Request
    from ringback.sip.message.via import Via

Key = tuple[str, ...]

_COOKIE = MAGIC_COOKIE.lower()


def has_unique_branch(via: Via) -> bool:
    """True when the branch was made by the rules of RFC 3261 8.1.1.7."""
    branch = via.branch or ""
    return len(branch) > len(_COOKIE) and branch[: len(_COOKIE)].lower() == _COOKIE


def server_key(request: Request) -> Key:
    """17.2.3: the key of the server transaction that `request` creates or repeats. Not for ACK and CANCEL."""
    head = request.head
    if head is not None:  # plain requests have a unique branch
        return (head.branch, head.sent_by, head.method)
    return _key(request, request.method, _to_tag(request))


def invite_key(request: Request) -> Key:
    """The key of the INVITE that a CANCEL means (9.2); also what an ACK shares with it by branch."""
    head = request.head
    if head is not None:
        return (head.branch, head.sent_by, "INVITE")
    return _key(request, "INVITE", _to_tag(request))


def acknowledgement_key(request: Request, to_tag: str) -> Key:
    """Where the ACK to a failure is looked up when there is no unique branch.

    17.2.3: everything as in the INVITE, but the To tag is that of the response (`to_tag`).
    """
    return _key(request, "ACK", to_tag)


def ack_key(request: Request) -> Key:
    """The key under which the INVITE transaction of this ACK is found."""
    if request.head is not None or has_unique_branch(request.top_via):
        return invite_key(request)
    return acknowledgement_key(request, _to_tag(request))


def merged_key(request: Request) -> Key | None:
    """8.2.2.2: what a request that came over two paths has in common; None inside a dialog."""
    if request.to_tag is not None:
        return None
    return (request.method, request.call_id, str(request.cseq_number), request.from_tag or "")


def cancel_mark(request: Request) -> int:
    """9.1: what a CANCEL copies from its INVITE. A branch alone is easier to learn than all of it."""
    facts = request.facts
    if facts is not None:
        return hash((facts.call_id, facts.cseq, facts.from_tag))
    return hash((request.call_id, request.cseq_number, request.from_tag))


def client_key(branch: str, method: str) -> Key:
    """17.1.3: the branch is ours and the method is that of the CSeq."""
    return (branch, method)


def _to_tag(request: Request) -> str:
    return request.to_tag or ""


def _key(request: Request, method: str, to_tag: str) -> Key:
    via = request.top_via
    sent_by = via.sent_by.lower()
    if has_unique_branch(via):
        return (via.branch or "", sent_by, method)
    return (
        "",
        method,
        request.target,
        to_tag,
        request.from_tag or "",
        request.call_id,
        str(request.cseq_number),
        via.transport,
        sent_by,
        via.branch or "",
    )
