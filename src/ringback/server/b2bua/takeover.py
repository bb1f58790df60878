# SPDX-License-Identifier: Apache-2.0
"""How does a call move to another phone that asks for it? INVITE with Replaces: RFC 3891.

Who asks must be a user of ours and know the names of the dialog. Its sound is offered to the one who stays;
when that has agreed, the new phone is answered and the old one hung up. Until then, and if not, the old call
goes on.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ringback.media.errors import MediaError
from ringback.sdp.errors import UnacceptableSession
from ringback.server.b2bua.crossing import Crossing, warning_of
from ringback.server.b2bua.record_keeping import note_moved
from ringback.sip.message.values import Reason

if TYPE_CHECKING:
    from ringback.server.b2bua.call import BridgedCall
    from ringback.server.b2bua.leg import BridgeLeg
    from ringback.server.b2bua.search import Search
    from ringback.sip.events import SessionEnded

logger = logging.getLogger("ringback.calls")

BUSY = 491


async def take_over(call: BridgedCall, old: BridgeLeg, new: BridgeLeg) -> None:
    """`new` has called to speak in the place of `old`."""
    staying = call.partner_of(old)
    if call.pair is None or staying is None or call.transfer is not None or not staying.is_established:
        new.end_call(BUSY, headers=[])
        call.forget(new)
        return
    takeover = Takeover(call, old, new, staying)
    call.transfer = takeover
    await takeover.begin()


class Takeover:
    """One INVITE with Replaces."""

    def __init__(self, call: BridgedCall, old: BridgeLeg, new: BridgeLeg, staying: BridgeLeg) -> None:
        self.search: Search | None = None
        self._call = call
        self._old: BridgeLeg | None = old
        self._new = new
        self._staying = staying
        self._before = call.pair
        self._reason_before = call.media.reason

    async def begin(self) -> None:
        """Offer the one who stays what the new one offers, or ask it for an offer."""
        call, new, staying = self._call, self._new, self._staying
        assert self._before is not None, "there is a pair"
        call.pair = (new, staying) if self._before[0] is self._old else (staying, new)
        call.media.reason = ""
        sdp = new.session.remote_sdp
        try:
            offer = None if sdp is None else await call.media.offer(new, staying, sdp)
        except (UnacceptableSession, MediaError) as error:
            self._fail(488 if isinstance(error, UnacceptableSession) else 503, warning_of(error))
            return
        if staying.crossing is None and staying.offer(offer):
            staying.crossing = Crossing(new, is_request=offer is None)
        else:
            self._fail(BUSY, [])

    async def established(self, leg: BridgeLeg) -> bool:
        """The new phone has its answer: the old one is not needed any more."""
        if leg is not self._new:
            return False
        call, old = self._call, self._old
        logger.info("call %s: %s took it over", call.number, leg.end.name)
        note_moved(call, f"{leg.end.name} took the call over")
        if old is not None:
            old.end_call(200, cause=str(Reason.sip(200, "Replaced")), headers=[])
            call.forget(old)
        self._let_go()
        return True

    async def negotiated(self, leg: BridgeLeg) -> None:
        """The ACK of the new phone is what counts."""

    async def lost(self, leg: BridgeLeg, event: SessionEnded) -> bool:
        if leg is self._old:
            self._old = None
            self._call.forget(leg)
            return True
        if leg is self._new:
            self._fail(event.status, [])
            return True
        return False

    def refused_to_join(self, leg: BridgeLeg, status: int) -> None:
        self._fail(status, [])

    def _fail(self, status: int, headers: list[tuple[str, str]]) -> None:
        """The old call goes on, or ends with its phone."""
        call, new = self._call, self._new
        new.end_call(status, headers=headers)
        call.forget(new)
        call.pair, call.media.reason = self._before, self._reason_before
        if self._old is None:
            self._staying.end_call(480, headers=[])
            call.is_over = True
        self._let_go()

    def _let_go(self) -> None:
        self._before = None
        if self._call.transfer is self:
            self._call.transfer = None
