# SPDX-License-Identifier: Apache-2.0
"""What joins a phone's account, its stack, its sockets and its calls? The user agent of RFC 3261 section 8.

`Phone` is its face. Here requests get their From, To, Route and Contact (8.1.1), credentials are kept for the
server they belong to, and what arrives is passed to calls and `IncomingRequests`.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from ringback.net.driver import StackDriver
from ringback.net.errors import PortInUse
from ringback.net.resolver import Resolver
from ringback.sdp.security import Security
from ringback.sip.dialog.session_table import SUPPORTED as SESSION_EXTENSIONS
from ringback.sip.dialog.session_table import SessionTable
from ringback.sip.digest_client import DigestClient, realms_answered
from ringback.sip.errors import PeerError
from ringback.sip.events import Consumer
from ringback.sip.flow import Address, Transport
from ringback.sip.identifiers import Identifiers
from ringback.sip.message import NameAddr, Request, Response, SipUri
from ringback.sip.stack import SipStack
from ringback.ua.account import Account
from ringback.ua.audio_sessions import ANY_HOSTS, AudioSessions
from ringback.ua.call import Call
from ringback.ua.call_requests import session_request
from ringback.ua.incoming import IncomingRequests
from ringback.ua.phone_host import PhoneHost
from ringback.ua.reachability import Reachability
from ringback.ua.referred import Transfers
from ringback.ua.requests import send_request

if TYPE_CHECKING:
    from ringback.media.ports import PortRange
    from ringback.media.speech import Voice
    from ringback.net.dns import DnsClient
    from ringback.net.endpoint import Endpoint
    from ringback.net.network import Network
    from ringback.sip.dialog.invite_session import InviteSession
    from ringback.sip.transaction.server import ServerTransaction

logger = logging.getLogger("ringback.ua")

Result = TypeVar("Result")

#: How long the goodbyes of open calls may take when the phone closes.
FAREWELL_TIME = 3.0
#: With port 0 UDP gets a free port, and TCP wants the same: how often this is tried.
TRIES = 20


@dataclass(frozen=True, slots=True)
class AgentOptions:
    """Everything about a phone that is not its account."""

    host: str | None = None
    port: int = 0
    advertise: str | None = None
    codecs: Sequence[str] = ("PCMU", "PCMA")
    media_ports: PortRange | None = None
    tls: ssl.SSLContext | None = None
    user_agent: str = "Ringback"
    max_calls: int = 32
    voice: Voice | None = None
    security: Security = Security.PLAIN


class UserAgent:
    """One account's user agent client and server."""

    def __init__(
        self,
        account: Account,
        credentials: DigestClient | None,
        *,
        network: Network,
        dns: DnsClient,
        options: AgentOptions,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self.account = account
        self.credentials = credentials
        self.identifiers = Identifiers(random_bytes)
        self.stack = SipStack(self.identifiers, user_agent=options.user_agent)
        self.sessions = SessionTable(self.stack, supported=(*SESSION_EXTENSIONS, "replaces"))
        self.incoming = IncomingRequests(self, max_calls=options.max_calls)
        self.transfers = Transfers(self)
        self.host = PhoneHost(self, options.voice)
        self.driver = StackDriver(
            self.stack,
            network,
            resolver=Resolver(dns),
            handler=self.incoming.receive_event,
            client_tls=options.tls,
        )
        self.reachability = Reachability(
            self.driver, self.identifiers, user=account.uri.user or "", learns=options.advertise is None
        )
        #: RFC 3608: set by the registration.
        self.service_route: list[NameAddr] = []
        self.audio = AudioSessions(
            network,
            host=options.host,
            advertise=options.advertise,
            codecs=options.codecs,
            ports=options.media_ports,
            random_bytes=random_bytes,
            security=options.security,
        )
        self._options = options
        self._random_bytes = random_bytes
        self._calls: dict[Call, None] = {}

    # --- life ------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Open the sockets we listen on. Connections (TLS, WebSocket) are opened when they are needed."""
        options, transport = self._options, self.account.transport
        hosts = [options.host] if options.host else ANY_HOSTS
        port = options.port
        for number, host in enumerate(hosts):
            is_extra = number > 0  # a machine without IPv6 is no fault
            if transport is None:
                port = await self._listen_to_both(host, port, optional=is_extra)
            elif transport in (Transport.UDP, Transport.TCP):
                found = await self._listen(transport, Address(host, port), optional=is_extra)
                port = port if found is None else found.local.port

    async def hang_up(self) -> None:
        """End every call and see the goodbyes through."""
        await self.incoming.close()
        await self.transfers.close()
        for call in self.calls:
            await call.hangup()
        with suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_TIME):
                while len(self.sessions):  # noqa: ASYNC110 (until the responses to our BYEs have come)
                    await asyncio.sleep(0.02)

    async def close(self) -> None:
        """Close the sockets."""
        await self.audio.close()
        await self.driver.close()

    async def _listen_to_both(self, host: str, port: int, *, optional: bool) -> int:
        """RFC 3261 18.1.1: UDP and TCP share the port, also when it is the system that chooses. Where there
        is none for TCP, UDP alone has to do.
        """
        for tries_left in reversed(range(1 if port else TRIES)):
            udp = await self._listen(Transport.UDP, Address(host, port), optional=optional)
            if udp is None:
                return port
            tcp = await self._listen(Transport.TCP, Address(host, udp.local.port), optional=True)
            if tcp is not None or not tries_left:
                return udp.local.port
            udp.close()
        return port

    async def _listen(
        self, transport: Transport, local: Address, *, optional: bool = False
    ) -> Endpoint | None:
        advertise = Address(self._options.advertise, local.port) if self._options.advertise else None
        try:
            endpoint = await self.driver.listen(transport, local, advertise=advertise)
        except (OSError, PortInUse):
            if optional:
                return None
            raise
        return endpoint

    # --- time and chance -------------------------------------------------------------------------------

    @property
    def now(self) -> float:
        """Monotonic seconds."""
        return self.driver.now

    def chance(self) -> float:
        """A number from 0 to 1 that nobody can foretell."""
        return int.from_bytes(self._random_bytes(4), "big") / 0xFFFFFFFF

    # --- requests --------------------------------------------------------------------------------------

    def make_request(
        self,
        method: str,
        target: SipUri,
        *,
        to: SipUri | None = None,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
        content_type: str | None = None,
        call_id: str | None = None,
        cseq: int = 1,
    ) -> Request:
        """A request outside of any dialog (8.1.1), on the way our server wants (RFC 3608 6.1)."""
        me = self.account.address.with_parameter("tag", self.identifiers.tag())
        if to is None:
            to = self.account.uri if method == "REGISTER" else target.without_parameters("transport")
        routes = [("Route", str(route)) for route in self._route_set(method, target)]
        return Request.new(
            method,
            str(target),
            from_=me,
            to=NameAddr(to),
            call_id=call_id or self.identifiers.call_id(),
            cseq=cseq,
            headers=[*routes, *headers],
            body=body,
            content_type=content_type,
        )

    async def send(self, request: Request) -> Response:
        """The final response, after challenges and redirections; raises `Unreachable`."""
        sent, response = await send_request(self.driver, request, credentials_for=self.credentials_for)
        if sent.method == "REGISTER" and response.status < 300:
            self._settle_realm(sent)
        return response

    def _settle_realm(self, register: Request) -> None:
        """Our registrar showed its realm: from now on no other one gets a digest of ours."""
        realms = realms_answered(register)
        if self.credentials is not None and self.credentials.realm is None and len(realms) == 1:
            (self.credentials.realm,) = realms

    def credentials_for(self, request: Request) -> DigestClient | None:
        """Our secret proves who we are to our own server, and is not shown to anybody else who asks."""
        uri = request.uri
        is_home = isinstance(uri, SipUri) and self.account.is_home(uri)
        return self.credentials if is_home or self.account.route is not None else None

    def first_hop(self, target: SipUri) -> SipUri:
        """Where a request to `target` leaves to."""
        for route in self._route_set("INVITE", target):
            if isinstance(route.uri, SipUri):
                return route.uri
        return target

    def _route_set(self, method: str, target: SipUri) -> list[NameAddr]:
        routes = [self.account.route] if self.account.route is not None else []
        if method == "REGISTER" or not self.service_route:
            return routes
        return self.service_route

    # --- sessions --------------------------------------------------------------------------------------

    def perform(self, command: Callable[..., Result], *args: Any, **options: Any) -> Result:
        """Give a command to the stack or a session, and send what comes of it."""
        return self.driver.perform(command, *args, **options)

    def place(self, call: Call, request: Request, sdp: bytes) -> None:
        """Send the INVITE of an outgoing call."""
        session = self.perform(
            self.sessions.invite,
            request,
            consumer=call.receive_event,
            credentials=self.credentials_for(request),
            sdp=sdp,
        )
        call.attach(session)
        self._calls[call] = None

    def incoming_call(self, transaction: ServerTransaction) -> Call | None:
        """The call of a new INVITE; None when it was refused before anybody had to be asked."""
        call = Call(self.host, is_incoming=True)
        session = self.incoming_session(transaction, call.receive_event)
        if session is None:
            return None
        call.attach(session)
        self._calls[call] = None
        return call

    def incoming_session(self, transaction: ServerTransaction, consumer: Consumer) -> InviteSession | None:
        """The session of a new INVITE; None when it was refused."""
        contact = self.reachability.contact_for(transaction.request, transaction.flow)
        # The peer itself is at the other end when nobody else put in a Via: its connection may be the only
        # way to it.
        flow = (
            transaction.flow
            if transaction.flow.transport.is_reliable and _is_direct(transaction.request)
            else None
        )
        session = self.perform(
            self.sessions.incoming, transaction, consumer=consumer, contact=contact, flow=flow
        )
        return None if session.ended is not None else session

    def call_ended(self, call: Call) -> None:
        """A call tells that it is over."""
        self._calls.pop(call, None)
        self.incoming.call_ended(call)

    @property
    def calls(self) -> list[Call]:
        """The calls that live, oldest first."""
        return list(self._calls)

    @property
    def call_count(self) -> int:
        """How many calls live."""
        return len(self._calls)

    async def session_request(
        self, session: InviteSession, method: str, *, body: bytes = b"", content_type: str | None = None
    ) -> Response:
        """A request inside a dialog, and its final response."""
        _number, response = await session_request(
            self.host, session, method, body=body, content_type=content_type
        )
        return response

    def respond(
        self, transaction: ServerTransaction, status: int, *, headers: Sequence[tuple[str, str]] = ()
    ) -> None:
        """Answer a request outside of any dialog."""
        response = self.stack.make_response(transaction, status, headers=headers)
        self.perform(self.stack.respond, transaction, response)

    @property
    def contact(self) -> NameAddr:
        """How somebody can call us directly, as far as we know without knowing who."""
        endpoint = self.driver.endpoints[0]
        uri = SipUri.parse(f"sip:{endpoint.sent_by}")
        return NameAddr(uri.replace(user=self.account.uri.user))

    @property
    def supported(self) -> tuple[str, ...]:
        """The option tags we know (RFC 3261 20.37)."""
        return SUPPORTED


def _is_direct(request: Request) -> bool:
    try:
        return len(request.vias) == 1 and not request.record_routes
    except PeerError:
        return False


SUPPORTED = ("100rel", "timer", "path", "outbound", "replaces")
