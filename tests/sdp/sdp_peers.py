# SPDX-License-Identifier: Apache-2.0
"""Descriptions of real programs, and ends of our own to speak with them.

The files in `descriptions/` were said by Chromium 156, baresip 1.0.0 and linphone 5.1 (addresses and keys
changed); those of Firefox, of JsSIP holding a call and of the fax adapter are written after theirs.
"""

from pathlib import Path

from ringback.sdp.attributes import AudioFormat
from ringback.sdp.crypto import SUITES, CryptoLine
from ringback.sdp.dtls import Fingerprint
from ringback.sdp.ice import Candidate, IceDescription
from ringback.sdp.local_stream import LocalStream
from ringback.sdp.session import SessionDescription
from ringback.sip.flow import Address

FOLDER = Path(__file__).parent / "descriptions"
NAMES = sorted(file.stem for file in FOLDER.glob("*.sdp"))
OFFERS = [name for name in NAMES if name.endswith("offer")]
#: Where every peer of the files is.
THEIR_HOSTS = ("198.51.100.7", "2001:db8::7", "203.0.113.5")

OURS, OURS_6 = "192.0.2.1", "2001:db8:1::1"
PCMU, PCMA = AudioFormat(0, "PCMU"), AudioFormat(8, "PCMA")
OPUS = AudioFormat(111, "opus", 48_000, 2, "useinbandfec=1")
EVENT = AudioFormat(101, "telephone-event", parameters="0-16")
FINGERPRINT = Fingerprint("sha-256", bytes(range(100, 132)))
CRYPTO = tuple(
    CryptoLine(tag, suite.name, bytes(range(tag, tag + suite.secret_bytes)))
    for tag, suite in enumerate(SUITES.values(), 1)
)


def said_by(name: str) -> SessionDescription:
    """A description from the folder."""
    return SessionDescription.parse((FOLDER / f"{name}.sdp").read_bytes())


def described(*lines: str, head: tuple[str, ...] = ("c=IN IP4 198.51.100.7",)) -> SessionDescription:
    """A description of a peer's with these m= sections."""
    text = "\r\n".join(["v=0", "o=- 7 7 IN IP4 198.51.100.7", "s=-", *head, "t=0 0", *lines, ""])
    return SessionDescription.parse(text.encode())


def plain_end(port: int = 4000, protocol: str = "RTP/AVP", host: str = OURS) -> LocalStream:
    """Plain RTP, or UDPTL."""
    return LocalStream(Address(host, port), Address(host, port + 1), protocol)


def sdes_end(port: int = 4000, protocol: str = "RTP/SAVP") -> LocalStream:
    """SRTP with keys in the description."""
    return LocalStream(Address(OURS, port), Address(OURS, port + 1), protocol, crypto=CRYPTO)


def browser_end(port: int = 7000, protocol: str = "UDP/TLS/RTP/SAVPF") -> LocalStream:
    """What a browser needs: ICE-lite, DTLS, one port."""
    address = Address(OURS, port)
    ice = IceDescription(
        "ouru", "ourpassword0123456789ab", (Candidate("1", 1, 2_130_706_431, address),), True
    )
    return LocalStream(address, None, protocol, rtcp_mux=True, fingerprint=FINGERPRINT, ice=ice)


def ends(
    session: SessionDescription, make: object = plain_end, *, shared: bool = False
) -> list[LocalStream | None]:
    """An end for every stream that can be bridged."""
    assert callable(make)
    return [
        None
        if media.line.protocol.startswith(("TCP", "UDP/DTLS"))
        else plain_end(4000 + 2 * index, "udptl")
        if media.line.protocol == "udptl"
        else make(7000 if shared else 4000 + 2 * index)
        for index, media in enumerate(session.media)
    ]


def attributes(session: SessionDescription, index: int, name: str) -> list[str]:
    """The values of an attribute of a stream."""
    return session.media[index].attribute_values(name)


def media_lines(session: SessionDescription) -> list[str]:
    """The m= lines."""
    return [str(media.lines[0]) for media in session.media]
