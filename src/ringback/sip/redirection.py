# SPDX-License-Identifier: Apache-2.0
"""Where does a 3xx send us? RFC 3261 sections 8.1.3.4 and 19.1.5. Client and proxy call the same two
functions.
"""

from __future__ import annotations

from ringback.sip.errors import PeerError
from ringback.sip.message.message import Request, Response
from ringback.sip.message.uri import NameAddr, SipUri, Uri

#: How many Contacts of one 3xx are looked at: a peer must not choose how much we dial.
TARGET_LIMIT = 16

#: 19.1.5: header fields a URI may set in the request made from it. Anything that routes, identifies or
#: authenticates is not the redirecting party's to choose.
HEADERS_FROM_URI = frozenset(
    (
        "subject",
        "priority",
        "accept-language",
        "alert-info",
        "call-info",
        "reply-to",
        "organization",
        "in-reply-to",
    )
)

USE_PROXY = 305


def redirect_targets(response: Response, *, secure: bool = False) -> list[NameAddr]:
    """The Contacts of a 3xx, best q first, equals in the order of the response; each URI once.

    `secure`: the request went to a sips URI, and so must what follows from it (8.1.3.4).
    """
    try:
        contacts = [] if response.is_star_contact else response.contacts
    except PeerError:
        return []
    targets: list[NameAddr] = []
    for contact in sorted(contacts[:TARGET_LIMIT], key=quality, reverse=True):
        uri = contact.uri
        if not isinstance(uri, SipUri) or (secure and not uri.secure):
            continue
        if not any(_is_same(uri, seen.uri) for seen in targets):
            targets.append(contact)
    return targets


def apply_redirect(request: Request, contact: NameAddr, *, status: int = 302) -> Request:
    """The request, sent anew to `contact`: same To, From, Call-ID and Route, next CSeq, no Via (8.1.3.4).

    Credentials stay behind: they were made for somebody else. After 305 (21.3.4) the target stays and
    `contact` is the proxy that this one request goes through.
    """
    again = request.copy()
    for name in ("Via", "Authorization", "Proxy-Authorization"):
        again.headers.remove(name)
    again.headers["CSeq"] = f"{request.cseq.number + 1} {request.method}"
    if status == USE_PROXY:
        again.headers.prepend("Route", str(NameAddr(_as_route(contact.uri))))
        return again
    uri = contact.uri
    if isinstance(uri, SipUri):
        for name, value in uri.headers:
            if name.isascii() and name.lower() in HEADERS_FROM_URI:
                _set(again, name, value)
        uri = uri.replace(headers=()).without_parameters("method")
    return again.with_target(str(uri))


def quality(contact: NameAddr) -> float:
    """The q of a Contact, 0 to 1; what is missing or no q counts as 1 (20.10 leaves the default to us)."""
    text = contact.parameter("q")
    if text is None:
        return 1.0
    whole, _, fraction = text.partition(".")
    if whole not in ("0", "1") or len(fraction) > 3 or not all(digit in "0123456789" for digit in fraction):
        return 1.0
    return min(float(f"{whole}.{fraction or '0'}"), 1.0)


def _as_route(uri: Uri) -> Uri:
    if isinstance(uri, SipUri) and not uri.has_parameter("lr"):
        return uri.replace(headers=()).with_parameter("lr")
    return uri


def _is_same(uri: SipUri, other: Uri) -> bool:
    return isinstance(other, SipUri) and uri.is_equivalent(other)


def _set(request: Request, name: str, value: str) -> None:
    if not any(character in value for character in "\r\n\0"):
        request.headers[name] = value
