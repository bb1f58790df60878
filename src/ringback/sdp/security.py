# SPDX-License-Identifier: Apache-2.0
"""How is a stream kept secret, and what does its m= line call that? RFC 3711, 4568, 5764, 8643."""

from __future__ import annotations

from enum import StrEnum

_PLAIN = ("RTP/AVP", "RTP/AVPF")
_SECURE = ("RTP/SAVP", "RTP/SAVPF")
_DTLS = ("UDP/TLS/RTP/SAVP", "UDP/TLS/RTP/SAVPF")

#: The protocols of m= lines that carry RTP over UDP.
RTP_PROTOCOLS = (*_PLAIN, *_SECURE, *_DTLS)
#: Fax in UDP (T.38), written in small or large letters.
UDPTL = "udptl"


class Security(StrEnum):
    """How the media of a stream is protected."""

    PLAIN = "plain"
    OPPORTUNISTIC = "opportunistic"
    """RTP/AVP with a=crypto: SRTP if the other end takes it (RFC 8643)."""
    SDES = "sdes"
    """SRTP with keys in the description (RFC 4568)."""
    DTLS = "dtls"
    """SRTP with keys agreed on over DTLS (RFC 5763, 5764)."""

    def protocol(self, *, feedback: bool = False) -> str:
        """The protocol to offer in m=; `feedback` asks for the profile with early RTCP (RFC 4585)."""
        if self is Security.DTLS:
            return _DTLS[1]  # browsers take no other (RFC 8829 section 5.1.2)
        pair = _SECURE if self is Security.SDES else _PLAIN
        return pair[feedback]


def is_rtp(protocol: str) -> bool:
    """True when an m= line with this protocol carries RTP over UDP."""
    return protocol in RTP_PROTOCOLS


def is_srtp(protocol: str) -> bool:
    """True when an m= line with this protocol insists on SRTP."""
    return protocol in _SECURE or protocol in _DTLS


def is_dtls(protocol: str) -> bool:
    """True when an m= line with this protocol insists on DTLS."""
    return protocol in _DTLS


def has_feedback(protocol: str) -> bool:
    """True for the profiles with early RTCP: RTP/AVPF and RTP/SAVPF (RFC 4585, RFC 5124)."""
    return protocol.endswith("AVPF")


def is_udptl(protocol: str) -> bool:
    """True for fax over UDP (T.38 annex D)."""
    return protocol.lower() == UDPTL
