# SPDX-License-Identifier: Apache-2.0
"""Who sees a BYE through after its session is over? RFC 3261 section 15.1.1, RFC 5407 section 3.

Our user's session ends when the BYE is handed on. The dialog still exists until the BYE is answered: the
peer's BYE may cross ours and is confirmed; anything else is told that there is nothing here any more. The
branches of a fork that lost get the same treatment.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from ringback.sip.events import Event, ResponseReceived
from ringback.sip.message.message import Request, Response

if TYPE_CHECKING:
    from ringback.sip.dialog.requests import DialogRequests
    from ringback.sip.dialog.session_table import SessionTable
    from ringback.sip.flow import Flow
    from ringback.sip.transaction.server import ServerTransaction


#: How often a BYE is tried that our own code failed to send, and the seconds between.
TRIES = 3
PAUSE = 1.0


@dataclass(slots=True, eq=False)
class Farewell:
    """One BYE of ours. It owns the dialog from the moment it is sent."""

    table: SessionTable
    requests: DialogRequests
    tries_left: int = TRIES

    def send(self, *, now: float, reason: str | None = None) -> None:
        """Take the dialog over and send the BYE. `reason` is a Reason header field (RFC 3326)."""
        dialog = self.requests.dialog
        dialog.terminate()
        self.table.keep(self)
        self.table.stack.register_dialog(dialog.id, self)
        self._try(reason, now)

    def _try(self, reason: str | None, now: float) -> None:
        """Should our own code fail, it is tried again a little later: the peer must hear of the end."""
        headers = [("Reason", reason)] if reason else []
        try:
            bye = self.requests.dialog.make_request("BYE", headers=headers)
            self.requests.send(bye, self._concluded, now=now)
        except Exception:
            self.tries_left -= 1
            if self.tries_left:
                self.table.stack.deadlines.arm(now + PAUSE, partial(self._try, reason))
            else:
                self._let_go()
            raise

    def receive_request(
        self, request: Request, transaction: ServerTransaction | None, flow: Flow, now: float
    ) -> None:
        """RFC 5407 3.2: a BYE that crosses ours is confirmed; nothing else has a call to act on."""
        if transaction is None:
            return
        status = 200 if request.method == "BYE" else 481
        response = Response.to(request, status, to_tag=self.requests.dialog.local_tag)
        self.table.stack.respond(transaction, response, now=now)

    def _concluded(self, event: Event) -> None:
        """Any end will do: answered, refused, timed out, not sent (15.1.1)."""
        if isinstance(event, ResponseReceived) and event.response.status < 200:
            return
        self._let_go()

    def _let_go(self) -> None:
        self.table.stack.unregister_dialog(self.requests.dialog.id)
        self.table.forget(self)


def say_goodbye(table: SessionTable, requests: DialogRequests, *, now: float, reason: str = "") -> None:
    """Hand a dialog over to its BYE."""
    Farewell(table, requests).send(now=now, reason=reason or None)
