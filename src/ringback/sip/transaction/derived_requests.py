# SPDX-License-Identifier: Apache-2.0
"""Which requests does this layer make itself? The ACK to a failure (RFC 3261 17.1.1.3), the CANCEL (9.1).

Both are made from the INVITE as it was sent: same Request-URI, same top Via, same Route.
"""

from ringback.sip.message.headers import Headers
from ringback.sip.message.message import Request, Response


def make_ack(invite: Request, response: Response) -> Request:
    """17.1.1.3: the To is that of the response; a proxy or the peer may have added a tag."""
    return _derive("ACK", invite, to=response.headers["To"])


def make_cancel(invite: Request, reason: str | None = None) -> Request:
    """9.1: the To is that of the INVITE, without the answer's tag. `reason` is a Reason field (RFC 3326)."""
    cancel = _derive("CANCEL", invite, to=invite.headers["To"])
    if reason is not None:
        cancel.headers.add("Reason", reason)
    return cancel


def _derive(method: str, invite: Request, *, to: str) -> Request:
    headers = Headers()
    headers.add("Via", str(invite.top_via))
    for route in invite.headers.get_all("Route"):
        headers.add("Route", route)
    headers.add("Max-Forwards", "70")
    headers.add("From", invite.headers["From"])
    headers.add("To", to)
    headers.add("Call-ID", invite.headers["Call-ID"])
    headers.add("CSeq", f"{invite.cseq.number} {method}")
    return Request(method, invite.target, headers, b"")
