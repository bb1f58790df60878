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
from dataclasses import replace
from typing import TYPE_CHECKING

from ringback.net.dns_client import SystemDns
from ringback.net.driver import StackDriver
from ringback.net.limits import TransportLimits
from ringback.net.resolver import Resolver
from ringback.server.admission import Admission, AdmissionPolicy
from ringback.server.applications import ApplicationCalls, Applications, NoApplications
from ringback.server.authentication import Authentication, AuthenticationPolicy
from ringback.server.backoff import FailureTable
from ringback.server.flow_token import FlowTokens
from ringback.server.forking import ForkingPolicy
from ringback.server.forwarding import Forwarder, ForwardingPolicy
from ringback.server.listening import Listening
from ringback.server.locality import Locality
from ringback.server.location import Location
from ringback.server.loop_detection import LoopDetector
from ringback.server.pipeline import Pipeline
from ringback.server.proxy import Proxy
from ringback.server.record_route import OwnRoutes
from ringback.server.redirect import Redirect
from ringback.server.registrar import Registrar
from ringback.server.registration import RegistrarPolicy
from ringback.server.routing import Destination, DialPlan, UsersByNumber
from ringback.sip.dialog.session_table import SessionTable
from ringback.sip.digest_server import DigestServer
from ringback.sip.flow import Transport
from ringback.sip.identifiers import Identifiers
from ringback.sip.stack import SipStack
from ringback.version import VERSION

if TYPE_CHECKING:
    from ringback.net.dns import DnsClient
    from ringback.net.endpoint import Endpoint
    from ringback.net.network import Network
    from ringback.server.config import Settings
    from ringback.server.identity import Identity
    from ringback.server.storage import BindingRecord, Store
    from ringback.server.subscribers import Subscribers
    from ringback.sip.flow import Flow

