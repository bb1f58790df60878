# SPDX-License-Identifier: Apache-2.0
"""How does a call begin? What the caller hears while those who may take it are asked: RFC 3261 section 13.3,
RFC 3262, RFC 3960.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ringback.media.errors import MediaError
from ringback.sdp.errors import UnacceptableSession
from ringback.server import clauses
from ringback.server.b2bua.crossing import Crossing, warning_of
from ringback.server.b2bua.header_fields import crossing, crossing_refusal
from ringback.server.b2bua.search import Search
from ringback.sip.dialog.answering import can_describe
from ringback.sip.dialog.reliability import is_reliable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringback.server.b2bua.call import BridgedCall
    from ringback.server.b2bua.invitation import Invitation
    from ringback.server.b2bua.leg import BridgeLeg
    from ringback.server.targets import Target
    from ringback.sip.message.message import Response

logger = logging.getLogger("ringback.calls")

EARLY_DIALOG_TERMINATED = 199


class Beginning:
    """The `Seeker` of a call that a phone makes."""

    __slots__ = ("_call", "_caller", "_said")

    def __init__(self, call: BridgedCall) -> None:
        self._call = call
        self._caller = call.caller
        self._said: tuple[int, bytes | None] = (0, None)

    async def place(self, invitation: Invitation, targets: Sequence[Target]) -> None:
        """Ask those who may take it."""
        search = Search(self._call, invitation, targets, self._call.bridge.forking, self)
        self._call.search = search
        await search.start()

    async def ringing(self, leg: BridgeLeg, response: Response, sdp: bytes | None) -> None:
        """The caller hears that it rings, and early sound if only one can answer."""
        caller = self._caller
        if response.status == EARLY_DIALOG_TERMINATED or not caller.is_answering:
            return
        self._call.record.rings()
        if sdp is not None and not can_describe(caller.session):
            sdp = None
        if (response.status, sdp) != self._said:
            self._said = (response.status, sdp)
            headers = crossing(response.reading)
            caller.ring(response.status, sdp, reliable=is_reliable(response), headers=headers)

    async def offered(self, leg: BridgeLeg, sdp: bytes) -> None:
        """The caller asked for an offer, and gets it before the answer."""
        offer = await self._offer_of(leg, sdp)
        if offer is not None and self._caller.ring(183, offer, reliable=True):
            self._caller.crossing = Crossing(leg)

    async def answered(self, leg: BridgeLeg) -> None:
        """Somebody took the call, and so it is answered."""
        call, caller = self._call, self._caller
        if not caller.is_answering:
            leg.end_call(487, headers=[])
            call.is_over = True
            return
        call.join(leg)
        if leg.session.pending:
            await self._answer_with_offer(leg)
        elif leg.early is not None and can_describe(caller.session):
            caller.answer(leg.early)
        else:
            call.must_renegotiate = caller.session.local_sdp is not leg.early
            caller.command(caller.session.accept)

    async def refused(self, response: Response) -> None:
        """Nobody takes it."""
        self._call.decide(clauses.CALL_REFUSED, response.status, response.reason)
        headers = crossing_refusal(response, realm=self._call.bridge.realm)
        self._call.record.end(response.status, by="callee", reason=response.reason)
        self._caller.end_call(response.status, response.reason, headers=headers)
        self._call.is_over = True

    async def _answer_with_offer(self, leg: BridgeLeg) -> None:
        """The caller wanted an offer: it comes in the 2xx, the answer in its ACK (RFC 3261 13.2.1)."""
        sdp = leg.session.pending[0].sdp
        assert sdp is not None, "a 2xx that brings an offer brings a description"
        offer = await self._offer_of(leg, sdp)
        if offer is not None and self._caller.answer(offer):
            self._caller.crossing = Crossing(leg)

    async def _offer_of(self, leg: BridgeLeg, sdp: bytes) -> bytes | None:
        """What the caller is offered; if that cannot be, the call has failed."""
        try:
            return await self._call.media.offer(leg, self._caller, sdp)
        except (UnacceptableSession, MediaError) as error:
            logger.info("the offer of %s cannot be taken: %s", leg.end.name, error)
            leg.end_call(488, cause="SIP;cause=488", headers=[])
            status = 488 if isinstance(error, UnacceptableSession) else 503
            self._call.record.end(status, by="server", why="nobody could carry the sound of this call")
            self._caller.end_call(status, headers=warning_of(error))
            self._call.is_over = True
            return None
