# SPDX-License-Identifier: Apache-2.0
"""Where does the server listen? Every host of the settings, on UDP, TCP, TLS, WS and WSS."""

from __future__ import annotations

import errno
import logging
from typing import TYPE_CHECKING, Protocol

from ringback.net.errors import PortInUse
from ringback.sip.flow import Address, Transport

if TYPE_CHECKING:
    import ssl

    from ringback.server.config import Settings
    from ringback.server.identity import Identity

logger = logging.getLogger("ringback.server")

#: With port 0 UDP gets a free port, and TCP wants the same: how often this is tried.
TRIES = 20

#: What the system says to a bind of "::" on a machine without IPv6.
NO_IPV6 = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT)


class Opened(Protocol):
    """A place where somebody listens."""

    local: Address

    def close(self) -> None: ...


class Listener(Protocol):
    """Who listens: a `StackDriver`, or the supervisor of several workers for them."""

    async def listen(
        self,
        transport: Transport,
        local: Address,
        *,
        advertise: Address | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> Opened: ...


class Listening:
    """Opens the endpoints of one server, one after the other."""

    def __init__(self, driver: Listener, settings: Settings, identity: Identity) -> None:
        self._driver = driver
        self._settings = settings
        self._identity = identity
        self._ports: dict[Transport, int] = {}

    async def open(self) -> None:
        """All of them. Raises `PortInUse` or another `OSError`; the driver closes what is open then."""
        for host in self._settings.sip.host:
            try:
                await self._open_host(host)
            except OSError as error:
                if host != "::" or error.errno not in NO_IPV6:
                    raise
                logger.debug("this machine has no IPv6: %s", error)

    async def _open_host(self, host: str) -> None:
        sip, web = self._settings.sip, self._settings.web
        await self._open_pair(host, sip.port)
        await self._open(Transport.WS, host, web.http_port)
        if self._identity.server_tls is not None:
            await self._open(Transport.TLS, host, sip.tls_port)
            await self._open(Transport.WSS, host, web.https_port)

    async def _open_pair(self, host: str, port: int) -> None:
        """RFC 3261 18.1.1: UDP and TCP share the port, also when it is the system that chooses."""
        for _ in range(TRIES):
            udp = await self._open(Transport.UDP, host, port)
            try:
                await self._open(Transport.TCP, host, udp.local.port)
            except PortInUse:
                if port or Transport.TCP in self._ports:
                    raise
                udp.close()
                del self._ports[Transport.UDP]
            else:
                return
        raise PortInUse(Transport.TCP, Address(host, port))

    async def _open(self, transport: Transport, host: str, port: int) -> Opened:
        """The second host takes the port that the first one was given."""
        port = port or self._ports.get(transport, 0) or await self._free_port(transport, host)
        endpoint = await self._listen(transport, Address(host, port))
        self._ports[transport] = port
        logger.debug("listening on %s %s", transport, endpoint.local)
        return endpoint

    async def _free_port(self, transport: Transport, host: str) -> int:
        """The system chooses: an endpoint must know its port before it opens, to advertise it."""
        endpoint = await self._listen(transport, Address(host, 0))
        endpoint.close()
        return endpoint.local.port

    async def _listen(self, transport: Transport, local: Address) -> Opened:
        return await self._driver.listen(
            transport,
            local,
            advertise=Address(self._identity.advertised_for(local.host), local.port),
            tls=self._identity.server_tls if transport.is_secure else None,
        )
