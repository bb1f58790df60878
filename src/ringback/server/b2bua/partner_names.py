# SPDX-License-Identifier: Apache-2.0
"""Who does a phone hear that it speaks with, when others were joined with it? RFC 3325 section 9.1.

The From and To of a dialog stay those of the call that began it (RFC 3261 12.2.1.1), so after a transfer a
phone would go on showing who handed the call over. Our own users' phones are told in each re-INVITE and
UPDATE from then on; others are not of our trust domain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringback.server.asserted_identity import FIELD, identity

if TYPE_CHECKING:
    from ringback.server.b2bua.header_fields import Fields
    from ringback.server.b2bua.leg import BridgeLeg


def partner_named(leg: BridgeLeg) -> Fields:
    """The assertion for this phone; none in a call as it began, and of a partner who proved no name or wants
    to stay unnamed (RFC 3323).
    """
    call = leg.call
    if call is None or call.pair is None or leg not in call.pair or leg.principal is None:
        return []
    leg.is_rejoined = leg.is_rejoined or call.transfer is not None
    partner = call.partner_of(leg)
    if not leg.is_rejoined or partner is None or partner.principal is None or partner.is_unnamed:
        return []
    number = partner.principal.number
    name = partner.principal.name or call.bridge.book.party(number).name
    return [(FIELD, identity(number, name, call.bridge.domain))]
