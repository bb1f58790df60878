# SPDX-License-Identifier: Apache-2.0
"""How is media carried in this process? `LocalPlane`: the engine of media workers, of the library, of tests.

plane = LocalPlane(Facilities(RealNetwork(), host="192.0.2.10", ports=PortRange(10_000, 20_000)))
await plane.start()
phone, browser = LegProfile(), BROWSER
offer = await plane.offer("1", "caller", "callee", sdp, source_profile=phone, target_profile=browser)
answer = await plane.answer("1", "callee", "caller", sdp, source_profile=browser, target_profile=phone)
print(await plane.delete("1"))
"""

from __future__ import annotations

import asyncio
import logging

from ringback.media.bridge import Bridge
from ringback.media.facilities import Facilities
from ringback.media.plane import (
    BridgeStatistics,
    LegProfile,
    MediaEvent,
    OnMediaEvent,
    PlaneUnavailable,
    ignore_event,
)
from ringback.sdp.errors import UnacceptableSession

log = logging.getLogger("ringback.media")

MOST_BRIDGES = 5_000
#: How often it is looked who is silent; at a part of the bridges each time, so that no packet waits for it:
#: two hundred at once take 6 ms.
LOOK_INTERVAL, PARTS = 1.0, 20


class LocalPlane:
    """All bridges of this process."""

    def __init__(self, facilities: Facilities, *, most_bridges: int = MOST_BRIDGES) -> None:
        self.on_event: OnMediaEvent = ignore_event
        self._facilities = facilities
        self._most_bridges = most_bridges
        self._bridges: dict[str, Bridge] = {}
        self._looking: asyncio.TimerHandle | None = None
        self._part = 0

    @property
    def bridges(self) -> int:
        """How many there are."""
        return len(self._bridges)

    async def start(self) -> None:
        self._look()

    async def close(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
        for name in list(self._bridges):
            self._bridges.pop(name).close()

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
        known = self._bridges.get(bridge)
        if known is None:
            if len(self._bridges) >= self._most_bridges:
                raise PlaneUnavailable(f"{self._most_bridges} bridges are all there may be")
            known = self._bridges[bridge] = Bridge(bridge, self._facilities, self._tell)
        try:
            async with known.lock:
                return await known.offer(source, target, sdp, (source_profile, target_profile))
        finally:
            if not known.legs and self._bridges.get(bridge) is known:
                del self._bridges[bridge]

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
        known = self._bridges.get(bridge)
        if known is None:
            raise UnacceptableSession("an answer without an offer", section="RFC 3264 6")
        async with known.lock:
            return known.answer(source, target, sdp)

    async def drop(self, bridge: str, leg: str) -> None:
        known = self._bridges.get(bridge)
        if known is not None:
            async with known.lock:
                known.drop(leg)

    async def delete(self, bridge: str) -> BridgeStatistics:
        known = self._bridges.pop(bridge, None)
        if known is None:
            return BridgeStatistics(bridge)
        async with known.lock:
            statistics = known.statistics()
            known.close()
        return statistics

    async def statistics(self, bridge: str) -> BridgeStatistics:
        known = self._bridges.get(bridge)
        return known.statistics() if known is not None else BridgeStatistics(bridge)

    async def record(self, bridge: str, path: str) -> None:
        self._bridge(bridge).record(path)

    async def stop_recording(self, bridge: str) -> None:
        known = self._bridges.get(bridge)
        if known is not None:
            known.stop_recording()

    async def play(self, bridge: str, leg: str, path: str) -> None:
        await self._bridge(bridge).play(leg, path)

    async def press(self, bridge: str, leg: str, digits: str) -> None:
        await self._bridge(bridge).press(leg, digits)

    def _bridge(self, name: str) -> Bridge:
        known = self._bridges.get(name)
        if known is None:
            raise PlaneUnavailable(f"there is no bridge {name}")
        return known

    def _tell(self, event: MediaEvent) -> None:
        """Whoever listens must not get into the way of packets."""
        try:
            self.on_event(event)
        except Exception:
            log.exception("our own code failed at %s", event)

    def look(self, now: float, part: slice = slice(None)) -> None:
        """See who is silent. It happens by itself once a second."""
        for bridge in list(self._bridges.values())[part]:
            bridge.look(now)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        self._looking = loop.call_later(LOOK_INTERVAL / PARTS, self._look)
        self._part = (self._part + 1) % PARTS
        self.look(loop.time(), slice(self._part, None, PARTS))
