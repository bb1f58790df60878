# SPDX-License-Identifier: Apache-2.0
"""Where did this message come by, and where do responses go? The Via header field (RFC 3261 20.42)."""

import re
from dataclasses import dataclass, field
from typing import Self

from ringback.sip.errors import PeerError
from ringback.sip.message.host import HOST, bracketed, canonical_host
from ringback.sip.message.numbers import decimal
from ringback.sip.message.parameters import (
    TOKEN,
    HasParameters,
    Parameters,
    filled,
    find_parameter,
    parse_parameters,
    print_parameters,
    split_list,
)

#: Blanks are allowed around every separator: "SIP / 2.0 / UDP host : 5060" (RFC 4475 3.1.1.1).
_VIA = re.compile(
    rf"({TOKEN})[ \t]*/[ \t]*({TOKEN})[ \t]*/[ \t]*({TOKEN})[ \t]+"
    rf"({HOST})[ \t]*(?::[ \t]*([0-9]{{1,5}})[ \t]*)?(;.*)?",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Via(HasParameters):
    """One hop: protocol/transport, sent-by and parameters."""

    transport: str
    host: str
    port: int | None = None
    parameters: Parameters = ()
    protocol: str = field(default="SIP/2.0", kw_only=True)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read one Via value; PeerError if it is malformed."""
        found = _VIA.fullmatch(text)
        if found is None:
            raise PeerError("malformed Via", section="RFC 3261 20.42")
        name, version, transport, host, port, parameters = found.groups()
        return cls(
            transport.upper(),
            canonical_host(host),
            None if port is None else decimal(port, limit=65535),
            parse_parameters(parameters) if parameters else (),
            protocol=f"{name}/{version}",
        )

    @classmethod
    def parse_list(cls, text: str) -> list[Self]:
        """Read one Via header line, which may hold several hops."""
        return [cls.parse(element) for element in filled(split_list(text))]

    def __str__(self) -> str:
        return f"{self.protocol}/{self.transport} {self.sent_by}{print_parameters(self.parameters)}"

    @property
    def sent_by(self) -> str:
        """ "host" or "host:port", in the one spelling by which sent-by values are compared (17.2.3)."""
        host = bracketed(self.host)
        return host if self.port is None else f"{host}:{self.port}"

    @property
    def branch(self) -> str | None:
        """The transaction's name at that hop."""
        return find_parameter(self.parameters, "branch")

    @property
    def received(self) -> str | None:
        """The address the request came from; brackets around IPv6 are forgiven (RFC 5118 4.5)."""
        value = find_parameter(self.parameters, "received")
        return value.strip("[]") if value else None

    @property
    def rport(self) -> int | None:
        """The port the request came from; None while nobody filled it in (RFC 3581)."""
        value = find_parameter(self.parameters, "rport")
        return decimal(value, limit=65535) if value else None

    @property
    def wants_rport(self) -> bool:
        """True if the sender asked for rport, filled in or not."""
        return any(name.lower() == "rport" for name, _ in self.parameters)

    @property
    def maddr(self) -> str | None:
        """The address responses shall go to instead (18.2.2)."""
        return find_parameter(self.parameters, "maddr")

    @property
    def ttl(self) -> int | None:
        """The time to live of multicast (20.42)."""
        value = find_parameter(self.parameters, "ttl")
        return decimal(value, limit=255) if value else None