#: How often expired registrations are swept out, while there are any.
SWEEP_INTERVAL = 60.0


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
    ) -> None:
        self._settings = settings
        self._identity = identity
        self._network = network
        self._dns = dns
        self._sweep: asyncio.TimerHandle | None = None
        self._generation = 0
        self.stack = SipStack(
            Identifiers(random_bytes),
            keep_requests=False,
            user_agent=f"Ringback/{VERSION}",
            server_transactions=settings.limits.max_transactions,
        )
        self.sessions = SessionTable(self.stack)
        self.locality = Locality((identity.domain,), (*identity.aliases, *identity.advertised))
        self.location = Location(store, wall_clock=wall_clock, restore=self._restore)
        tokens = FlowTokens(identity.secret, restore=self._restore)
        loops = LoopDetector(identity.secret)
        dial_plan = dial_plan or UsersByNumber(subscribers)
        self._admission = Admission(
            self.locality, OwnRoutes(self.locality, tokens), loops, _admission_policy(settings)
        )
        self._authentication = Authentication(
            self._digest(settings),
            _authentication_policy(settings),
            subscribers=subscribers,
            locality=self.locality,
            location=self.location,
            failures=FailureTable(),
        )
        self._registrar = Registrar(
            self.location, self.locality, _registrar_policy(settings), wall_clock=wall_clock
        )
        self._redirect = Redirect(self.location, is_enabled=settings.proxy.redirect_instead_of_proxy)
        self._calls = ApplicationCalls(
            applications or NoApplications(), self.sessions, limit=lambda: self._settings.media.max_calls
        )
        self._forwarder = Forwarder(tokens, self.location, _forwarding_policy(settings, identity))
        self._proxy = Proxy(
            self._forwarder,
            self.location,
            self.locality,
            dial_plan,
            _forking_policy(settings),
            recurses=settings.proxy.recurse_on_redirect,
        )
        self.pipeline = Pipeline(
            [
                self._admission,
                self._authentication,
                self._registrar,
                Destination(dial_plan, self.locality),
                self._calls,
                self._redirect,
                self._proxy,
            ]
        )

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
            limits=_transport_limits(self._settings),
            client_tls=self._identity.client_tls,
        )
        try:
            await Listening(self.driver, self._settings, self._identity).open()
        except BaseException:
            await self.driver.close()
            raise
        for endpoint in self.endpoints:
            self.locality.add_endpoint(endpoint)
        self.location.load(now=self.driver.now)
        self._arm_sweep()

    async def close(self) -> None:
        """Hang up what applications have answered, then close every socket. The store keeps registrations."""
        if self._sweep is not None:
            self._sweep.cancel()
        await self._calls.close()
        await self.pipeline.close()
        await self.driver.close()

    def reload(self, settings: Settings) -> None:
        """Policies change between two requests. Ports and addresses stay until a restart."""
        if settings.authentication != self._settings.authentication:
            self._generation += 1
            self._authentication.digest = self._digest(settings)
        self._settings = settings
        self._admission.policy = _admission_policy(settings)
        self._authentication.policy = _authentication_policy(settings)
        self._registrar.policy = _registrar_policy(settings)
        self._redirect.is_enabled = settings.proxy.redirect_instead_of_proxy
        self._forwarder.policy = _forwarding_policy(settings, self._identity)
        self._proxy.policy = _forking_policy(settings)
        self._proxy.recurses = settings.proxy.recurse_on_redirect

    def registrations(self) -> list[BindingRecord]:
        """What is registered now."""
        return self.location.records(now=self.driver.now)

    def forget_user(self, number: str) -> None:
        """A user was removed, or has a new password: the phones must register anew."""
        self.location.forget_user(number)

    def status(self) -> dict[str, object]:
        """Counters, for people and tests."""
        clients, servers, dialogs = self.stack.pending
        return {
            "registrations": len(self.location),
            "forwarding": self._proxy.pending,
            "applications": self._calls.running,
            "waiting": self.pipeline.waiting,
            "client_transactions": clients,
            "server_transactions": servers,
            "dialogs": dialogs,
        }

    def _digest(self, settings: Settings) -> DigestServer:
        """Each generation has its own secret: nonces whose use was recorded elsewhere become stale."""
        return DigestServer(
            hmac.digest(self._identity.secret, b"nonces %d" % self._generation, "sha256"),
            realm=self._identity.realm,
            algorithms=settings.authentication.algorithms,
            nonce_lifetime=settings.authentication.nonce_lifetime,
        )

    def _restore(self, flow: Flow) -> Flow:
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

    def _arm_sweep(self) -> None:
        self._sweep = asyncio.get_running_loop().call_later(SWEEP_INTERVAL, self._expire)

    def _expire(self) -> None:
        self.location.expire(now=self.driver.now)
        self._arm_sweep()


def _admission_policy(settings: Settings) -> AdmissionPolicy:
    return AdmissionPolicy(max_breadth=settings.proxy.max_breadth)


def _authentication_policy(settings: Settings) -> AuthenticationPolicy:
    return AuthenticationPolicy(
        strangers_may_call=settings.proxy.strangers_may_call,
        users_may_call_out=settings.proxy.users_may_call_out,
    )


def _registrar_policy(settings: Settings) -> RegistrarPolicy:
    registrar = settings.registrar
    return RegistrarPolicy(
        minimum_expires=registrar.minimum_expires,
        default_expires=registrar.default_expires,
        maximum_expires=registrar.maximum_expires,
        max_contacts=registrar.max_contacts,
    )


def _forwarding_policy(settings: Settings, identity: Identity) -> ForwardingPolicy:
    return ForwardingPolicy(domain=identity.domain, record_route=settings.proxy.record_route)


def _forking_policy(settings: Settings) -> ForkingPolicy:
    proxy = settings.proxy
    return ForkingPolicy(
        timer_c=proxy.timer_c,
        ring_time=proxy.ring_time,
        max_branches=proxy.max_branches,
        max_breadth=proxy.max_breadth,
    )


def _transport_limits(settings: Settings) -> TransportLimits:
    limits = settings.limits
    return TransportLimits(
        handshake=limits.handshake_timeout,
        first_message=limits.first_message_timeout,
        progress=limits.message_timeout,
        connections_per_host=limits.max_connections_per_address,
        connections=limits.max_connections,
        write_queue=limits.write_queue,
        message_size=limits.max_message,
        keep_alive=settings.sip.tcp_keep_alive,
    )
