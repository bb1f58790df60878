# SPDX-License-Identifier: Apache-2.0
"""How do phones behind NAT stay reachable over UDP? They are asked for a sign of life: RFC 4787 section 4.3.

A NAT forgets a UDP mapping that is quiet, many after thirty seconds, while a phone registers once an hour.
So each binding that was made through a NAT gets an OPTIONS now and then. Packets from us alone would not do
for every NAT: all that RFC 4787 promises (REQ-6) is that packets from inside keep a mapping, and the answer
of the phone is one. The answer itself is not waited for: nothing is stored, nothing is repeated.

Bindings wait in a calendar, each for `interval` seconds since it registered or was asked last; so they are
spread like the registrations are, and a crowd that came at once is asked at a limited rate. At the start they
are entered a few hundred at a time, so that nobody waits for a hundred thousand.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

from ringback.server.calendar import Calendar
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

#: Users looked at in one go when it begins: 1 ms.
SLICE = 100


class KeepAlive:
    """Asks the phones of `location` that are behind NAT. `interval` 0: none. Of several processes each asks
    those that `is_ours` says.
    """

    __slots__ = (
        "_beginning",
        "_domain",
        "_driver",
        "_due",
        "_handles",
        "_interval",
        "_is_ours",
        "_location",
        "_timer",
    )

    def __init__(
        self,
        location: Location,
        *,
        domain: str,
        interval: float,
        is_ours: Callable[[Binding], bool] = lambda _: True,
    ) -> None:
        self._location = location
        self._domain = domain
        self._interval = interval
        self._is_ours = is_ours
        self._driver: StackDriver | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._beginning: asyncio.TimerHandle | None = None
        self._due: Calendar[bytes] = Calendar()
        self._handles: set[bytes] = set()  # those in the calendar
        location.on_bound.append(self._add)

    def __len__(self) -> int:
        return len(self._handles)

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
        self._rest()

    def _begin(self, driver: StackDriver) -> None:
        self._rest()
        if self._interval:
            step = self._interval / max(1, len(self._location))
            self._look(driver, iter(self._location.users()), step, driver.now)

    def _look(self, driver: StackDriver, users: Iterator[str], step: float, due: float) -> None:
        """Enter the bindings of some users, then those of the next."""
        self._beginning = None
        some = list(islice(users, SLICE))
        for user in some:
            for binding in self._location.bindings(user, now=driver.now):
                due += step
                self._enter(driver, binding, due)
        if len(some) == SLICE:
            loop = asyncio.get_running_loop()
            self._beginning = loop.call_later(PAUSE, self._look, driver, users, step, due)

    def _add(self, binding: Binding) -> None:
        """A phone registered. One that is known keeps its place, whatever its address is now."""
        if self._driver is not None and self._interval and binding.handle not in self._handles:
            self._enter(self._driver, binding, self._driver.now + self._interval)

    def _enter(self, driver: StackDriver, binding: Binding, due: float) -> None:
        if binding.handle not in self._handles and _needs_it(binding) and self._is_ours(binding):
            self._handles.add(binding.handle)
            self._due.enter(binding.handle, due)
            self._arm(driver, due)

    def _arm(self, driver: StackDriver, due: float) -> None:
        if self._timer is not None:
            if self._timer.when() <= due:
                return
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(due, self._wake, driver)

    def _rest(self) -> None:
        for timer in (self._timer, self._beginning):
            if timer is not None:
                timer.cancel()
        self._timer = self._beginning = None
        self._due.clear()
        self._handles.clear()

    def _wake(self, driver: StackDriver) -> None:
        self._timer = None
        now = driver.now
        for handle, second in list(islice(self._due.due(now), BURST)):
            self._due.leave(handle, second)
            binding = self._location.find(handle, now=now)
            if binding is None or not _needs_it(binding):
                self._handles.discard(handle)
                continue
            self._due.enter(handle, now + self._interval)
            self._ask(driver, binding)
        first = self._due.first()
        if first is not None:
            self._arm(driver, max(first, now + PAUSE))

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
    """Connections are kept alive by their own pings (RFC 5626 4.4.1).

    Asked for each REGISTER: a Contact that is the address it came from is known by its text, 0.5 us instead
    of 9.
    """
    flow = binding.flow
    if flow is None or flow.transport is not Transport.UDP:
        return False
    text, (host, port) = binding.contact_text, flow.remote
    if text[0] == "<" and f"@{host}:{port}>" in text:
        return False
    return is_behind_nat(binding.contact.uri, flow)
