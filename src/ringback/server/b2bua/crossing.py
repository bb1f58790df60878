# SPDX-License-Identifier: Apache-2.0
"""What becomes of an offer that one phone makes to the other? RFC 3264, RFC 6337, RFC 3725.

The offer of one leg becomes an offer to the other, the answer goes the way back. Asked for an offer
(re-INVITE without a description), we ask the other leg for one. So hold, resume, late offers and changes of
codec are one thing here. When both ends begin at the same time, one is told to wait (491).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ringback.media.errors import MediaError
from ringback.sdp.errors import UnacceptableSession
from ringback.sdp.security import Security
from ringback.server.b2bua.header_fields import crossing_refusal
from ringback.server.b2bua.record_keeping import note_negotiated
from ringback.sip.dialog.invite_usage import Carrier

if TYPE_CHECKING:
    from ringback.server.b2bua.call import BridgedCall
    from ringback.server.b2bua.leg import BridgeLeg
    from ringback.sip.events import OfferRefused

logger = logging.getLogger("ringback.calls")

#: Seconds from the answer of one browser until the other is told, when their sound is brought here. A browser
#: begins its new DTLS handshake by the way it still has, to the other browser; were that one to begin anew at
#: the same time, the two would find each other's certificate wrong and give up for good.
PARTING = 1.0

GLARE = 491
NOT_ACCEPTABLE = 488
NO_MEDIA = 503


@dataclass(slots=True, eq=False)
class Crossing:
    """An offer on its way. It is kept by the leg that is to answer it."""

    source: BridgeLeg | None
    """Who waits for the outcome; None when nobody asked but we."""
    is_request: bool = False
    """The leg was asked for an offer, and is yet to make it."""


class Offers:
    """The offers and answers of one call."""

    __slots__ = ("_call",)

    def __init__(self, call: BridgedCall) -> None:
        self._call = call

    async def receive_offer(self, leg: BridgeLeg, sdp: bytes | None) -> None:
        """`leg` offers, or asks for an offer."""
        waiting = leg.crossing
        if waiting is not None and waiting.is_request and sdp is not None:
            leg.crossing = None
            await self._take_requested(leg, waiting, sdp)
            return
        other = self._call.partner_of(leg)
        if other is None or other.is_over or other.crossing is not None or other.session.pending:
            leg.refuse(GLARE)
        elif sdp is None:
            self._ask(other, leg)
        else:
            await self._pass_on(leg, other, sdp)

    async def receive_answer(self, leg: BridgeLeg, sdp: bytes) -> None:
        """`leg` answers what it was offered."""
        crossing, leg.crossing = leg.crossing, None
        if crossing is None or crossing.source is None or crossing.source.is_over:
            return
        source, was_direct = crossing.source, not self._call.media.is_carried
        try:
            answer = await self._call.media.answer(leg, source, sdp)
        except (UnacceptableSession, MediaError) as error:
            logger.info("the answer of %s cannot be passed on: %s", leg.end.name, error)
            refuse_offer(source, error)
            return
        if was_direct and self._call.media.is_carried and _are_parted(leg, source):
            self._call.later(PARTING, self._give_answer, leg, source, answer)
        else:
            await self._give_answer(leg, source, answer)

    async def _give_answer(self, leg: BridgeLeg, source: BridgeLeg, answer: bytes) -> None:
        if not source.answer(answer):
            # It took its offer back meanwhile, or something failed: what each believes is made one again.
            await self._call.renegotiate()
        elif self._call.pair is not None:
            note_negotiated(self._call, source)
        elif leg.call is self._call:
            caller = self._call.caller
            callee = source if leg is caller else leg
            callee.early = caller.session.local_sdp  # what the two have agreed on before the answer

    def receive_refusal(self, leg: BridgeLeg, event: OfferRefused) -> None:
        """`leg` refuses what it was offered, or asked for: so is the one who wanted it."""
        crossing, leg.crossing = leg.crossing, None
        if crossing is None:
            return
        if crossing.source is None:
            self._renegotiation_failed(leg, event.status)
            return
        response = event.response
        realm = self._call.bridge.realm
        headers = crossing_refusal(response, realm=realm) if response is not None else []
        crossing.source.refuse(event.status, headers=headers)

    def ask(self, leg: BridgeLeg) -> bool:
        """Ask `leg` for an offer on our own account: its partner gets it."""
        if leg.crossing is not None or not leg.offer(None, is_retried=True):
            return False
        leg.crossing = Crossing(None, is_request=True)
        return True

    def _renegotiation_failed(self, leg: BridgeLeg, status: int) -> None:
        """The one who was asked for an offer makes none: perhaps the other does."""
        call = self._call
        if call.transfer is not None:
            call.transfer.refused_to_join(leg, status)
        else:
            logger.info("call %s: %s does not negotiate anew (%d)", call.number, leg.end.name, status)

    def _ask(self, other: BridgeLeg, leg: BridgeLeg) -> None:
        """A re-INVITE without an offer crosses as one."""
        if other.offer(None):
            other.crossing = Crossing(leg, is_request=True)
        else:
            leg.refuse(GLARE)

    async def _take_requested(self, leg: BridgeLeg, waiting: Crossing, sdp: bytes) -> None:
        """The offer that was asked for: for the one who asked, or for the partner if we did."""
        asker = waiting.source
        if asker is None:
            other = self._call.partner_of(leg)
            if other is None or other.is_over or other.crossing is not None:
                leg.refuse(GLARE)
                self._renegotiation_failed(leg, GLARE)
            else:
                await self._pass_on(leg, other, sdp)
            return
        try:
            offer = await self._call.media.offer(leg, asker, sdp)
        except (UnacceptableSession, MediaError) as error:
            refuse_offer(leg, error)
            asker.refuse(_status_of(error))
            return
        if asker.answer(offer):
            asker.crossing = Crossing(leg)
        else:
            leg.refuse(GLARE)

    async def _pass_on(self, leg: BridgeLeg, other: BridgeLeg, sdp: bytes) -> None:
        by_update = bool(leg.session.pending) and leg.session.pending[0].carrier is Carrier.UPDATE
        try:
            offer = await self._call.media.offer(leg, other, sdp)
        except (UnacceptableSession, MediaError) as error:
            logger.info("the offer of %s cannot be passed on: %s", leg.end.name, error)
            refuse_offer(leg, error)
            return
        if other.offer(offer, by_update=by_update):
            other.crossing = Crossing(leg)
        else:
            leg.refuse(GLARE)


def _are_parted(leg: BridgeLeg, source: BridgeLeg) -> bool:
    """Two that spoke DTLS with each other until now, in a call that stands."""
    ends = (leg, source)
    return all(each.is_established and each.end.security is Security.DTLS for each in ends)


def refuse_offer(leg: BridgeLeg, error: Exception) -> None:
    """488 with a Warning that names the line, or 503 when nobody carries media now."""
    leg.refuse(_status_of(error), headers=warning_of(error))


def warning_of(error: Exception) -> list[tuple[str, str]]:
    """The Warning that says what was wrong with a description (RFC 3261 20.43)."""
    if not isinstance(error, UnacceptableSession):
        return []
    return [("Warning", error.warning_value("ringback"))]


def _status_of(error: Exception) -> int:
    return NOT_ACCEPTABLE if isinstance(error, UnacceptableSession) else NO_MEDIA
