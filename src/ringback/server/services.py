# SPDX-License-Identifier: Apache-2.0
"""Which services has a server, and what does each of them need? All that requests walk through is made here.

`app.py` gives them sockets, a clock and an end.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from ringback.server import policies
from ringback.server.admission import Admission
from ringback.server.applications import ApplicationCalls
from ringback.server.authentication import Authentication
from ringback.server.b2bua.bridge import SUPPORTED, Bridge
from ringback.server.backoff import FailureTable
from ringback.server.call_records.book import CallBook
from ringback.server.closed_browsers import ClosedBrowsers
from ringback.server.decisions import Decisions
from ringback.server.flow_token import FlowTokens
from ringback.server.forwarding import Forwarder
from ringback.server.keep_alive import KeepAlive
from ringback.server.locality import Locality
from ringback.server.location import Location
from ringback.server.loop_detection import LoopDetector
from ringback.server.mid_dialog import MidDialog
from ringback.server.overload.gate import OverloadGate
from ringback.server.pipeline import Pipeline
from ringback.server.proxy import Proxy
from ringback.server.record_route import OwnRoutes
from ringback.server.redirect import Redirect
from ringback.server.registrar import Registrar
from ringback.server.registration_events import RegistrationEvents
from ringback.server.routing import Destination
from ringback.server.subscribers import security_of
from ringback.server.target_set import TargetSet
from ringback.sip.dialog.session_table import SessionTable
from ringback.sip.digest_server import DigestServer
from ringback.sip.identifiers import Identifiers
from ringback.sip.stack import SipStack
from ringback.version import VERSION

if TYPE_CHECKING:
    from ringback.media.plane import MediaPlane
    from ringback.server.applications import Applications
    from ringback.server.binding import Binding
    from ringback.server.bulletin import Bulletin
    from ringback.server.cluster.membership import Membership
    from ringback.server.config import Settings
    from ringback.server.flow_token import Restore
    from ringback.server.identity import Identity
    from ringback.server.routing import DialPlan
    from ringback.server.storage import Store
    from ringback.server.subscribers import Subscribers


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a server is put into. `location` is another one's registrations; None: it has its own."""

    settings: Settings
    identity: Identity
    subscribers: Subscribers
    store: Store
    applications: Applications
    dial_plan: DialPlan
    bulletin: Bulletin
    random_bytes: Callable[[int], bytes] = field(repr=False)
    wall_clock: Callable[[], float] = time.time
    membership: Membership | None = None
    plane: MediaPlane | None = None
    location: Location | None = None


