# SPDX-License-Identifier: Apache-2.0
"""How does a phone stay reachable? RFC 3261 section 10.2, with Path (3327), Service-Route (3608), outbound
(5626).

One task registers, refreshes before the registrar forgets us, comes back after failures with the waiting
times of RFC 5626 section 4.5, and at the end takes back its own contact and nobody else's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from enum import IntEnum
from typing import TYPE_CHECKING, cast

from ringback.sip.digest_client import ATTEMPT_LIMIT
from ringback.sip.errors import PeerError
from ringback.sip.message import NameAddr, SipUri
from ringback.sip.message.numbers import MAX_32, decimal
from ringback.ua.errors import AuthenticationFailed, CallError, Forbidden, NotFound, error_for

if TYPE_CHECKING:
    from ringback.sip.flow import Flow
    from ringback.sip.message import Response
    from ringback.ua.agent import UserAgent

logger = logging.getLogger("ringback.ua")

#: RFC 5626 4.5: waiting times after failures, in seconds.
BASE_TIME = 30.0
MAX_TIME = 1800.0
#: A Retry-After or Min-Expires beyond this is not believed.
LONGEST_RETRY_AFTER = 3600
LONGEST_EXPIRES = 86_400
ROUTE_LIMIT = 32
#: Refresh after this share of the registered time, plus up to JITTER of it.
REFRESH_AFTER = 0.75
JITTER = 0.15
#: RFC 5626 4.4.2 and RFC 4787 REQ-5: often enough for the UDP mappings of NATs.
KEEP_ALIVE = 25.0
#: How long a phone that ends waits for the registrar: enough for four sendings over UDP.
FAREWELL_TIME = 4.0
#: What trying again soon does not heal.
PERMANENT = (AuthenticationFailed, Forbidden, NotFound)


class RegistrationState(IntEnum):
    """Whether the registrar knows us."""

    IDLE = 0
    REGISTERING = 1
    REGISTERED = 2
    FAILED = 3
    UNREGISTERED = 4


class ClientRegistration:
    """The binding of one address of record to this phone."""

    def __init__(self, agent: UserAgent, *, expires: int, instance: str) -> None:
        self.state = RegistrationState.IDLE
        #: Seconds the registrar granted.
        self.granted = 0.0
        #: Why the last attempt failed.
        self.failure: CallError | None = None
        #: Called with each new state.
        self.on_change: list[Callable[[RegistrationState], None]] = []
        self._agent = agent
        self._expires = expires
        self._instance = instance
        self._call_id = agent.identifiers.call_id()
        self._cseq = 0
        #: What the registrar knows us by.
        self.contact: NameAddr | None = None
        self._failures = 0
        self._retry_after = 0.0
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def is_registered(self) -> bool:
        """True while the registrar is known to have our contact."""
        return self.state is RegistrationState.REGISTERED

    async def register(self) -> None:
        """Register now, once; raises the reason when it does not work."""
        self._change(RegistrationState.REGISTERING)
        try:
            await self._register()
        except CallError as error:
            self.failure = error
            self._failures += 1
            self._change(RegistrationState.FAILED)
            raise
        self.failure = None
        self._failures = 0
        self._change(RegistrationState.REGISTERED)

    def keep(self) -> None:
        """Go on in the background: refresh, repair, and keep the way through the NAT open."""
        self._agent.driver.on_flow_lost.append(self.flow_lost)
        self._task = asyncio.create_task(self._keep(), name="ringback registration")

    def flow_lost(self, flow: Flow) -> None:
        """A connection broke; if it was the one to the registrar, register anew, over a new one (RFC 5626
        4.4).
        """
        if flow == self._agent.reachability.home and self.is_registered:
            self._wake.set()

    async def unregister(self) -> None:
        """Stop, and take our contact back (RFC 3261 10.2.2). Failure is logged: nobody can do anything
        about it.
        """
        await self._stop()
        if self.contact is None or self.state in (RegistrationState.IDLE, RegistrationState.UNREGISTERED):
            return
        try:
            async with asyncio.timeout(FAREWELL_TIME):
                response = await self._send([_expiring(self.contact, 0)], 0)
            if response.status >= 300:
                logger.info("registrar refused to forget us: %s %s", response.status, response.reason)
        except (CallError, TimeoutError) as error:
            logger.info("could not unregister: %s", error or "no answer")
        self._change(RegistrationState.UNREGISTERED)

    # --- one registration ------------------------------------------------------------------------------

    async def _register(self) -> None:
        contact = await self._make_contact()
        response = await self._try(contact)
        if self._agent.reachability.learn(response):
            # A NAT stands between us (RFC 3581): the registrar has an address nobody can reach. Put it right.
            moved = await self._make_contact()
            stale = contact if str(moved.uri) != str(contact.uri) else None
            response = await self._try(moved, stale=stale)
            contact = moved
        self.contact = contact
        self._note(response)

    async def _make_contact(self) -> NameAddr:
        """RFC 5626 4.2: on a connection, instance and reg-id say which registration this one replaces."""
        account, reachability = self._agent.account, self._agent.reachability
        flow = await reachability.flow_to(account.first_hop())
        reachability.home = flow
        self._agent.driver.trust(flow)  # our registrar may be silent until the next refresh
        contact = reachability.contact_on(flow, secure=account.uri.secure)
        contact = contact.with_parameter("+sip.instance", f"<{self._instance}>")
        return contact.with_parameter("reg-id", "1") if flow.transport.is_reliable else contact

    async def _try(self, contact: NameAddr, *, stale: NameAddr | None = None) -> Response:
        contacts = [contact] if stale is None else [contact, _expiring(stale, 0)]
        response = await self._send(contacts, self._expires)
        if response.status == 423:  # Interval Too Brief (10.2.8)
            self._expires = max(self._expires, _minimum(response))
            response = await self._send(contacts, self._expires)
        if not 200 <= response.status <= 299:
            self._retry_after = _retry_after(response)
            raise error_for(response.status, response.reason, response=response)
        return response

    async def _send(self, contacts: list[NameAddr], expires: int) -> Response:
        """Send a REGISTER; all of them share a Call-ID and count their CSeq (10.2), challenges included."""
        headers = [("Contact", str(contact)) for contact in contacts]
        headers += [("Expires", str(expires)), ("Supported", "path, outbound")]
        request = self._agent.make_request(
            "REGISTER",
            self._agent.account.registrar,
            headers=headers,
            call_id=self._call_id,
            cseq=self._cseq + 1,
        )
        self._cseq += (
            1 + ATTEMPT_LIMIT
        )  # an answered challenge takes a number of its own, also when no response comes
        return await self._agent.send(request)

    def _note(self, response: Response) -> None:
        """How long we are registered, and which way the registrar wants us to take."""
        self.granted = float(_granted(response, self.contact, self._expires))
        self._retry_after = 0.0
        with suppress(PeerError):
            self._agent.service_route = _service_route(response)

    # --- for ever --------------------------------------------------------------------------------------

    async def _keep(self) -> None:
        while True:
            await self._wait(self._delay())
            try:
                await self.register()
            except CallError as error:
                logger.warning("registration of %s failed: %s", self._agent.account.uri, error)

    async def _wait(self, delay: float) -> None:
        """Until the time has come or the flow is lost; meanwhile keep the NAT's mapping alive."""
        end = self._agent.now + delay
        self._wake.clear()
        while (left := end - self._agent.now) > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left, KEEP_ALIVE)):
                    await self._wake.wait()
                    return
            if left > KEEP_ALIVE:
                self._agent.reachability.keep_alive()

    def _delay(self) -> float:
        """Seconds until the next REGISTER."""
        chance = self._agent.chance
        if self.is_registered:
            return self.granted * (REFRESH_AFTER + JITTER * chance())
        # RFC 5626 4.5: W = min(max, base * 2 ** failures), of which 50 to 100 percent are waited.
        wait = min(MAX_TIME, BASE_TIME * 2.0 ** min(self._failures, 10))
        if isinstance(self.failure, PERMANENT):
            wait = MAX_TIME
        return max(wait * (0.5 + 0.5 * chance()), self._retry_after)

    async def _stop(self) -> None:
        if self._task is None:
            return
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        self._task = None

    def _change(self, state: RegistrationState) -> None:
        if state is self.state:
            return
        self.state = state
        for callback in self.on_change:
            callback(state)


