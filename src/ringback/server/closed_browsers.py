# SPDX-License-Identifier: Apache-2.0
"""What becomes of a browser's registration when its connection ends? It ends, too, a moment later.

A browser is reached by its WebSocket alone (RFC 7118 section 5: its Contact names no real host), and a page
that is closed has no time to say goodbye. Without this its owner would seem to be there until the
registration expires. A page that is loaded again, or changes its network, is back within the moment.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ringback.sip.flow import Transport

if TYPE_CHECKING:
    from ringback.net.driver import StackDriver
    from ringback.server.binding import Binding
    from ringback.server.location import Location
    from ringback.sip.flow import Flow

#: How long a browser may take to come back, in seconds.
MOMENT = 10.0

BROWSERS = (Transport.WS, Transport.WSS)


class ClosedBrowsers:
    """Forgets the bindings of `location` whose WebSocket has ended."""

    __slots__ = ("_by_connection", "_driver", "_location", "_timers")

    def __init__(self, location: Location) -> None:
        self._location = location
        self._driver: StackDriver | None = None
        #: Handles of the bindings that were made over each WebSocket.
        self._by_connection: dict[int, set[bytes]] = {}
        self._timers: set[asyncio.TimerHandle] = set()
        location.on_bound.append(self._bound)

    def start(self, driver: StackDriver) -> None:
        """Hear of connections that end."""
        self._driver = driver
        driver.on_flow_lost.append(self._lost)

    def close(self) -> None:
        """Every connection ends now, and the browsers will come back: forget nobody."""
        self._driver = None
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    def _bound(self, binding: Binding) -> None:
        flow = binding.flow
        if flow is not None and flow.transport in BROWSERS and flow.connection:
            self._by_connection.setdefault(flow.connection, set()).add(binding.handle)

    def _lost(self, flow: Flow) -> None:
        handles = self._by_connection.pop(flow.connection, None) if flow.connection else None
        if handles is None or self._driver is None:
            return
        loop = asyncio.get_running_loop()
        timer = loop.call_later(MOMENT, self._forget, handles, flow.connection)
        self._timers = {each for each in self._timers if each.when() > loop.time()}
        self._timers.add(timer)

    def _forget(self, handles: set[bytes], connection: int) -> None:
        """Those that nobody has made anew over another connection."""
        if self._driver is None:
            return
        now = self._driver.now
        for handle in handles:
            binding = self._location.find(handle, now=now)
            if binding is not None and binding.flow is not None and binding.flow.connection == connection:
                self._location.commit(binding.user, remove=(binding.key,), now=now)
