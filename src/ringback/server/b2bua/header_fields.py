# SPDX-License-Identifier: Apache-2.0
"""Which header fields of one half of a call cross to the other? All that are about the people, none that are
about the hop or the dialog.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringback.kernel import BIT
from ringback.server.asserted_identity import CLAIMS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ringback.server.pipeline import Exchange
    from ringback.sip.message.headers import Headers
    from ringback.sip.message.message import Response

Fields = list[tuple[str, str]]

#: Each half has its own of these (RFC 3261 8.1.1, 12, 20; RFC 3262, 3327, 3891, 4028, 5393, 5626, 7315).
OF_THE_DIALOG = (
    "Allow",
    "Call-ID",
    "Contact",
    "Content-Disposition",
    "Content-Encoding",
    "Content-Length",
    "Content-Type",
    "CSeq",
    "Date",
    "Flow-Timer",
    "From",
    "Max-Breadth",
    "Max-Forwards",
    "MIME-Version",
    "Min-SE",
    "Path",
    "Proxy-Require",
    "RAck",
    "Record-Route",
    "Refer-Sub",
    "Refer-To",
    "Replaces",
    "Require",
    "Route",
    "RSeq",
    "Server",
    "Service-Route",
    "Session-Expires",
    "Supported",
    "Timestamp",
    "To",
    "Unsupported",
    "User-Agent",
    "Via",
)
_STAY = frozenset(name.lower() for name in (*OF_THE_DIALOG, *CLAIMS))

#: Passed on only where our own realm was taken out of them.
CREDENTIALS = ("Authorization", "Proxy-Authorization")
CHALLENGES = ("WWW-Authenticate", "Proxy-Authenticate")
_SECRETS = frozenset(name.lower() for name in (*CREDENTIALS, *CHALLENGES))


def crossing(headers: Headers, *, but: Iterable[str] = ()) -> Fields:
    """The lines that the other half gets, too, without credentials and challenges."""
    held = {name.lower() for name in but}
    return [
        (name, value)
        for name, value in headers
        if (key := name.lower()) not in _STAY and key not in _SECRETS and key not in held
    ]


def crossing_from(exchange: Exchange) -> Fields:
    """What the INVITE of a call takes along, credentials for other realms included (RFC 3261 22.3)."""
    fields = crossing(exchange.request.reading)
    for name in CREDENTIALS:
        if not exchange.without & BIT[name.lower()]:
            fields += [(name, line) for line in exchange.request.reading.get_all(name)]
    return fields


def crossing_refusal(response: Response, *, realm: str) -> Fields:
    """What a refusal takes along. Challenges of others cross, those that speak in our name do not; of a 3xx
    the addresses cross.
    """
    fields = crossing(response.reading)
    for name in CHALLENGES:
        lines = response.reading.get_all(name)
        fields += [(name, line) for line in lines if realm.lower() not in line.lower()]
    if 300 <= response.status < 400:
        fields += [("Contact", line) for line in response.reading.get_all("Contact")]
    return fields
