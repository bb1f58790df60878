# SPDX-License-Identifier: Apache-2.0
"""How do settings become a running server? The composition root: everything is made here and handed on.

server = Server(settings, identity, subscribers=directory, store=store, network=RealNetwork())
await server.start()
...
await server.close()
"""

from __future__ import annotations

import asyncio
import hmac
import os
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from ringback.net.dns_client import SystemDns
from ringback.net.driver import StackDriver
from ringback.net.resolver import Resolver
from ringback.server import policies
from ringback.server.admission import Admission
from ringback.server.applications import ApplicationCalls, Applications, NoApplications
from ringback.server.authentication import Authentication
from ringback.server.b2bua.bridge import SUPPORTED, Bridge
from ringback.server.b2bua.record_keeping import CallSound
from ringback.server.b2bua.records import described_call
from ringback.server.backoff import FailureTable
from ringback.server.bulletin import Bulletin
from ringback.server.call_records.book import CallBook
from ringback.server.decisions import Decisions
from ringback.server.flow_token import FlowTokens
from ringback.server.forwarding import Forwarder
from ringback.server.keep_alive import KeepAlive
from ringback.server.listening import Listening
from ringback.server.locality import Locality
from ringback.server.location import Location
from ringback.server.loop_detection import LoopDetector
from ringback.server.overload.gate import OverloadGate
from ringback.server.pipeline import Pipeline
from ringback.server.proxy import Proxy
from ringback.server.record_route import OwnRoutes
from ringback.server.redirect import Redirect
from ringback.server.registrar import Registrar
from ringback.server.registration_events import RegistrationEvents
from ringback.server.routing import Destination, DialPlan, UsersByNumber
from ringback.server.subscribers import security_of
from ringback.server.target_set import TargetSet
from ringback.sip.dialog.session_table import SessionTable
from ringback.sip.digest_server import DigestServer
from ringback.sip.flow import Transport
from ringback.sip.identifiers import Identifiers
from ringback.sip.stack import SipStack
from ringback.version import VERSION

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
        self._settings = settings
        self._identity = identity
        self._network = network
        self._dns = dns
        self._membership = membership
        self._plane = plane
        self._web = web
        self._subscribers = subscribers
        self._applications = applications or NoApplications()
        self._dial_plan = dial_plan or UsersByNumber(subscribers)
        self._wall_clock = wall_clock
        self.bulletin = bulletin if bulletin is not None else Bulletin(wall_clock=wall_clock)
        self._sweep: asyncio.TimerHandle | None = None
        self._waking: asyncio.TimerHandle | None = None
        self._random_bytes = random_bytes
        self.stack = _stack(settings, _identifiers(random_bytes, membership))
        self.decisions = Decisions(clock=lambda: self.driver.now, wall_clock=wall_clock)
        self.book = self._make_book()
        self.sessions = SessionTable(self.stack)
        self.bridged = SessionTable(self.stack, supported=SUPPORTED)
        self.locality = Locality((identity.domain,), (*identity.aliases, *identity.advertised))
        self.location = location if location is not None else self._make_location(store)
        self._keep_alive = self._make_keep_alive()
        tokens = FlowTokens(identity.secret, restore=self.restored)
        self._loops = LoopDetector(identity.secret)
        self._admission = self._make_admission(tokens)
        self._authentication = self._make_authentication(subscribers)
        self._registrar = self._make_registrar()
        self._destination = Destination(self._dial_plan, self.locality)
        self._calls = self._make_application_calls()
        self._redirect = Redirect(self.location, is_enabled=settings.proxy.redirect_instead_of_proxy)
        self._forwarder = Forwarder(tokens, self.location, policies.forwarding_policy(settings, identity))
        self._target_set = TargetSet(self.location, self.locality, self._dial_plan)
        self._bridge = self._make_bridge()
        self._proxy = self._make_proxy()
        self.pipeline = self._make_pipeline()
        self._gate = self._make_gate()

    def _make_book(self) -> CallBook:
        return CallBook(
            self.bulletin,
            subscribers=self._subscribers,
            make_id=self.stack.identifiers.session_id,
            decisions_of=self.decisions.of,
            wall_clock=self._wall_clock,
        )

    def _make_application_calls(self) -> ApplicationCalls:
        def limit() -> int:
            return self._settings.media.max_calls

        return ApplicationCalls(self._applications, self.sessions, self.book, limit=limit)

    def _make_registrar(self) -> Registrar:
        policy = policies.registrar_policy(self._settings)
        return Registrar(self.location, self.locality, policy, wall_clock=self._wall_clock)

    def _make_gate(self) -> OverloadGate:
        policy = policies.overload_policy(self._settings)
        return OverloadGate(policy, secret=self._random_bytes(16), wall_clock=self._wall_clock)

    def _make_pipeline(self) -> Pipeline:
        return Pipeline(
            (
                self._admission,
                self._authentication,
                self._registrar,
                self._destination,
                self._calls,
                self._redirect,
                self._bridge,
                self._proxy,
            ),
            self.decisions,
            self.book,
        )

    def _make_location(self, store: Store) -> Location:
        """Of several workers, which all know each phone, one says that it came or went."""
        membership = self._membership
        is_ours = membership.looks_after if membership is not None else lambda _: True
        location = Location(store, wall_clock=self._wall_clock, restore=self.restored)
        location.watch = RegistrationEvents(self.bulletin, now=time.monotonic, is_ours=is_ours)
        return location

    def _make_admission(self, tokens: FlowTokens) -> Admission:
        routes = OwnRoutes(self.locality, tokens)
        return Admission(self.locality, routes, self._loops, policies.admission_policy(self._settings))

    def _make_keep_alive(self) -> KeepAlive:
        """Of several workers, one looks after each phone."""
        membership = self._membership
        return KeepAlive(
            self.location,
            domain=self._identity.domain,
            interval=self._settings.nat.keepalive,
            is_ours=membership.looks_after if membership is not None else lambda _: True,
        )

    def _make_authentication(self, subscribers: Subscribers) -> Authentication:
        return Authentication(
            self._digest(self._settings),
            policies.authentication_policy(self._settings),
            subscribers=subscribers,
            locality=self.locality,
            location=self.location,
            failures=FailureTable(),
        )

    def _make_proxy(self) -> Proxy:
        return Proxy(
            self._forwarder,
            policies.forking_policy(self._settings),
            location=self.location,
            target_set=self._target_set,
            recurses=self._settings.proxy.recurse_on_redirect,
            book=self.book,
        )

    def _make_bridge(self) -> Bridge:
        return Bridge(
            self.bridged,
            policies.bridge_policy(self._settings, has_plane=self._plane is not None),
            policies.forking_policy(self._settings),
            target_set=self._target_set,
            location=self.location,
            loops=self._loops,
            domain=self._identity.domain,
            realm=self._identity.realm,
            applications=self._calls,
            is_elsewhere=self._is_elsewhere,
            plane=self._plane,
            decisions=self.decisions,
            book=self.book,
            security_of=partial(security_of, self._subscribers),
        )

    def _is_elsewhere(self, number: str) -> bool:
        return self._membership is not None and self._membership.neighbours.is_elsewhere(number)

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
        self.pipeline.driver = StackDriver(
            self.stack,
            self._network,
            resolver=Resolver(self._dns or SystemDns()),
            handler=self.pipeline.receive,
            limits=policies.transport_limits(self._settings),
            client_tls=self._identity.client_tls,
            gate=self._gate if self._settings.overload.enabled else None,
            neighbours=self._membership.neighbours if self._membership is not None else None,
        )
        self.driver.transports.pool.web = self._web
        try:
            await Listening(self.driver, self._settings, self._identity).open()
        except BaseException:
            await self.driver.close()
            raise
        for endpoint in self.endpoints:
            self.locality.add_endpoint(endpoint)
        self.location.load(now=self.driver.now)
        self._wake()
        self._arm_sweep(SWEEP_INTERVAL)

    async def close(self) -> None:
        """Hang up what applications have answered, then close every socket. The store keeps registrations."""
        for timer in (self._sweep, self._waking):
            if timer is not None:
                timer.cancel()
        self._keep_alive.close()
        await self._bridge.close()
        await self._calls.close()
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
        if settings.authentication != self._settings.authentication:
            self._authentication.digest = self._digest(settings)
        self._settings = settings
        self._admission.policy = policies.admission_policy(settings)
        self._authentication.policy = policies.authentication_policy(settings)
        self._registrar.policy = policies.registrar_policy(settings)
        self._keep_alive.change(settings.nat.keepalive)
        self._redirect.is_enabled = settings.proxy.redirect_instead_of_proxy
        self._forwarder.policy = policies.forwarding_policy(settings, self._identity)
        self._bridge.policy = policies.bridge_policy(settings, has_plane=self._plane is not None)
        self._bridge.forking = self._proxy.policy = policies.forking_policy(settings)
        self._proxy.recurses = settings.proxy.recurse_on_redirect
        self._gate.change(policies.overload_policy(settings))
        self.driver.gate = self._gate if settings.overload.enabled else None

    def registrations(self) -> list[BindingRecord]:
        """What is registered now."""
        return self.location.records(now=self.driver.now)

    def forget_user(self, number: str, *, device: str | None = None) -> None:
        """A user or a device was removed, or has a new password: the phones must register anew."""
        self.location.forget_user(number, device=device)

    def place_call(self, caller: str, to: str) -> CallRecord:
        """Ring the phones of a user, then call somebody for them. RingbackError when that cannot be."""
        return self._bridge.place(self.driver, caller, to)

    async def look_at_call(self, key: str) -> None:
        """The same as `look_at_calls` for one of them."""
        call = self._bridge.call_of(key)
        if call is not None:
            await CallSound(call).sample()

    @property
    def identity(self) -> Identity:
        """Who the server is."""
        return self._identity

    def tls_failures(self) -> list[dict[str, Any]]:
        """Whose TLS handshakes failed, and why; the latest first."""
        return [each.described() for each in self.driver.transports.pool.gate.tls_failures.all()]

    async def look_at_calls(self) -> None:
        """Ask for the numbers of the sound that comes through here: `status` shows them."""
        await asyncio.gather(*(call.media.look() for call in self._bridge.calls()))

    def status(self) -> dict[str, object]:
        """Counters, for people and tests."""
        clients, servers, dialogs = self.stack.pending
        return {
            "registrations": len(self.location),
            "kept_alive": len(self._keep_alive),
            "forwarding": self._proxy.pending,
            "bridged": self._bridge.running,
            "calls": [described_call(call, now=self.driver.now) for call in self._bridge.calls()],
            "applications": self._calls.running,
            "waiting": self.pipeline.waiting,
            "client_transactions": clients,
            "server_transactions": servers,
            "dialogs": dialogs,
            "messages": asdict(self.stack.statistics),
            "overload": self._gate.status(),
        }

    def _digest(self, settings: Settings) -> DigestServer:
        """Each has a secret of its own: which nonce counts were used is forgotten at a restart and a
        reload, so older nonces must be stale afterwards.
        """
        return DigestServer(
            hmac.digest(self._identity.secret, b"nonces" + self._random_bytes(16), "sha256"),
            realm=self._identity.realm,
            algorithms=settings.authentication.algorithms,
            nonce_lifetime=settings.authentication.nonce_lifetime,
        )

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
            self._keep_alive.start(self.driver)

    def _arm_sweep(self, delay: float) -> None:
        self._sweep = asyncio.get_running_loop().call_later(delay, self._expire)

    def _expire(self) -> None:
        dropped = self.location.expire(now=self.driver.now, limit=SWEEP_SLICE)
        self._arm_sweep(PAUSE if dropped == SWEEP_SLICE else SWEEP_INTERVAL)


def _stack(settings: Settings, identifiers: Identifiers) -> SipStack:
    return SipStack(
        identifiers,
        keep_requests=False,
        user_agent=f"Ringback/{VERSION}",
        server_transactions=settings.limits.max_transactions,
    )


def _identifiers(random_bytes: Callable[[int], bytes], membership: Membership | None) -> Identifiers:
    """One of several workers is known by its words."""
    if membership is None:
        return Identifiers(random_bytes)
    return Identifiers(random_bytes, worker=membership.number, secret=membership.secret)
