# SPDX-License-Identifier: Apache-2.0
"""Who this server is: names, addresses and secrets, decided before the first packet.

`first_start.py` makes one from the settings and the data directory; tests make their own.
"""

import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Identity:
    """What `Server` needs to know about itself besides its settings.

    `domain` is never empty. `advertised` holds at most one address for IPv4 and one for IPv6, IPv4 first.
    `realm` is fixed at the first start, since the stored HA1 depend on it. `secret` keys nonces and tokens.
    `server_tls` is None when the server shall not listen with TLS; `client_tls` None means the platform's
    default trust.
    """

    domain: str
    advertised: tuple[str, ...]
    realm: str
    secret: bytes = field(repr=False)
    server_tls: ssl.SSLContext | None = None
    client_tls: ssl.SSLContext | None = None
    aliases: tuple[str, ...] = ()

    def advertised_for(self, local_host: str) -> str:
        """What to put into Via and Contact on a socket bound to `local_host`."""
        return advertised_among(self.advertised, local_host)


def advertised_among(advertised: Sequence[str], local_host: str) -> str:
    """Which of our addresses to name where a socket is bound to `local_host`."""
    wants_ipv6 = ":" in local_host
    same = [address for address in advertised if (":" in address) == wants_ipv6]
    if local_host not in ("0.0.0.0", "::", ""):  # noqa: S104 (compared, not bound)
        return same[0] if same else local_host
    return same[0] if same else advertised[0]
