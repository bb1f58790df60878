# SPDX-License-Identifier: Apache-2.0
"""How does Homer get our messages? By HEP version 3 (EEP), a datagram for each, secrets hidden.

A collector that is down, slow or has no name in the DNS loses messages; nobody waits for it but this thread.
"""

from __future__ import annotations

import socket
import struct
import time
from ipaddress import ip_address
from typing import Any

from ringback.server.tracing.chunk import Chunk, Kept, our_end
from ringback.server.tracing.selection import call_id_of
from ringback.sip.flow import Transport
from ringback.sip.message.secrets import without_secrets

#: The numbers of HEP3, section "Chunk types", vendor 0.
FAMILY, PROTOCOL = 0x0001, 0x0002
SOURCE_4, DESTINATION_4, SOURCE_6, DESTINATION_6 = 0x0003, 0x0004, 0x0005, 0x0006
SOURCE_PORT, DESTINATION_PORT = 0x0007, 0x0008
SECONDS, MICROSECONDS = 0x0009, 0x000A
PAYLOAD_TYPE, AGENT, PAYLOAD, CORRELATION = 0x000B, 0x000C, 0x000F, 0x0011
SIP = 1
INET, INET6 = 2, 10
UDP, TCP = 17, 6

#: We, among the agents of a collector.
AGENT_NUMBER = 5060
#: What fits into a datagram with everything around it.
LARGEST = 65_000
#: How often a name is looked up again, in seconds.
LOOKUP = 300.0

_HEAD = struct.Struct("!HHH")


def hep_packet(message: Kept) -> bytes:
    """One message as its datagram; what is too long for one is cut."""
    source, destination = message.flow.remote, our_end(message.flow)
    if message.sent:
        source, destination = destination, source
    hosts = ip_address(source.host), ip_address(destination.host)
    is_4 = hosts[0].version == 4
    seconds, fraction = divmod(round(message.at * 1_000_000), 1_000_000)
    data = without_secrets(message.data)[:LARGEST]
    pieces = (
        _chunk(FAMILY, bytes((INET if is_4 else INET6,))),
        _chunk(PROTOCOL, bytes((UDP if message.flow.transport is Transport.UDP else TCP,))),
        _chunk(SOURCE_4 if is_4 else SOURCE_6, hosts[0].packed),
        _chunk(DESTINATION_4 if is_4 else DESTINATION_6, hosts[1].packed),
        _chunk(SOURCE_PORT, struct.pack("!H", source.port)),
        _chunk(DESTINATION_PORT, struct.pack("!H", destination.port)),
        _chunk(SECONDS, struct.pack("!I", seconds & 0xFFFFFFFF)),
        _chunk(MICROSECONDS, struct.pack("!I", fraction)),
        _chunk(PAYLOAD_TYPE, bytes((SIP,))),
        _chunk(AGENT, struct.pack("!I", AGENT_NUMBER)),
        _chunk(CORRELATION, call_id_of(message.data)[:256]),
        _chunk(PAYLOAD, data),
    )
    body = b"".join(pieces)
    return b"HEP3" + struct.pack("!H", len(body) + 6) + body


def _chunk(kind: int, value: bytes) -> bytes:
    return _HEAD.pack(0, kind, len(value) + _HEAD.size) + value


class HepSink:
    """Sends chunks to one collector, "host:port"."""

    def __init__(self, collector: str) -> None:
        self._collector = collector
        self._socket: socket.socket | None = None
        self._looked_up = 0.0

    def write(self, chunk: Chunk, missing: int) -> int:
        """Send all of them. Raises OSError where there is no name, no route or nobody listening."""
        connection = self._connected()
        try:
            for message in chunk.messages():
                connection.send(hep_packet(message))
        except OSError:
            self.close()
            raise
        return len(chunk)

    def status(self) -> dict[str, Any]:
        """Where it goes."""
        return {"collector": self._collector}

    def close(self) -> None:
        """Let go of the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _connected(self) -> socket.socket:
        now = time.monotonic()
        if self._socket is not None and now - self._looked_up < LOOKUP:
            return self._socket
        self.close()
        host, _, port = self._collector.rpartition(":")
        try:
            found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_DGRAM)
        except UnicodeError as error:  # a name with an empty or endless label
            raise OSError(f"{host} is no name") from error
        family, kind, protocol, _, address = found[0]
        self._socket = socket.socket(family, kind, protocol)
        self._socket.connect(address)
        self._looked_up = now
        return self._socket
