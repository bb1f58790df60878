# SPDX-License-Identifier: Apache-2.0
"""How does a program become a phone?

phone = Phone("sip:101@pbx.example.com", password="s3cret")

@phone.on_call
async def greet(call):
    await call.answer()
    await call.say("Hello.")         # returning hangs up

phone.run()
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import ssl
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from ringback.net.dns_client import SystemDns
from ringback.net.sockets import RealNetwork
from ringback.sdp.security import Security
from ringback.sip.digest_client import DigestClient
from ringback.sip.errors import InvalidState
from ringback.ua.account import parse_account
from ringback.ua.agent import AgentOptions, UserAgent
from ringback.ua.dialling import Dialling, Progress
from ringback.ua.errors import CallError
from ringback.ua.incoming import OnCall, OnMessage
from ringback.ua.messaging import PLAIN_TEXT
from ringback.ua.referred import OnTransfer
from ringback.ua.registration import PERMANENT, ClientRegistration, RegistrationState
from ringback.ua.requests import check_success
from ringback.ua.tls import client_context

if TYPE_CHECKING:
    from ringback.media.ports import PortRange
    from ringback.media.speech import Voice
    from ringback.net.dns import DnsClient
    from ringback.net.driver import Watcher
    from ringback.net.network import Network
    from ringback.sip.message import Response
    from ringback.ua.call import Call

logger = logging.getLogger("ringback.ua")

CallHandler = TypeVar("CallHandler", bound=OnCall)
MessageHandler = TypeVar("MessageHandler", bound=OnMessage)
TransferHandler = TypeVar("TransferHandler", bound=OnTransfer)


class Phone:
    """A SIP phone: registers, calls, is called, sends and gets messages.

    address
        "sip:101@example.com", "101@example.com" or `Anna <sip:101@example.com>`; None is an anonymous caller
    password, or ha1s
        the secret of the account; `user` and `realm` when they are not those of the address
    server, transport
        the outbound proxy ("host", "host:port", "sip:host;transport=tcp") and "udp", "tcp", "tls", "ws" or
        "wss"; without them DNS says (RFC 3263)
    host, port, advertise
        where to listen (every address, a free port) and what to tell others if that is not where they see us
    tls, verify
        your own SSL context, or verify=False to believe any certificate
    network, dns
        the real ones, or those of `ringback.testing`
    security
        how sound is offered: "plain", "opportunistic" (RFC 8643), "sdes" or "dtls" (SRTP); what is called for
        is always accepted, but "sdes" and "dtls" refuse less
    voice
        what `say` speaks with; None: the program espeak-ng
    obeys_transfers
        whether the other side of a call may send us to somebody else (REFER); see `on_transfer`
    register, expires
        whether to register at start, and for how many seconds at a time
    """

    _on_call: OnCall | None = None
    _on_message: OnMessage | None = None
    _on_transfer: OnTransfer | None = None
    _agent: UserAgent | None = None
    _registration: ClientRegistration | None = None

    def __init__(
        self,
        address: str | None = None,
        password: str | None = None,
        *,
        server: str | None = None,
        transport: str | None = None,
        user: str | None = None,
        realm: str | None = None,
        ha1s: Mapping[str, str] | None = None,
        register: bool = True,
        expires: int = 600,
        host: str | None = None,
        port: int = 0,
        advertise: str | None = None,
        codecs: Sequence[str] = ("PCMU", "PCMA"),
        ports: PortRange | None = None,
        tls: ssl.SSLContext | None = None,
        verify: bool = True,
        max_calls: int = 32,
        instance: str | None = None,
        user_agent: str = "Ringback",
        security: str = "plain",
        voice: Voice | None = None,
        obeys_transfers: bool = False,
        network: Network | None = None,
        dns: DnsClient | None = None,
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self.account = parse_account(address, server=server, transport=transport, username=user, realm=realm)
        self._password, self._ha1s = password, ha1s
        self._registers, self._expires = register and address is not None, expires
        self._instance = instance or uuid.UUID(bytes=random_bytes(16), version=4).urn
        self._options = AgentOptions(
            host=host, port=port, advertise=advertise, codecs=tuple(codecs), media_ports=ports,
            tls=tls or client_context(verify=verify), user_agent=user_agent, max_calls=max_calls, voice=voice,
            security=Security(security),
        )  # fmt: skip
        self._obeys_transfers = obeys_transfers
        self._network, self._dns, self._random_bytes = network, dns, random_bytes
        self._on_registration: list[Callable[[RegistrationState], None]] = []
        self._watchers: list[Watcher] = []

    # --- life ------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Listen and register. Raises the reason when the server refuses."""
        await self._open()
        if self._registration is None:
            return
        try:
            await self._registration.register()
        except BaseException:
            await self.close()
            raise
        self._registration.keep()

    async def close(self) -> None:
        """Hang up, unregister, close everything."""
        agent, self._agent = self._agent, None
        registration, self._registration = self._registration, None
        if agent is None:
            return
        await agent.hang_up()
        if registration is not None:
            await registration.unregister()
        await agent.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def run(self) -> None:
        """Be a phone until Ctrl-C or SIGTERM. A server that is away is tried again; a wrong password
        raises.
        """
        with suppress(KeyboardInterrupt):
            asyncio.run(self._serve())

    async def _serve(self) -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            with suppress(NotImplementedError, RuntimeError, ValueError):  # not in a main thread
                loop.add_signal_handler(number, stop.set)
        await self._open()
        try:
            await self._first_registration()
            await stop.wait()
        finally:
            await self.close()

    async def _first_registration(self) -> None:
        if self._registration is None:
            return
        try:
            await self._registration.register()
        except PERMANENT:
            raise
        except CallError as error:
            logger.warning("registration of %s failed, trying again later: %s", self.account.uri, error)
        self._registration.keep()

    async def _open(self) -> None:
        if self._agent is not None:
            return
        self._agent = agent = UserAgent(
            self.account,
            self._credentials(),
            network=self._network or RealNetwork(),
            dns=self._dns or SystemDns(),
            options=self._options,
            random_bytes=self._random_bytes,
        )
        agent.incoming.on_call = self._on_call
        agent.transfers.on_transfer, agent.transfers.obeys = self._on_transfer, self._obeys_transfers
        agent.incoming.set_on_message(self._on_message)
        for watcher in self._watchers:
            agent.driver.watch(watcher)
        try:
            await agent.open()
        except BaseException:
            self._agent = None
            await agent.close()
            raise
        if self._registers:
            self._registration = ClientRegistration(agent, expires=self._expires, instance=self._instance)
            self._registration.on_change += self._on_registration

    def _credentials(self) -> DigestClient | None:
        if self._password is None and self._ha1s is None:
            return None
        return DigestClient(self.account.username, self._password, ha1s=self._ha1s, realm=self.account.realm)

    # --- what happens ----------------------------------------------------------------------------------

    def on_call(self, handler: CallHandler) -> CallHandler:
        """Use `handler` for every call that comes in. A decorator."""
        self._on_call = handler
        if self._agent is not None:
            self._agent.incoming.on_call = handler
        return handler

    def on_message(self, handler: MessageHandler) -> MessageHandler:
        """Use `handler` for every text message that comes in. A decorator."""
        self._on_message = handler
        if self._agent is not None:
            self._agent.incoming.set_on_message(handler)
        return handler

    def on_transfer(self, handler: TransferHandler) -> TransferHandler:
        """Obey the other side of a call when it sends us to somebody else (REFER), unless `handler`, which
        is asked with the call and the address, returns False. A decorator. The call object stays; it goes
        on with its new peer.
        """
        self._on_transfer = handler
        if self._agent is not None:
            self._agent.transfers.on_transfer = handler
            self._agent.incoming.announce_methods()
        return handler

    def on_registration(
        self, callback: Callable[[RegistrationState], None]
    ) -> Callable[[RegistrationState], None]:
        """Tell `callback` each new state of the registration. A decorator; call it before the phone
        starts.
        """
        self._on_registration.append(callback)
        return callback

    def watch(self, watcher: Watcher) -> None:
        """Show every message sent and received to `watcher`, for example to `Ladder.record`."""
        self._watchers.append(watcher)
        if self._agent is not None:
            self._agent.driver.watch(watcher)

    # --- state -----------------------------------------------------------------------------------------

    @property
    def agent(self) -> UserAgent:
        """The user agent below, with its driver and stack; there is one while the phone runs."""
        if self._agent is None:
            raise InvalidState("the phone is not started: use `async with phone`, or `await phone.start()`")
        return self._agent

    @property
    def registered(self) -> bool:
        """True while the server knows where we are."""
        return self._registration is not None and self._registration.is_registered

    @property
    def registration(self) -> ClientRegistration | None:
        """The registration, None for a phone that has none."""
        return self._registration

    @property
    def calls(self) -> list[Call]:
        """The calls that live."""
        return self._agent.calls if self._agent is not None else []

    # --- what a phone does -----------------------------------------------------------------------------

    def dial(
        self,
        target: str,
        *,
        timeout: float | None = 60.0,
        headers: Sequence[tuple[str, str]] | Mapping[str, str] = (),
        on_progress: Progress | None = None,
    ) -> Dialling:
        """Call somebody: `async with phone.dial("102") as call`. Raises Busy, NoAnswer, Declined, NotFound,
        ...
        """
        pairs = list(headers.items()) if isinstance(headers, Mapping) else list(headers)
        return Dialling(self.agent, target, timeout=timeout, headers=pairs, on_progress=on_progress)

    async def message(self, target: str, text: str) -> Response:
        """Send a text message (RFC 3428). Raises when it does not arrive."""
        agent = self.agent
        uri = self.account.resolve(target)
        request = agent.make_request("MESSAGE", uri, body=text.encode(), content_type=PLAIN_TEXT)
        return check_success(await agent.send(request))

    async def options(self, target: str) -> Response:
        """Ask what somebody can (RFC 3261 section 11). Any answer says that they are there; none raises
        `Unreachable`.
        """
        agent = self.agent
        uri = self.account.resolve(target)
        contact = await agent.reachability.contact_towards(agent.first_hop(uri), secure=uri.secure)
        headers = [("Contact", str(contact)), ("Accept", "application/sdp")]
        return await agent.send(agent.make_request("OPTIONS", uri, headers=headers))

    async def ping(self, target: str) -> float:
        """Seconds until somebody answered an OPTIONS, whatever they answered."""
        before = self.agent.now
        await self.options(target)
        return self.agent.now - before
