# SPDX-License-Identifier: Apache-2.0
"""What may a browser do with our pages? Load from us alone, run nothing inline, be in nobody's frame."""

import re
from collections.abc import Mapping

HOST = re.compile(r"[0-9A-Za-z.-]{1,253}(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:[0-9]{1,5})?")

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "font-src 'self'",
        "connect-src 'self'",
        "media-src 'self' blob: mediastream:",
        "manifest-src 'self'",
        "worker-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)

SECURITY_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": (
        "camera=(self), microphone=(self), speaker-selection=(self), display-capture=(), geolocation=()"
    ),
}


def policy_for(host: str) -> str:
    """The policy for pages of this host. Older Safari does not count the WebSockets of a host as "self"."""
    if not HOST.fullmatch(host):
        return POLICY
    return POLICY.replace("connect-src 'self'", f"connect-src 'self' wss://{host}")
