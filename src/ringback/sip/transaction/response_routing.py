# SPDX-License-Identifier: Apache-2.0
"""Where does a response go? RFC 3261 section 18.2.2 with RFC 3581 section 4.

The top Via is that of the request after `receiving.stamp_source`: its `received` and `rport` are ours, not
the peer's.
"""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from typing import TYPE_CHECKING

from ringback.sip.flow import Address, Flow, Transport
from ringback.sip.message.sip_uri import SipUri

if TYPE_CHECKING:
    from ringback.sip.message.message import Request
    from ringback.sip.message.via import Via

#: 19.1.2
_DEFAULT_PORTS = {Transport.TLS: 5061, Transport.WSS: 443, Transport.WS: 80}


def reply_flow(request: Request, flow: Flow) -> Flow:
    """The flow for responses to a request that came on `flow`."""
    if flow.is_reliable:
        return flow
    head = request.head
    if head is None:
        remote = _datagram_remote(request.top_via, flow)
    elif head.reply_port == flow.remote.port:
        return flow
    else:
        remote = Address(flow.remote.host, head.reply_port)
    return flow if remote == flow.remote else replace(flow, remote=remote)


def reply_hop(via: Via, flow: Flow) -> SipUri | None:
    """18.2.2: where to connect to when the connection of the request is gone; None where nobody listens."""
    if flow.transport not in (Transport.TCP, Transport.TLS):
        return None
    port = via.port or _default_port(flow.transport)
    return SipUri(None, flow.remote.host, port, parameters=(("transport", flow.transport.value.lower()),))


def _datagram_remote(via: Via, flow: Flow) -> Address:
    if via.maddr is not None and (host := _address(via.maddr)) is not None:
        return Address(host, via.port or _default_port(flow.transport))
    if via.rport is not None:
        return Address(flow.remote.host, via.rport)
    return Address(flow.remote.host, via.port or _default_port(flow.transport))


def _default_port(transport: Transport) -> int:
    return _DEFAULT_PORTS.get(transport, 5060)


def _address(host: str) -> str | None:
    """Canonical text; None for a name, which nobody resolves for the sake of a response."""
    try:
        return str(ip_address(host.strip("[]")))
    except ValueError:
        return None
