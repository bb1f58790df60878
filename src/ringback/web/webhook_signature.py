# SPDX-License-Identifier: Apache-2.0
"""How does a receiver know that an event comes from us, and is not an old one? By its signature.

    Ringback-Signature: t=1767225600,v1=5257a869e7ecebeda32affa62cdca3fa51cad7e77a0e56ff536d0ce8e108d8bd

v1 is HMAC-SHA256 with the webhook's secret over the time, a dot and the body. A receiver computes the same,
compares in constant time, and refuses what is older than five minutes.
"""

from __future__ import annotations

import hmac

HEADER = "Ringback-Signature"


def signature(secret: str, body: bytes, *, at: int) -> str:
    """The value of the header."""
    digest = hmac.new(secret.encode(), b"%d." % at + body, "sha256").hexdigest()
    return f"t={at},v1={digest}"


def is_genuine(header: str, secret: str, body: bytes, *, now: float, tolerance: float = 300.0) -> bool:
    """What a receiver does."""
    fields = dict(part.partition("=")[::2] for part in header.split(","))
    at = fields.get("t", "")
    if not (at.isascii() and at.isdecimal() and len(at) <= 12) or abs(now - int(at)) > tolerance:
        return False
    return hmac.compare_digest(signature(secret, body, at=int(at)), header)
