# SPDX-License-Identifier: Apache-2.0
"""Is this REGISTER nothing but a refresh? Nearly all are: the same phone says once more where it is.

What RFC 3261 10.3 asks for, `registration.py` does for every REGISTER. `refreshed` gives the same result for
the plainest ones for 5 us instead of 60: the user has one binding, the Contact is written as it was, and the
phone is reached as it was. None means: look with care; so does everything that is to be refused. A property
test compares the two.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ringback.kernel import BIT
from ringback.server.registration import TEXT_LIMIT

if TYPE_CHECKING:
    from ringback.kernel import Head
    from ringback.server.binding import Binding
    from ringback.server.registration import RegistrarPolicy
    from ringback.sip.flow import Flow

_CONTACT, _EXPIRES = BIT["contact"], BIT["expires"]
_PATH, _USER_AGENT = BIT["path"], BIT["user-agent"]

_SECONDS = re.compile(r"[0-9]{1,9}")
#: A Contact whose first part is the URI in brackets: what follows "@" (or the scheme) up to its parameters.
_PLACE = re.compile(r"<sips?:(?:[^@<>\"]*@)?([^;?@<>\"]+)")


def refreshed(
    head: Head, flow: Flow, old: Binding, *, policy: RegistrarPolicy, now: float, wall_now: float
) -> Binding | None:
    """The user's only binding `old` after the REGISTER of `head`; None when that needs a closer look."""
    contact, at, seconds = (head.value(_CONTACT) or "").rpartition(";expires=")
    if not at:
        contact = seconds
        seconds = (head.value(_EXPIRES) or "") if head.present & _EXPIRES else str(policy.default_expires)
    expires = int(seconds) if _SECONDS.fullmatch(seconds) else 0
    agent = head.value(_USER_AGENT)
    is_plain = (
        contact == old.contact_text
        and not (old.reg_id or old.path or head.present & _PATH)
        and (not old.instance or "reg-id" not in contact.lower())
        and (agent is not None or not head.present & _USER_AGENT)
        and expires >= max(1, policy.minimum_expires)
        and policy.max_contacts >= 1
        and (head.call_id != old.call_id or head.cseq > old.cseq)
        and _leads_back(contact, head, flow)
    )
    if not is_plain:
        return None
    return old.refreshed(
        expires_at=now + min(expires, policy.maximum_expires),
        call_id=head.call_id,
        cseq=head.cseq,
        flow=flow,
        user_agent=(agent or "")[:TEXT_LIMIT],
        registered_at=wall_now,
    )


def _leads_back(contact: str, head: Head, flow: Flow) -> bool:
    """True when `nat.flow_to_contact` would answer `flow`: the Contact is the socket that the Via claims, no
    other proxy stands between, and the phone asks for rport or listens where it sends from.
    """
    if head.via_count != 1:
        return False
    found = _PLACE.match(contact)
    return (
        found is not None
        and found[1] == head.sent_by
        and (flow.transport.is_reliable or head.reply_port == flow.remote.port)
    )
