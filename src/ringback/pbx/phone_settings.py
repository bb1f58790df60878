# SPDX-License-Identifier: Apache-2.0
"""What does a phone have to be told so that it can register? The rows a person types, and one URI for all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """Where phones reach the server: "udp" -> "192.168.1.20:5060". Empty when it never ran."""

    domain: str
    addresses: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class PhoneSettings:
    """One account with its password, which nobody can print a second time."""

    number: str
    name: str
    password: str = field(repr=False)
    server: ServerAddress

    @property
    def domain(self) -> str:
        """The domain as it stands in an address: IPv6 in brackets."""
        return f"[{self.server.domain}]" if ":" in self.server.domain else self.server.domain

    @property
    def host(self) -> str:
        """Where the phone connects to, with the port where it is not the usual one."""
        return self.server.addresses.get("udp", self.domain).removesuffix(":5060")

    @property
    def address(self) -> str:
        """The address of record, as others call it."""
        return f"sip:{self.number}@{self.domain}"

    @property
    def phone_uri(self) -> str:
        """A SIP URI with everything a softphone needs. It holds the password: show it to the phone only."""
        host, _, port = self.server.addresses.get("udp", f"{self.domain}:5060").rpartition(":")
        user = f"{self.number}:{quote(self.password, safe='')}"
        if host == self.domain:
            shown_port = "" if port == "5060" else f":{port}"
            return f"sip:{user}@{self.domain}{shown_port};transport=udp"
        route = quote(f"<sip:{host}:{port};lr>", safe="")
        return f"sip:{user}@{self.domain};transport=udp?Route={route}"