def _expiring(contact: NameAddr, seconds: int) -> NameAddr:
    return contact.with_parameter("expires", str(seconds))


def _granted(response: Response, contact: NameAddr | None, asked: int) -> int:
    """The expires of our own contact, else the Expires of the response, else what we asked for (10.2.4)."""
    try:
        for listed in response.contacts:
            if contact is not None and _is_ours(listed, contact):
                value = listed.parameter("expires")
                if value is not None:
                    return max(1, min(decimal(value, limit=MAX_32), LONGEST_EXPIRES))
        expires = response.expires
    except PeerError:
        return asked
    return max(1, min(expires, LONGEST_EXPIRES)) if expires else asked


def _is_ours(listed: NameAddr, contact: NameAddr) -> bool:
    ours, theirs = contact.uri, listed.uri
    return isinstance(ours, SipUri) and isinstance(theirs, SipUri) and ours.is_equivalent(theirs)


def _minimum(response: Response) -> int:
    try:
        return min(response.min_expires or 0, LONGEST_EXPIRES)
    except PeerError:
        return 0


def _retry_after(response: Response) -> float:
    try:
        value = response.retry_after
    except PeerError:
        return 0.0
    return float(min(value.seconds, LONGEST_RETRY_AFTER)) if value is not None else 0.0


def _service_route(response: Response) -> list[NameAddr]:
    """RFC 3608 5: the way out that the registrar prescribes."""
    routes = cast(list[NameAddr], response.parsed("Service-Route"))
    return list(routes[:ROUTE_LIMIT])
