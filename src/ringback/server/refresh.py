# SPDX-License-Identifier: Apache-2.0
"""Is this REGISTER nothing but a refresh? Nearly all are: the same phone says once more that it is there.

What RFC 3261 10.3 asks for, `registration.py` does for every REGISTER. `refresh_time` comes to the same for
the plainest ones in 5 us instead of 60: the user has one binding, and nothing changes but how long it lasts.
0 means: look with care; so does everything that is to be refused. A property test compares the two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringback.kernel import BIT

if TYPE_CHECKING:
    from ringback.kernel import Head
    from ringback.server.binding import Binding
    from ringback.server.registration import RegistrarPolicy
    from ringback.sip.flow import Flow

_CONTACT, _EXPIRES = BIT["contact"], BIT["expires"]
_PATH, _USER_AGENT = BIT["path"], BIT["user-agent"]


#: Nobody asks for longer: 31 years.
DIGITS_LIMIT = 9


def refresh_time(head: Head, flow: Flow, old: Binding, policy: RegistrarPolicy) -> int:
    """For how many seconds the REGISTER of `head` refreshes `old`, the only binding of its user; 0 when that
    needs a closer look.
    """
    present = head.present
    contact, at, seconds = (head.value(_CONTACT) or "").rpartition(";expires=")
    if not at:
        contact = seconds
        seconds = (head.value(_EXPIRES) or "") if present & _EXPIRES else str(policy.default_expires)
    is_number = seconds.isdecimal() and seconds.isascii() and len(seconds) <= DIGITS_LIMIT
    expires = int(seconds) if is_number else 0
    is_plain = (
        contact == old.contact_text
        and not (old.reg_id or old.path or present & _PATH)
        and old.q == 1.0
        and (not old.instance or "reg-id" not in contact.lower())
        and (head.value(_USER_AGENT) if present & _USER_AGENT else "") == old.user_agent
        and expires >= policy.minimum_expires
        and expires > 0
        and policy.max_contacts >= 1
        and (head.call_id != old.call_id or head.cseq > old.cseq)
        and (flow is old.flow or flow == old.flow)
        and _leads_back(contact, head, flow)
    )
    if not is_plain:
        return 0
    return expires if expires < policy.maximum_expires else policy.maximum_expires


def _leads_back(contact: str, head: Head, flow: Flow) -> bool:
    """True when `nat.flow_to_contact` would answer `flow`: the Contact is the socket that the Via claims, no
    other proxy stands between, and the phone asks for rport or listens where it sends from. A Contact that
    begins with a name, or has no user, needs a closer look.
    """
    place = contact.partition(">")[0].partition("@")[2].partition(";")[0]
    return (
        head.via_count == 1
        and place == head.sent_by
        and contact[:4] == "<sip"
        and (flow.is_reliable or head.reply_port == flow.remote.port)
    )
