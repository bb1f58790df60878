# SPDX-License-Identifier: Apache-2.0
"""How does a test write a SIP message in one line? As bytes, put together without the code under test.

    from ringback.testing.messages import request, response

    options = request("OPTIONS", "sip:bob@example.com", call_id="1@test")
    assert options.startswith(b"OPTIONS sip:bob@example.com SIP/2.0\\r\\n")
    assert response(options, 200).startswith(b"SIP/2.0 200 OK\\r\\n")

What a test does not care about has a value that makes a valid message.
"""

import itertools
from collections.abc import Iterable

REASONS = {
    100: "Trying",
    180: "Ringing",
    183: "Session Progress",
    200: "OK",
    302: "Moved Temporarily",
    401: "Unauthorized",
    404: "Not Found",
    407: "Proxy Authentication Required",
    486: "Busy Here",
    487: "Request Terminated",
    503: "Service Unavailable",
}
#: What a response copies from its request (RFC 3261 8.2.6.2).
COPIED = (b"via", b"v", b"from", b"f", b"to", b"t", b"call-id", b"i", b"cseq", b"record-route")

_numbers = itertools.count(1)


def request(
    method: str = "OPTIONS",
    target: str = "sip:bob@example.com",
    *,
    via: str = "SIP/2.0/UDP 192.0.2.1:5060",
    branch: str | None = None,
    from_: str = "<sip:alice@example.com>;tag=alice",
    to: str | None = None,
    call_id: str | None = None,
    cseq: int = 1,
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
    content_type: str = "application/sdp",
) -> bytes:
    """A request. Branch and Call-ID are new each time unless given; the numbers are the same in every run."""
    number = next(_numbers)
    lines = [
        f"{method} {target} SIP/2.0",
        f"Via: {via};branch={branch or f'z9hG4bKtest{number}'};rport",
        "Max-Forwards: 70",
        f"From: {from_}",
        f"To: {to or f'<{target}>'}",
        f"Call-ID: {call_id or f'{number}@test'}",
        f"CSeq: {cseq} {method}",
        *(f"{name}: {value}" for name, value in headers),
        *([f"Content-Type: {content_type}"] if body else []),
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def response(
    to: bytes,
    status: int,
    *,
    reason: str | None = None,
    tag: str = "bob",
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
    content_type: str = "application/sdp",
) -> bytes:
    """The response to a request given as bytes; `tag` is added to a To without one (not in a 100)."""
    lines = [f"SIP/2.0 {status} {reason or REASONS.get(status, 'Some Reason')}".encode()]
    for line in to.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]:
        name = line.partition(b":")[0].lower()
        if name in COPIED:
            needs_tag = name in (b"to", b"t") and b";tag=" not in line and status > 100
            lines.append(line + f";tag={tag}".encode() if needs_tag else line)
    lines += [f"{name}: {value}".encode() for name, value in headers]
    if body:
        lines.append(f"Content-Type: {content_type}".encode())
    lines.append(f"Content-Length: {len(body)}".encode())
    return b"\r\n".join([*lines, b"", b""]) + body
