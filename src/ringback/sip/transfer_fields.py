# SPDX-License-Identifier: Apache-2.0
"""What do the requests of a transfer carry? Refer-To and Replaces (RFC 3515, RFC 3891), and the reports of a
REFER as message fragments (RFC 3420).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ringback.sip.dialog.identifier import DialogId
from ringback.sip.errors import PeerError
from ringback.sip.message import NameAddr, SipUri
from ringback.sip.message.names import reason_phrase
from ringback.sip.message.numbers import decimal
from ringback.sip.message.parameters import print_parameters
from ringback.sip.message.values import DialogReference

if TYPE_CHECKING:
    from ringback.sip.message import Request

SIPFRAG = "message/sipfrag"
#: What a NOTIFY about a REFER says that it is about (RFC 3515 2.4.4).
EVENT = "refer"
_VERSION = b"SIP/2.0 "


class ReferTarget(NamedTuple):
    """Whom a REFER sends us to, and the dialog that the call there shall replace."""

    uri: SipUri
    replaces: DialogReference | None


class Fragment(NamedTuple):
    """The status line that a report of a REFER holds."""

    status: int
    reason: str


def refer_target(refer_to: NameAddr) -> ReferTarget:
    """What a Refer-To asks for. PeerError for what is no call to a SIP address.

    Of the header fields in the URI only Replaces is taken: the others are not the referring party's to choose
    (RFC 3261 19.1.5).
    """
    uri = refer_to.uri
    if not isinstance(uri, SipUri):
        raise PeerError("only a SIP address can be called", status=416, section="RFC 3515 2.1")
    if (uri.parameter("method") or "INVITE").upper() != "INVITE":
        raise PeerError("only INVITE can be sent for a REFER", status=403, section="RFC 3515 2.1")
    found = [value for name, value in uri.headers if name.lower() == "replaces"]
    if len(found) > 1:
        raise PeerError("two dialogs to replace", section="RFC 3891 3")
    replaces = DialogReference.parse(found[0]) if found else None
    return ReferTarget(uri.replace(headers=()).without_parameters("method"), replaces)


def refer_to(uri: SipUri, replaces: DialogReference | None = None) -> NameAddr:
    """The value of a Refer-To."""
    headers = (("Replaces", str(replaces)),) if replaces is not None else ()
    return NameAddr(uri.replace(headers=headers))


def replaced_by(request: Request) -> DialogReference | None:
    """The dialog that an INVITE wants to replace; None for a plain call. PeerError when it is malformed."""
    lines = request.headers.get_all("Replaces")
    if not lines:
        return None
    if len(lines) > 1 or "Join" in request.headers:
        raise PeerError("more than one dialog to replace or join", section="RFC 3891 3")
    return DialogReference.parse(lines[0])


def reference_to(dialog: DialogId) -> DialogReference:
    """One of our dialogs, as the one at its other end knows it: to-tag is the tag over there (RFC 3891 4)."""
    return DialogReference(dialog.call_id, (("to-tag", dialog.remote_tag), ("from-tag", dialog.local_tag)))


def names(reference: DialogReference, dialog: DialogId) -> bool:
    """True when a Replaces that came to us means this dialog of ours (RFC 3891 3)."""
    from_tag = reference.parameter("from-tag") or ""
    if not dialog.remote_tag and from_tag == "0":  # the spelling for a peer without a tag
        from_tag = ""
    return (reference.call_id, reference.parameter("to-tag"), from_tag) == (
        dialog.call_id,
        dialog.local_tag,
        dialog.remote_tag,
    )


def sipfrag(status: int, reason: str = "") -> bytes:
    """The body of a report: a status line (RFC 3515 2.4.5)."""
    words = reason or reason_phrase(status)
    plain = "".join(character if character.isprintable() else " " for character in words)
    return _VERSION + f"{status} {plain}\r\n".encode()


def read_sipfrag(body: bytes) -> Fragment:
    """The status line of a report. PeerError when it does not begin with one."""
    line = body.partition(b"\n")[0].rstrip(b"\r")
    status, _, reason = line.removeprefix(_VERSION).partition(b" ")
    if not line.startswith(_VERSION) or len(status) != 3:
        raise PeerError("no status line in the report", section="RFC 3515 2.4.5")
    number = decimal(status.decode("ascii", "replace"), limit=699)
    if number < 100:
        raise PeerError("no status in the report", section="RFC 3515 2.4.5")
    return Fragment(number, reason.decode("utf-8", "replace"))


def subscription_state(*, is_over: bool) -> str:
    """The Subscription-State of a report (RFC 3515 2.4.7): the last one ends it."""
    parameters = print_parameters((("reason", "noresource"),) if is_over else (("expires", "60"),))
    return ("terminated" if is_over else "active") + parameters
