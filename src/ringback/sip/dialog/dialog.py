# SPDX-License-Identifier: Apache-2.0
"""What do two user agents remember about each other between requests? RFC 3261 section 12.

A dialog makes requests (12.2.1.1), judges the order of those that come (12.2.2) and follows the peer's
Contact. What happens in it is the business of its usages (RFC 5057): `invite_session.py` is one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from ringback.sip.dialog.identifier import DialogId
from ringback.sip.errors import InvalidState, PeerError
from ringback.sip.message.message import Request, Response
from ringback.sip.message.names import METHODS
from ringback.sip.message.uri import NameAddr, SipUri, Uri
from ringback.sip.routing import route_request

#: 8.1.1.5: a CSeq number is below 2**31 where a request sets out; what comes may be up to 2**32 - 1.
CSEQ_LIMIT = 0x7FFFFFFF

#: Requests whose Contact moves the remote target (RFC 5057 5.2).
TARGET_REFRESH = frozenset(row.name for row in METHODS.values() if row.refreshes_target)


class DialogState(IntEnum):
    """A dialog only ever moves down this list."""

    EARLY = 0
    CONFIRMED = 1
    TERMINATED = 2


@dataclass(slots=True, eq=False, repr=False)
class Dialog:
    """One end of a dialog. `local_cseq` and `remote_cseq` are None until a request went that way.

    `local_uri` and `remote_uri` carry no tag; `contact` is where we want the peer's requests.
    """

    call_id: str
    local_tag: str
    remote_tag: str
    local_uri: NameAddr
    remote_uri: NameAddr
    remote_target: Uri
    route_set: tuple[NameAddr, ...] = ()
    local_cseq: int | None = None
    remote_cseq: int | None = None
    is_secure: bool = False
    state: DialogState = DialogState.EARLY
    contact: NameAddr | None = None

    @classmethod
    def from_request(
        cls, request: Request, *, local_tag: str, contact: NameAddr | None = None, is_secure: bool = False
    ) -> Dialog:
        """12.1.1: the answering end. A From without tag comes from RFC 2543: the remote tag is empty.

        `is_secure` says that the request came over TLS; the dialog is secure if its Request-URI is a sips
        URI, too.
        """
        return cls(
            call_id=request.call_id,
            local_tag=local_tag,
            remote_tag=request.from_.tag or "",
            local_uri=request.to.without_parameter("tag"),
            remote_uri=request.from_.without_parameter("tag"),
            remote_target=_target_of(request, request.from_.uri),
            route_set=_recorded(request),
            remote_cseq=request.cseq.number,
            is_secure=is_secure and _is_sips(request.uri),
            contact=contact,
        )

    @classmethod
    def from_response(cls, request: Request, response: Response, *, is_secure: bool = False) -> Dialog:
        """12.1.2: the asking end. `request` is ours as sent; early for 1xx, confirmed for 2xx."""
        contacts = request.contacts
        return cls(
            call_id=request.call_id,
            local_tag=request.from_.tag or "",
            remote_tag=response.to.tag or "",
            local_uri=request.from_.without_parameter("tag"),
            remote_uri=request.to.without_parameter("tag"),
            remote_target=_target_of(response, request.uri),
            route_set=_recorded(response)[::-1],
            local_cseq=request.cseq.number,
            is_secure=is_secure and _is_sips(request.uri),
            state=DialogState.EARLY if response.status < 200 else DialogState.CONFIRMED,
            contact=contacts[0] if contacts else None,
        )

    def __repr__(self) -> str:
        return f"<Dialog {self.call_id} {self.local_tag} {self.remote_tag} {self.state.name}>"

    @property
    def id(self) -> DialogId:
        """What requests inside this dialog are matched by."""
        return DialogId(self.call_id, self.local_tag, self.remote_tag)

    def make_request(
        self,
        method: str,
        *,
        cseq: int | None = None,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        content_type: str | None = None,
    ) -> Request:
        """12.2.1.1. Without `cseq` the next number; an ACK brings that of its INVITE.

        Target refresh requests get our Contact. The Via is added where the request leaves.
        """
        if self.state is DialogState.TERMINATED and method not in ("ACK", "BYE"):
            raise InvalidState(f"the dialog is over: no {method} can be sent in it")
        request = Request.new(
            method,
            str(self.remote_target),
            from_=_tagged(self.local_uri, self.local_tag),
            to=_tagged(self.remote_uri, self.remote_tag),
            call_id=self.call_id,
            cseq=self.next_cseq() if cseq is None else cseq,
            headers=headers,
            body=body,
            content_type=content_type,
        )
        route_request(request, self.remote_target, self.route_set)
        if method in TARGET_REFRESH and self.contact is not None and "Contact" not in request.headers:
            request.headers["Contact"] = str(self.contact)
        return request

    def next_cseq(self) -> int:
        """12.2.1.1: one more than the last; it never falls, whatever became of the request."""
        if self.local_cseq is not None and self.local_cseq >= CSEQ_LIMIT:
            raise InvalidState("the dialog has used up its CSeq numbers")
        self.local_cseq = 1 if self.local_cseq is None else self.local_cseq + 1
        return self.local_cseq

    def accept_order(self, request: Request) -> bool:
        """12.2.2: take a request whose CSeq is higher than the last, gaps included; False deserves a 500.

        An equal number is no repetition (the transaction layer absorbs those) but a second request that
        claims it.
        """
        number = request.cseq.number
        if self.remote_cseq is not None and number <= self.remote_cseq:
            return False
        self.remote_cseq = number
        return True

    def refresh_target(self, message: Request | Response) -> None:
        """12.2.1.2, 12.2.2: the Contact of a target refresh request or of its 2xx is the new remote target.

        The route set never changes once the dialog is confirmed.
        """
        self.remote_target = _target_of(message, self.remote_target)

    def confirm(self, response: Response) -> None:
        """13.2.2.4: the 2xx recomputes the route set of an early dialog, and nothing else but the target."""
        if self.state is not DialogState.EARLY:
            return
        self.state = DialogState.CONFIRMED
        self.route_set = _recorded(response)[::-1]
        self.refresh_target(response)

    def answered(self) -> None:
        """The answering end sent its 2xx."""
        if self.state is DialogState.EARLY:
            self.state = DialogState.CONFIRMED

    def terminate(self) -> None:
        """Nothing but a BYE and the ACKs that are still owed may follow."""
        self.state = DialogState.TERMINATED


def _target_of(message: Request | Response, otherwise: Uri) -> Uri:
    """The Contact, if there is one that can be read; a peer without Contact is reached as before."""
    try:
        contacts = message.contacts
    except PeerError:
        return otherwise
    return contacts[0].uri if contacts else otherwise


def _recorded(message: Request | Response) -> tuple[NameAddr, ...]:
    """The Record-Routes in order; what cannot be read cannot be followed."""
    try:
        return tuple(message.record_routes)
    except PeerError:
        return ()


def _tagged(party: NameAddr, tag: str) -> NameAddr:
    """RFC 2543 compatibility (12.1.1, 12.2.1.1): an empty tag is left out."""
    return party.with_parameter("tag", tag) if tag else party


def _is_sips(uri: Uri) -> bool:
    return isinstance(uri, SipUri) and uri.secure