class Services:
    """All of them. `restore` gives a stored flow the socket it has now, `now` is the driver's clock."""

    def __init__(self, around: Surroundings, *, restore: Restore, now: Callable[[], float]) -> None:
        settings, identity = around.settings, around.identity
        self.around = around
        #: Those in force.
        self.settings = settings
        self.stack = _stack(around)
        self.decisions = Decisions(clock=now, wall_clock=around.wall_clock)
        self.book = self._make_book()
        self.sessions = SessionTable(self.stack)
        self.bridged = SessionTable(self.stack, supported=SUPPORTED)
        self.locality = Locality((identity.domain,), (*identity.aliases, *identity.advertised))
        self.location = around.location if around.location is not None else self._make_location(restore)
        self.keep_alive = self._make_keep_alive()
        self.browsers = ClosedBrowsers(self.location)
        tokens = FlowTokens(identity.secret, restore=restore)
        self.loops = LoopDetector(identity.secret)
        self.admission = self._make_admission(tokens)
        self.authentication = self._make_authentication()
        self.registrar = self._make_registrar()
        self.destination = Destination(around.dial_plan, self.locality)
        self.calls = self._make_application_calls()
        self.redirect = Redirect(self.location, is_enabled=settings.proxy.redirect_instead_of_proxy)
        self.forwarder = Forwarder(tokens, self.location, policies.forwarding_policy(settings, identity))
        self.target_set = TargetSet(self.location, self.locality, around.dial_plan)
        self.bridge = self._make_bridge()
        self.proxy = self._make_proxy()
        self.mid_dialog = MidDialog(self.forwarder, self.proxy, location=self.location, book=self.book)
        self.pipeline = self._make_pipeline()
        self.gate = self._make_gate()

    def reload(self, settings: Settings) -> None:
        """Policies change between two requests."""
        if settings.authentication != self.settings.authentication:
            self.authentication.digest = self._digest(settings)
        self.settings = settings
        self.admission.policy = policies.admission_policy(settings)
        self.authentication.policy = policies.authentication_policy(settings)
        self.registrar.policy = policies.registrar_policy(settings)
        self.keep_alive.change(settings.nat.keepalive)
        self.redirect.is_enabled = settings.proxy.redirect_instead_of_proxy
        self.forwarder.policy = policies.forwarding_policy(settings, self.around.identity)
        self.bridge.policy = policies.bridge_policy(settings, has_plane=self.around.plane is not None)
        self.bridge.forking = self.proxy.policy = policies.forking_policy(settings)
        self.proxy.recurses = settings.proxy.recurse_on_redirect
        self.gate.change(policies.overload_policy(settings))

    # --- one after the other

    def _make_book(self) -> CallBook:
        return CallBook(
            self.around.bulletin,
            subscribers=self.around.subscribers,
            make_id=self.stack.identifiers.session_id,
            decisions_of=self.decisions.of,
            wall_clock=self.around.wall_clock,
        )

    def _make_location(self, restore: Restore) -> Location:
        """Of several workers, which all know each phone, one says that it came or went."""
        location = Location(self.around.store, wall_clock=self.around.wall_clock, restore=restore)
        location.watch = RegistrationEvents(
            self.around.bulletin, now=time.monotonic, is_ours=self._looks_after
        )
        return location

    def _make_keep_alive(self) -> KeepAlive:
        """Of several workers, one looks after each phone."""
        return KeepAlive(
            self.location,
            domain=self.around.identity.domain,
            interval=self.settings.nat.keepalive,
            is_ours=self._looks_after,
        )

    def _make_admission(self, tokens: FlowTokens) -> Admission:
        routes = OwnRoutes(self.locality, tokens)
        return Admission(self.locality, routes, self.loops, policies.admission_policy(self.settings))

    def _make_authentication(self) -> Authentication:
        return Authentication(
            self._digest(self.settings),
            policies.authentication_policy(self.settings),
            subscribers=self.around.subscribers,
            locality=self.locality,
            location=self.location,
            failures=FailureTable(),
        )

    def _make_registrar(self) -> Registrar:
        policy = policies.registrar_policy(self.settings)
        return Registrar(self.location, self.locality, policy, wall_clock=self.around.wall_clock)

    def _make_application_calls(self) -> ApplicationCalls:
        def limit() -> int:
            return self.settings.media.max_calls

        return ApplicationCalls(self.around.applications, self.sessions, self.book, limit=limit)

    def _make_bridge(self) -> Bridge:
        around = self.around
        return Bridge(
            self.bridged,
            policies.bridge_policy(self.settings, has_plane=around.plane is not None),
            policies.forking_policy(self.settings),
            target_set=self.target_set,
            location=self.location,
            loops=self.loops,
            domain=around.identity.domain,
            realm=around.identity.realm,
            applications=self.calls,
            is_elsewhere=self._is_elsewhere,
            plane=around.plane,
            decisions=self.decisions,
            book=self.book,
            security_of=partial(security_of, around.subscribers),
        )

    def _make_proxy(self) -> Proxy:
        return Proxy(
            self.forwarder,
            policies.forking_policy(self.settings),
            target_set=self.target_set,
            recurses=self.settings.proxy.recurse_on_redirect,
            book=self.book,
        )

    def _make_pipeline(self) -> Pipeline:
        return Pipeline(
            (
                self.admission,
                self.mid_dialog,
                self.authentication,
                self.registrar,
                self.destination,
                self.calls,
                self.redirect,
                self.bridge,
                self.proxy,
            ),
            self.decisions,
            self.book,
        )

    def _make_gate(self) -> OverloadGate:
        policy = policies.overload_policy(self.settings)
        secret = self.around.random_bytes(16)
        return OverloadGate(policy, secret=secret, wall_clock=self.around.wall_clock)

    def _digest(self, settings: Settings) -> DigestServer:
        """Each has a secret of its own: which nonce counts were used is forgotten at a restart and a
        reload, so older nonces must be stale afterwards.
        """
        identity, fresh = self.around.identity, self.around.random_bytes(16)
        return DigestServer(
            hmac.digest(identity.secret, b"nonces" + fresh, "sha256"),
            realm=identity.realm,
            algorithms=settings.authentication.algorithms,
            nonce_lifetime=settings.authentication.nonce_lifetime,
        )

    # --- among several workers

    def _looks_after(self, binding: Binding) -> bool:
        membership = self.around.membership
        return membership is None or membership.looks_after(binding)

    def _is_elsewhere(self, number: str) -> bool:
        membership = self.around.membership
        return membership is not None and membership.neighbours.is_elsewhere(number)


def _stack(around: Surroundings) -> SipStack:
    return SipStack(
        _identifiers(around.random_bytes, around.membership),
        keep_requests=False,
        user_agent=f"Ringback/{VERSION}",
        server_transactions=around.settings.limits.max_transactions,
    )


def _identifiers(random_bytes: Callable[[int], bytes], membership: Membership | None) -> Identifiers:
    """One of several workers is known by its words."""
    if membership is None:
        return Identifiers(random_bytes)
    return Identifiers(random_bytes, worker=membership.number, secret=membership.secret)
