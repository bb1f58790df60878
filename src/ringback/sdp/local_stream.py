# SPDX-License-Identifier: Apache-2.0
"""What do we say of ourselves for one m= line towards one leg?"""

from __future__ import annotations

from dataclasses import dataclass

from ringback.sdp.crypto import CryptoLine
from ringback.sdp.dtls import Fingerprint, Setup
from ringback.sdp.ice import IceDescription
from ringback.sip.flow import Address


@dataclass(frozen=True, slots=True)
class LocalStream:
    """Our end of a stream: where we listen, and how it is secured.

    `address` is what peers see (the advertised one). `rtcp` is None where RTCP shares the port of RTP.
    `crypto` holds a line for every suite we take: an offer lists them all, an answer the one that fits.
    `setup` ACTPASS in an answer is replaced by `answering_setup` of the offer.
    """

    address: Address
    rtcp: Address | None = None
    protocol: str = "RTP/AVP"
    rtcp_mux: bool = False
    crypto: tuple[CryptoLine, ...] = ()
    fingerprint: Fingerprint | None = None
    setup: Setup = Setup.ACTPASS
    ice: IceDescription | None = None
    mid: str | None = None
