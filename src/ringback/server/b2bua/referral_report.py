# SPDX-License-Identifier: Apache-2.0
"""What does a phone hear of the transfer it asked for? NOTIFY with a fragment: RFC 3515 2.4.4, RFC 3420."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringback.sip.transfer_fields import EVENT, SIPFRAG, sipfrag, subscription_state

if TYPE_CHECKING:
    from ringback.server.b2bua.leg import BridgeLeg
    from ringback.sip.message.message import Request


class ReferralReport:
    """The reports about one REFER. `is_silent` when its sender wants none (RFC 4488)."""

    __slots__ = ("_is_again", "_leg", "_number", "_said", "is_silent")

    def __init__(self, leg: BridgeLeg, request: Request) -> None:
        self._leg = leg
        self._said = 0
        self._is_again = leg.referrals > 0
        leg.referrals += 1
        self._number = request.cseq.number
        self.is_silent = (request.headers.get("Refer-Sub") or "").lower().startswith("false")

    def say(self, status: int, reason: str = "") -> None:
        """One report for each news."""
        leg = self._leg
        if status == self._said or leg.is_over or self.is_silent:
            return
        self._said = status
        leg.command(
            leg.session.request,
            "NOTIFY",
            headers=[
                ("Event", f"{EVENT};id={self._number}" if self._is_again else EVENT),
                ("Subscription-State", subscription_state(is_over=status >= 200)),
            ],
            body=sipfrag(status, reason),
            content_type=f"{SIPFRAG};version=2.0",
            is_vital=False,
        )
