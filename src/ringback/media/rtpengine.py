# SPDX-License-Identifier: Apache-2.0
"""How does rtpengine carry the media of our calls? `RtpenginePlane`: a MediaPlane over its ng protocol.

A bridge is a call of rtpengine, a leg one of its tags. Which flags make it speak with a browser, with a
phone that wants SDES, or plainly, stands in `_speaking`. What it cannot do (recording into a file of our
choosing) is refused in words. rtpengine tells nothing unasked, so bridges are looked at now and then: one
that it does not know any more was lost with its process.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ringback.media.bencode import Writable
from ringback.media.errors import UnreadableAudio, UnwritableAudio
from ringback.media.plane import (
    BridgeStatistics,
    LegProfile,
    MediaEvent,
    MediaEventKind,
    PlaneUnavailable,
    Security,
    ignore_event,
)
from ringback.media.rtpengine_control import Refused, Reply, RtpengineControl
from ringback.media.rtpengine_numbers import bridge_statistics, last_packets
from ringback.net.network import Network
from ringback.sdp.addresses import is_loopback
from ringback.sdp.errors import UnacceptableSession
from ringback.sdp.session import SessionDescription
from ringback.sdp.stream import streams_of
from ringback.sip.errors import RingbackError
from ringback.sip.flow import Address

log = logging.getLogger("ringback.media")

MOST_BRIDGES = 10_000
MOST_LEGS = 16
LOOK_INTERVAL = 5.0
#: A leg that sent nothing for so many seconds is told of.
SILENCE = 10.0
KEY_MS = 160

#: Never offered nor taken: without encryption, or that nobody speaks.
_UNWANTED_SUITES = (
    "NULL_HMAC_SHA1_80",
    "NULL_HMAC_SHA1_32",
    "F8_128_HMAC_SHA1_80",
    "F8_128_HMAC_SHA1_32",
    "AES_192_CM_HMAC_SHA1_80",
    "AES_192_CM_HMAC_SHA1_32",
)
#: "pad": without the last = of its base64 a key of GCM is misread (baresip 1.0 hears nothing then).
_SDES: list[str] = ["pad", *(f"no-{suite}" for suite in _UNWANTED_SUITES)]
#: What rtpengine says of a call that it does not have.
_UNKNOWN = "Unknown call-id"


@dataclass(slots=True)
class _Bridge:
    legs: dict[str, LegProfile] = field(default_factory=dict)
    #: Who hears whom, by the last answers.
    partners: dict[str, str] = field(default_factory=dict)
    blocked: set[str] = field(default_factory=set)
    silent: set[str] = field(default_factory=set)


class RtpenginePlane:
    """All bridges of this process, in one rtpengine."""

    def __init__(
        self,
        remote: Address,
        network: Network,
        *,
        random_bytes: Callable[[int], bytes],
        look_interval: float = LOOK_INTERVAL,
    ) -> None:
        """`look_interval`: every bridge is looked at once in so many seconds."""
        self.on_event: Callable[[MediaEvent], None] = ignore_event
        self._control = RtpengineControl(remote, network, random_bytes)
        #: rtpengine may serve several of us: our calls have a name of our own.
        self._name = random_bytes(6).hex()
        self._bridges: dict[str, _Bridge] = {}
        self._look_interval = look_interval
        self._looking: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """One question, to know that somebody is there. If not, every later one is asked all the same."""
        if self._looking is None:
            await self._control.open()
            self._looking = asyncio.create_task(self._look())
        await self._control.ask("ping", {})

    async def close(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
        with contextlib.suppress(RingbackError):
            for bridge in list(self._bridges):
                await self.delete(bridge)
        self._control.close()

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
        _check(sdp, source_profile)
        known = self._room(bridge, source, target)
        arguments = {
            **_speaking(target_profile, source_profile, is_offer=True),
            **self._names(bridge, source, target),
            "sdp": sdp,
        }
        reply = await self._negotiate("offer", arguments)
        self._bridges[bridge] = known
        known.legs[source], known.legs[target] = source_profile, target_profile
        return _description(reply)

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
        _check(sdp, source_profile)
        known = self._bridges.get(bridge)
        if known is None or source not in known.legs or target not in known.legs:
            raise UnacceptableSession("an answer without an offer", section="RFC 3264 6")
        arguments = {
            **_speaking(target_profile, source_profile, is_offer=False),
            **self._names(bridge, target, source),
            "sdp": sdp,
        }
        reply = await self._negotiate("answer", arguments)
        await self._connect(bridge, known, source, target)
        return _description(reply)

    async def drop(self, bridge: str, leg: str) -> None:
        """Nothing of it goes anywhere any more. Its ports are free when the bridge ends: to delete one tag
        may take others with it (seen with 10.5).
        """
        known = self._bridges.get(bridge)
        if known is not None and leg in known.legs:
            await self._block(bridge, known, leg)
            del known.legs[leg]
            known.partners = {one: other for one, other in known.partners.items() if leg not in (one, other)}

    async def delete(self, bridge: str) -> BridgeStatistics:
        known = self._bridges.pop(bridge, None)
        if known is None:
            return BridgeStatistics(bridge)
        statistics = await self._query(bridge, known)
        with contextlib.suppress(Refused):
            await self._control.ask("delete", {**self._names(bridge), "delete-delay": 0})
        return statistics

    async def statistics(self, bridge: str) -> BridgeStatistics:
        known = self._bridges.get(bridge)
        return await self._query(bridge, known) if known else BridgeStatistics(bridge)

    async def record(self, bridge: str, path: str) -> None:
        raise UnwritableAudio("rtpengine records where its own settings say, not into a file of our choosing")

    async def stop_recording(self, bridge: str) -> None:
        """There is none."""

    async def play(self, bridge: str, leg: str, path: str) -> None:
        try:
            reply = await self._control.ask("play media", {**self._names(bridge, leg), "file": path})
        except Refused as error:
            raise UnreadableAudio(f"rtpengine cannot play {path}: {error}") from error
        duration = reply.get("duration")
        await asyncio.sleep(duration / 1_000 if isinstance(duration, int) else 0.0)

    async def press(self, bridge: str, leg: str, digits: str) -> None:
        """The partner presses, as rtpengine sees it."""
        known = self._bridges.get(bridge)
        presser = known.partners.get(leg) if known else None
        for digit in digits if presser else "":
            arguments = {**self._names(bridge, presser or ""), "code": digit, "duration": KEY_MS}
            try:
                await self._control.ask("play DTMF", arguments)
            except Refused as error:
                raise PlaneUnavailable(f"rtpengine presses no keys in this call: {error}") from error
            await asyncio.sleep(2 * KEY_MS / 1_000)

    # --- inside

    def _room(self, bridge: str, source: str, target: str) -> _Bridge:
        known = self._bridges.get(bridge)
        if known is None:
            if len(self._bridges) >= MOST_BRIDGES:
                raise PlaneUnavailable("too many bridges")
            return _Bridge()
        if len(known.legs.keys() | {source, target}) > MOST_LEGS:
            raise PlaneUnavailable("too many legs in one bridge")
        return known

    def _names(self, bridge: str, one: str = "", other: str = "") -> dict[str, Writable]:
        names: dict[str, Writable] = {"call-id": f"{self._name}-{bridge}"}
        return names | ({"from-tag": one} if one else {}) | ({"to-tag": other} if other else {})

    async def _negotiate(self, command: str, arguments: Mapping[str, Writable]) -> Reply:
        try:
            return await self._control.ask(command, arguments)
        except Refused as error:
            if "SDP" in str(error) or "description" in str(error):
                raise UnacceptableSession(f"rtpengine does not take it: {error}") from error
            raise PlaneUnavailable(f"rtpengine refuses: {error}") from error

    async def _connect(self, bridge: str, known: _Bridge, source: str, target: str) -> None:
        """`target` hears `source` and nobody else: rtpengine would let it hear all who have answered."""
        before = known.partners.get(target)
        known.partners[source], known.partners[target] = target, source
        if before not in (None, source):
            await self._block(bridge, known, before or "")
        if source in known.blocked:
            known.blocked.discard(source)
            with contextlib.suppress(Refused):
                await self._control.ask("unblock media", self._names(bridge, source))

    async def _block(self, bridge: str, known: _Bridge, leg: str) -> None:
        known.blocked.add(leg)
        with contextlib.suppress(Refused):
            await self._control.ask("block media", self._names(bridge, leg))

    async def _query(self, bridge: str, known: _Bridge) -> BridgeStatistics:
        try:
            reply = await self._control.ask("query", self._names(bridge))
        except Refused:
            return BridgeStatistics(bridge)
        return bridge_statistics(bridge, known.legs, reply)

    # --- what rtpengine does not tell by itself

    async def _look(self) -> None:
        """Every bridge once in an interval, spread over it."""
        while True:
            bridges = list(self._bridges)
            for bridge in bridges:
                await asyncio.sleep(self._look_interval / len(bridges))
                with contextlib.suppress(PlaneUnavailable):
                    await self._look_at(bridge)
            if not bridges:
                await asyncio.sleep(self._look_interval)

    async def _look_at(self, bridge: str) -> None:
        known = self._bridges.get(bridge)
        if known is None:
            return
        try:
            reply = await self._control.ask("query", self._names(bridge))
        except Refused as error:
            if _UNKNOWN in str(error) and self._bridges.pop(bridge, None) is not None:
                self.on_event(
                    MediaEvent(bridge, "", MediaEventKind.LOST, "rtpengine does not know it any more")
                )
            return
        self._judge(bridge, known, last_packets(reply))

    def _judge(self, bridge: str, known: _Bridge, silence: Mapping[str, float]) -> None:
        silent = {leg for leg in known.partners if silence.get(leg, 0.0) >= SILENCE}
        for leg in sorted(silent - known.silent):
            self.on_event(MediaEvent(bridge, leg, MediaEventKind.NO_RTP, f"no RTP from {leg} for 10 s"))
        for leg in sorted(known.silent - silent):
            self.on_event(MediaEvent(bridge, leg, MediaEventKind.RESUMED))
        known.silent = silent


def _check(sdp: bytes, profile: LegProfile) -> None:
    """rtpengine would send to any address (RELIABILITY row 10)."""
    peer = profile.signalling_host or profile.host
    streams_of(SessionDescription.parse(sdp), allow_loopback=bool(peer) and is_loopback(peer))


def _speaking(profile: LegProfile, other: LegProfile, *, is_offer: bool) -> dict[str, Writable]:
    """The flags for a description that goes to a leg of this profile."""
    is_browser = profile.security is Security.DTLS
    speaking: dict[str, Writable] = {
        "replace": ["origin", "session-connection"],
        "flags": ["trust-address", *(["generate-mid"] if is_browser and is_offer else [])],
        "ICE": "force" if profile.ice else "remove",
        "rtcp-mux": [("offer" if is_offer else "accept") if profile.rtcp_mux else "demux"],
        "SDES": ["off"] if is_browser else _SDES,
    }
    if profile.host:
        speaking["address family"] = "IP6" if ":" in profile.host else "IP4"
    if not is_offer:
        return speaking  # rtpengine knows which protocol was offered
    speaking["transport-protocol"] = _PROTOCOLS[profile.security]
    if is_browser:
        speaking["DTLS"] = "passive"
    elif other.security is not Security.DTLS:
        # In an offer this forbids DTLS towards the offerer as well: its calls would be silent.
        speaking["DTLS"] = "off"
    if profile.security is Security.OPPORTUNISTIC:
        speaking["OSRTP"] = ["offer"]
    if profile.codecs:
        speaking["codec"] = {"transcode": list(profile.codecs)}
    return speaking


_PROTOCOLS = {
    Security.PLAIN: "RTP/AVP",
    Security.OPPORTUNISTIC: "RTP/AVP",
    Security.SDES: "RTP/SAVP",
    Security.DTLS: "UDP/TLS/RTP/SAVPF",
}


def _description(reply: Reply) -> bytes:
    sdp = reply.get("sdp")
    if not isinstance(sdp, bytes):
        raise PlaneUnavailable("rtpengine answers without a description")
    return sdp
