# SPDX-License-Identifier: Apache-2.0
"""How does a request inside a dialog get its answer? RFC 3261 sections 12.2.1 and 22.

Challenges are answered here, and only where that is safe. Whoever called us could let us hang up and
challenge our BYE to obtain a digest of our password. So no challenge is answered in a dialog that the peer
started, and in ours only when the realm already authenticated the INVITE and the challenge comes from the
host the INVITE went to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from ringback.sip.digest_client import DigestClient, realms_answered, realms_asked
from ringback.sip.events import Event, ResponseReceived

if TYPE_CHECKING:
    from ringback.sip.dialog.dialog import Dialog
    from ringback.sip.flow import Flow
    from ringback.sip.message.message import Request
    from ringback.sip.stack import SipStack
    from ringback.sip.transaction.client import ClientTransaction

Concluded = Callable[[Event], None]


@dataclass(slots=True)
class Trust:
    """Whose challenges may be answered inside the dialogs of one INVITE of ours."""

    credentials: DigestClient | None = None
    realms: frozenset[str] = frozenset()
    host: str | None = None

    @classmethod
    def earned_by(cls, transaction: ClientTransaction, credentials: DigestClient | None) -> Trust:
        """The realms this INVITE carried credentials for, at the host it went to."""
        host = transaction.flow.remote.host if transaction.flow is not None else None
        return cls(credentials, realms_answered(transaction.request), host)

    def covers(self, event: ResponseReceived) -> bool:
        """True if the challenges in this response come from those who already have our digest."""
        flow = event.transaction.flow
        if self.credentials is None or flow is None or flow.remote.host != self.host:
            return False
        asked = realms_asked(event.response)
        return bool(asked) and asked <= self.realms


@dataclass(slots=True, eq=False)
class DialogRequests:
    """Sends the requests of one dialog. `flow` is given when they all must go one way."""

    stack: SipStack
    dialog: Dialog
    flow: Flow | None = None
    trust: Trust = field(default_factory=Trust)

    def send(self, request: Request, concluded: Concluded, *, now: float) -> ClientTransaction:
        """`concluded` gets what comes of it: provisional responses and the end, but no challenge we
        answered.
        """
        consumer = partial(self._receive, concluded)
        return self.stack.send_request(request, now=now, flow=self.flow, consumer=consumer)

    def acknowledge(self, ack: Request, *, now: float) -> None:
        """13.2.2.4: an ACK to a 2xx has no transaction."""
        self.stack.send_stateless(ack, now=now, flow=self.flow)

    def _receive(self, concluded: Concluded, event: Event) -> None:
        again = self._authorized(event) if isinstance(event, ResponseReceived) else None
        if again is None:
            concluded(event)
        else:
            self.send(again, concluded, now=self.stack.now)

    def _authorized(self, event: ResponseReceived) -> Request | None:
        if event.response.status not in (401, 407) or not self.trust.covers(event):
            return None
        assert self.trust.credentials is not None
        again = self.trust.credentials.authorize(
            event.transaction.request,
            event.response,
            cnonce=self.stack.identifiers.cnonce(),
            cseq=(self.dialog.local_cseq or 0) + 1,
        )
        if again is not None:
            self.dialog.next_cseq()
        return again
