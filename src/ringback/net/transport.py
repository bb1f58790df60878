# SPDX-License-Identifier: Apache-2.0
"""Which transports are there? The table: adding one is a row here and a file beside this one.

WebSocket takes a library of 5 MB and 28 ms: it is loaded with the first such connection.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import cast

from ringback.net.framing import Framing
from ringback.net.tcp import TcpFraming
from ringback.sip.flow import Address, Transport

#: (largest message, path of the WebSocket) -> framing of a connection that was opened to us
AcceptFraming = Callable[[int, str], Framing]
#: (largest message, path, remote, server name) -> framing of a connection that we opened
ConnectFraming = Callable[[int, str, Address, str], Framing]


@dataclass(frozen=True, slots=True)
class TransportRow:
    """What a transport is. Without framings it carries datagrams."""

    transport: Transport
    default_port: int
    #: The service of a NAPTR record (RFC 3263 4.1, RFC 7118 section 7).
    naptr_service: str
    #: What stands before the domain in the name of an SRV record; empty: SRV is not used.
    srv_prefix: str
    accept: AcceptFraming | None = None
    connect: ConnectFraming | None = None


_WEBSOCKET = "ringback.net.websocket"


def _tcp_accepted(size: int, _path: str) -> Framing:
    return TcpFraming(size)


def _tcp_connected(size: int, _path: str, _remote: Address, _name: str) -> Framing:
    return TcpFraming(size)


def _ws_accepted(size: int, path: str) -> Framing:
    return cast(Framing, import_module(_WEBSOCKET).WebSocketServer(size, path))


def _ws_connected(size: int, path: str, remote: Address, name: str) -> Framing:
    return _ws_client(size, path, remote, name, secure=False)


def _wss_connected(size: int, path: str, remote: Address, name: str) -> Framing:
    return _ws_client(size, path, remote, name, secure=True)


def _ws_client(size: int, path: str, remote: Address, name: str, *, secure: bool) -> Framing:
    client = import_module(_WEBSOCKET).WebSocketClient
    return cast(Framing, client(size, remote, secure=secure, server_name=name, path=path))


#: In our order of preference when a domain leaves the choice to us.
TRANSPORTS: dict[Transport, TransportRow] = {
    row.transport: row
    for row in (
        TransportRow(Transport.UDP, 5060, "SIP+D2U", "_sip._udp."),
        TransportRow(Transport.TCP, 5060, "SIP+D2T", "_sip._tcp.", _tcp_accepted, _tcp_connected),
        TransportRow(Transport.TLS, 5061, "SIPS+D2T", "_sips._tcp.", _tcp_accepted, _tcp_connected),
        TransportRow(Transport.WS, 80, "SIP+D2W", "", _ws_accepted, _ws_connected),
        TransportRow(Transport.WSS, 443, "SIPS+D2W", "", _ws_accepted, _wss_connected),
    )
}
