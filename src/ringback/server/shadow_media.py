# SPDX-License-Identifier: Apache-2.0
"""Who carries the sound of a dry run? Nobody: a plane that writes our address into descriptions and opens no
port. Its descriptions show which way the sound would go and how protected, not its keys and ports.
"""

from __future__ import annotations

from collections.abc import Sequence

from ringback.media.plane import (
    BridgeStatistics,
    LegProfile,
    LegStatistics,
    OnMediaEvent,
    Security,
    ignore_event,
)
from ringback.sdp.session import SessionDescription

#: What m= says of each protection.
PROTOCOLS = {Security.SDES: "RTP/SAVP", Security.DTLS: "UDP/TLS/RTP/SAVPF"}


class ShadowPlane:
    """A `ringback.media.plane.MediaPlane`."""

    def __init__(self, addresses: Sequence[str], first_port: int) -> None:
        self.on_event: OnMediaEvent = ignore_event
        self._host = next(iter(addresses), "0.0.0.0")  # noqa: S104 (nothing is opened)
        self._port = first_port

    async def start(self) -> None:
        """Nothing to do."""

    async def close(self) -> None:
        """Nothing to do."""

    async def offer(
        self,
        bridge: str,
        source: str,
        target: str,
        sdp: bytes,
        *,
        source_profile: LegProfile,
        target_profile: LegProfile,
    ) -> bytes:
        """The same description, as if it were ours."""
        return self._ours(sdp, target_profile)

    async def answer(
        self,
        bridge: str,
        source: str,
        target: str,
        sdp: bytes,
        *,
        source_profile: LegProfile,
        target_profile: LegProfile,
    ) -> bytes:
        """The same description, as if it were ours."""
        return self._ours(sdp, target_profile)

    async def drop(self, bridge: str, leg: str) -> None:
        """Nothing to do."""

    async def delete(self, bridge: str) -> BridgeStatistics:
        """Nothing was carried."""
        return BridgeStatistics(bridge)

    async def statistics(self, bridge: str) -> BridgeStatistics:
        """Nothing is carried."""
        return BridgeStatistics(bridge, (LegStatistics("caller"),))

    async def record(self, bridge: str, path: str) -> None:
        """Nothing to do."""

    async def stop_recording(self, bridge: str) -> None:
        """Nothing to do."""

    async def play(self, bridge: str, leg: str, path: str) -> None:
        """Nothing to do."""

    async def press(self, bridge: str, leg: str, digits: str) -> None:
        """Nothing to do."""

    def _ours(self, sdp: bytes, profile: LegProfile) -> bytes:
        family = "IP6" if ":" in self._host else "IP4"
        lines = []
        for line in SessionDescription.parse(sdp).to_bytes().decode("utf-8", "surrogateescape").splitlines():
            if line.startswith("c="):
                lines.append(f"c=IN {family} {self._host}")
            elif line.startswith("m="):
                media, _, _, formats = line.split(" ", 3)
                lines.append(f"{media} {self._port} {PROTOCOLS.get(profile.security, 'RTP/AVP')} {formats}")
            elif not line.startswith(("a=candidate", "a=crypto", "a=ice-", "a=fingerprint", "a=rtcp:")):
                lines.append(line)
        return "".join(f"{line}\r\n" for line in lines).encode("utf-8", "surrogateescape")
