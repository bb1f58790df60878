# SPDX-License-Identifier: Apache-2.0
"""How do phones behind NAT stay reachable over UDP? They are asked for a sign of life: RFC 4787 section 4.3.

A NAT forgets a UDP mapping that is quiet, many after thirty seconds, while a phone registers once an hour.
So each binding that was made through a NAT gets an OPTIONS now and then. Packets from us alone would not do
for every NAT: all that RFC 4787 promises (REQ-6) is that packets from inside keep a mapping, and the answer
of the phone is one. The answer itself is not waited for: nothing is stored, nothing is repeated.

Bindings wait in a queue, each for `interval` seconds since it registered or was asked last; so they are
spread like the registrations are, and a crowd that came at once is asked at a limited rate.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ringback.server.nat import is_behind_nat
from ringback.sip.flow import Transport
from ringback.sip.message.message import Request
from ringback.sip.message.uri import NameAddr, SipUri

if TYPE_CHECKING:
    from ringback.net.driver import StackDriver
    from ringback.server.binding import Binding
    from ringback.server.location import Location

#: Bindings asked in one go, and the pause after it: a thousand a second at most.
BURST = 20
PAUSE = 0.02


class KeepAlive:
    """Asks the phones of `location` that are behind NAT. `interval` 0: none."""

    __slots__ = ("_domain", "_driver", "_due", "_interval", "_location", "_timer")

    def __init__(self, location: Location, *, domain: str, interval: float) -> None:
        self._location = location
        self._domain = domain
        self._interval = interval
        self._driver: StackDriver | None = None
        self._timer: asyncio.TimerHandle | None = None
        #: By handle, the first one due first: every new entry is due after all others.
        self._due: dict[bytes, float] = {}
        location.on_bound.append(self._add)

    def __len__(self) -> int:
        return len(self._due)

    def start(self, driver: StackDriver) -> None:
        """Begin with what is registered, spread over one interval."""
        self._driver = driver
        self._begin(driver)

    def change(self, interval: float) -> None:
        """Another interval, from now on."""
        if interval != self._interval:
            self._interval = interval
            if self._driver is not None:
                self._begin(self._driver)

    def close(self) -> None:
        """Ask nobody any more."""
        self._driver = None
        self._due.clear()
        self._rest()

    def _begin(self, driver: StackDriver) -> None:
        self._rest()
        bound = [binding.handle for binding in self._location if _needs_it(binding)] if self._interval else []
        step = self._interval / max(1, len(bound))
        self._due = {handle: driver.now + step * place for place, handle in enumerate(bound, 1)}
        self._arm(driver)

    def _add(self, binding: Binding) -> None:
        """A phone registered. One that is known keeps its place, whatever its address is now."""
        if self._driver is None or not self._interval or binding.handle in self._due:
            return
        if _needs_it(binding):
            self._due[binding.handle] = self._driver.now + self._interval
            self._arm(self._driver)

    def _arm(self, driver: StackDriver, *, pause: float = 0.0) -> None:
        if self._timer is None and self._due:
            at = max(next(iter(self._due.values())), driver.now + pause)
            self._timer = asyncio.get_running_loop().call_at(at, self._wake, driver)

    def _rest(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wake(self, driver: StackDriver) -> None:
        self._timer = None
        now = driver.now
        waiting = [handle for handle, _ in zip(self._due, range(BURST), strict=False)]
        for handle in waiting:
            if self._due[handle] > now:
                break
            del self._due[handle]
            binding = self._location.find(handle, now=now)
            if binding is not None and _needs_it(binding):
                self._due[handle] = now + self._interval
                self._ask(driver, binding)
        self._arm(driver, pause=PAUSE)

    def _ask(self, driver: StackDriver, binding: Binding) -> None:
        """RFC 3261 11: OPTIONS is what every user agent answers and nobody notices."""
        identifiers = driver.stack.identifiers
        request = Request.new(
            "OPTIONS",
            binding.contact.uri,
            from_=NameAddr(SipUri(None, self._domain)).with_parameter("tag", identifiers.tag()),
            to=NameAddr(binding.contact.uri),
            call_id=identifiers.call_id(),
            cseq=1,
        )
        driver.perform(driver.stack.send_stateless, request, flow=binding.flow)


def _needs_it(binding: Binding) -> bool:
    """Connections are kept alive by their own pings (RFC 5626 4.4.1)."""
    flow = binding.flow
    return flow is not None and flow.transport is Transport.UDP and is_behind_nat(binding.contact.uri, flow)
