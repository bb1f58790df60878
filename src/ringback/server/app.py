# SPDX-License-Identifier: Apache-2.0
"""How do settings become a running server? The composition root: everything is made here and handed on.

server = Server(settings, identity, subscribers=directory, store=store, network=RealNetwork())
await server.start()
...
await server.close()
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from ringback.net.dns_client import SystemDns
from ringback.net.driver import StackDriver
from ringback.net.resolver import Resolver
from ringback.server import policies
from ringback.server.applications import Applications, NoApplications
from ringback.server.b2bua.record_keeping import CallSound
from ringback.server.b2bua.records import described_call
from ringback.server.bulletin import Bulletin
from ringback.server.listening import Listening
from ringback.server.routing import DialPlan, UsersByNumber
from ringback.server.services import Services, Surroundings
from ringback.sip.flow import Transport

if TYPE_CHECKING:
    from pathlib import Path

    from ringback.media.plane import MediaPlane
    from ringback.net.dns import DnsClient
    from ringback.net.endpoint import Endpoint
    from ringback.net.network import Network
    from ringback.server.call_records.record import CallRecord
    from ringback.server.cluster.membership import Membership
    from ringback.server.config import Settings
    from ringback.server.identity import Identity
    from ringback.server.location import Location
    from ringback.server.storage import BindingRecord, Store
    from ringback.server.subscribers import Subscribers
    from ringback.sip.flow import Flow

#: How often expired registrations are swept out, while there are any: so many at once (1 ms), then a pause.
SWEEP_INTERVAL = 60.0
SWEEP_SLICE = 100
#: Stored registrations that are read at once after the start (1 ms).
WAKE_SLICE = 50
PAUSE = 0.005

#: How long a server that closes waits for the callers of its own calls to hear of it: tenths of a second.
PATIENCE_AT_CLOSE = 20


class Server:
    """Registrar, proxy, redirect server and the home of applications, on one stack."""

    def __init__(
        self,
        settings: Settings,
        identity: Identity,
        *,
        subscribers: Subscribers,
        store: Store,
        network: Network,
        applications: Applications | None = None,
        dial_plan: DialPlan | None = None,
        dns: DnsClient | None = None,
        random_bytes: Callable[[int], bytes] = os.urandom,
        wall_clock: Callable[[], float] = time.time,
        membership: Membership | None = None,
        plane: MediaPlane | None = None,
        web: Path | None = None,
        bulletin: Bulletin | None = None,
        location: Location | None = None,
    ) -> None:
        self._network = network
        self._dns = dns
        self._web = web
        self.bulletin = bulletin if bulletin is not None else Bulletin(wall_clock=wall_clock)
        around = Surroundings(
            settings=settings,
            identity=identity,
            subscribers=subscribers,
            store=store,
            applications=applications or NoApplications(),
            dial_plan=dial_plan or UsersByNumber(subscribers),
            bulletin=self.bulletin,
            random_bytes=random_bytes,
            wall_clock=wall_clock,
            membership=membership,
            plane=plane,
            location=location,
        )
        services = self.services = Services(around, restore=self.restored, now=lambda: self.driver.now)
        self.stack, self.pipeline = services.stack, services.pipeline
        self.sessions, self.bridged = services.sessions, services.bridged
        self.locality, self.location = services.locality, services.location
        self.decisions, self.book = services.decisions, services.book
        self._sweep: asyncio.TimerHandle | None = None
        self._waking: asyncio.TimerHandle | None = None

    @property
    def driver(self) -> StackDriver:
        """The driver; there is one from `start` on."""
        assert self.pipeline.driver is not None, "the server is not started"
        return self.pipeline.driver

    @property
    def endpoints(self) -> list[Endpoint]:
        """Where the server listens."""
        return self.driver.endpoints

    async def start(self) -> None:
        """Remember the registrations and open the sockets. Raises `PortInUse` or another `OSError`."""
        membership = self.services.around.membership
        self.pipeline.driver = StackDriver(
            self.stack,
            self._network,
            resolver=Resolver(self._dns or SystemDns()),
            handler=self.pipeline.receive,
            limits=policies.transport_limits(self.services.settings),
            client_tls=self.identity.client_tls,
            gate=self.services.gate if self.services.settings.overload.enabled else None,
            neighbours=membership.neighbours if membership is not None else None,
        )
        self.driver.transports.pool.web = self._web
        try:
            await Listening(self.driver, self.services.settings, self.identity).open()
        except BaseException:
            await self.driver.close()
            raise
        for endpoint in self.endpoints:
            self.locality.add_endpoint(endpoint)
        self.services.browsers.start(self.driver)
        self.location.load(now=self.driver.now)
        self._wake()
        self._arm_sweep(SWEEP_INTERVAL)

    async def close(self) -> None:
        """Hang up what applications have answered, then close every socket. The store keeps registrations."""
        for timer in (self._sweep, self._waking):
            if timer is not None:
                timer.cancel()
        self.services.keep_alive.close()
        self.services.browsers.close()
        await self.services.bridge.close()
        await self.services.calls.close()
        self.book.close()
        await self._hung_up()
        await self.pipeline.close()
        await self.driver.close()

    async def _hung_up(self) -> None:
        """Wait until the callers have answered our BYEs, but not for those that are gone."""
        for _ in range(PATIENCE_AT_CLOSE):
            if not len(self.sessions) and not len(self.bridged):
                return
            await asyncio.sleep(0.1)

    def reload(self, settings: Settings) -> None:
        """Policies change between two requests. Ports and addresses stay until a restart."""
        self.services.reload(settings)
        self.driver.gate = self.services.gate if settings.overload.enabled else None

    def registrations(self) -> list[BindingRecord]:
        """What is registered now."""
        return self.location.records(now=self.driver.now)

    def forget_user(self, number: str, *, device: str | None = None) -> None:
        """A user or a device was removed, or has a new password: the phones must register anew."""
        self.location.forget_user(number, device=device)

    def place_call(self, caller: str, to: str) -> CallRecord:
        """Ring the phones of a user, then call somebody for them. RingbackError when that cannot be."""
        return self.services.bridge.place(self.driver, caller, to)

    async def look_at_call(self, key: str) -> None:
        """The same as `look_at_calls` for one of them."""
        call = self.services.bridge.call_of(key)
        if call is not None:
            await CallSound(call).sample()

    @property
    def identity(self) -> Identity:
        """Who the server is."""
        return self.services.around.identity

    def tls_failures(self) -> list[dict[str, Any]]:
        """Whose TLS handshakes failed, and why; the latest first."""
        return [each.described() for each in self.driver.transports.pool.gate.tls_failures.all()]

    async def look_at_calls(self) -> None:
        """Ask for the numbers of the sound that comes through here: `status` shows them."""
        await asyncio.gather(*(call.media.look() for call in self.services.bridge.calls()))

    def status(self) -> dict[str, object]:
        """Counters, for people and tests."""
        clients, servers, dialogs = self.stack.pending
        return {
            "registrations": len(self.location),
            "kept_alive": len(self.services.keep_alive),
            "forwarding": self.services.proxy.pending + self.services.mid_dialog.pending,
            "bridged": self.services.bridge.running,
            "calls": [described_call(call, now=self.driver.now) for call in self.services.bridge.calls()],
            "applications": self.services.calls.running,
            "waiting": self.pipeline.waiting,
            "client_transactions": clients,
            "server_transactions": servers,
            "dialogs": dialogs,
            "messages": asdict(self.stack.statistics),
            "overload": self.services.gate.status(),
        }

    def restored(self, flow: Flow) -> Flow:
        """A flow that was written down, with the socket and the name we have for it now."""
        driver = self.driver
        for endpoint in driver.endpoints:
            if endpoint.transport is flow.transport and endpoint.local == flow.local:
                return replace(flow, sent_by=endpoint.sent_by)
        best = driver.endpoint_for(flow.transport, flow.remote.host)
        if best is None:
            return flow
        if flow.transport is Transport.UDP:
            return replace(flow, local=best.local, sent_by=best.sent_by)
        return replace(flow, sent_by=best.sent_by)

    def _wake(self) -> None:
        """Read the stored registrations, a few at a time; then those behind NAT are known."""
        loop = asyncio.get_running_loop()
        if self.location.wake(WAKE_SLICE):
            self._waking = loop.call_later(PAUSE, self._wake)
        else:
            self.services.keep_alive.start(self.driver)

    def _arm_sweep(self, delay: float) -> None:
        self._sweep = asyncio.get_running_loop().call_later(delay, self._expire)

    def _expire(self) -> None:
        dropped = self.location.expire(now=self.driver.now, limit=SWEEP_SLICE)
        self._arm_sweep(PAUSE if dropped == SWEEP_SLICE else SWEEP_INTERVAL)
