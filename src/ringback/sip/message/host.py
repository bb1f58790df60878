# SPDX-License-Identifier: Apache-2.0
"""Is this text a host, and what is its one spelling (RFC 3261 25.1, RFC 5118 4)?

Names are lower-cased; an IPv6 address loses its brackets and takes its shortest form.
"""

import ipaddress
import re
from functools import lru_cache

from ringback.sip.errors import PeerError

#: What may stand where a host stands; `canonical_host` judges it. Underscores are no part of the grammar,
#: but of many networks.
HOST = r"\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9_][A-Za-z0-9_.\-]{0,254}"

_BYTE = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = re.compile(rf"{_BYTE}\.{_BYTE}\.{_BYTE}\.{_BYTE}")
#: A name whose last label is a number would be an address to some resolvers ("127.1", "0x7f.1").
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
#: RFC 3261's grammar allowed "[2001:db8:::192.0.2.1]"; RFC 5118 4.10 wants it read as if it had two colons.
_EXTRA_COLON = re.compile(r":::(?=[0-9]+\.[0-9.]+\Z)")
_DIGITS = "0123456789"


def canonical_host(text: str) -> str:
    """The one spelling of a host that matched HOST; PeerError if it is no host after all."""
    if text[:1] == "[":
        return _canonical_ipv6(text[1:-1])
    host = text.lower()
    last_label = host.removesuffix(".").rpartition(".")[2]
    if last_label[:1] in _DIGITS and not _IPV4.fullmatch(host) and _NUMBER.fullmatch(last_label):
        raise PeerError("malformed IPv4 address", section="RFC 3261 25.1")
    if ".." in host:
        raise PeerError("malformed host", section="RFC 3261 25.1")
    return host


@lru_cache(maxsize=1024)
def _canonical_ipv6(text: str) -> str:
    try:
        return str(ipaddress.IPv6Address(_EXTRA_COLON.sub("::", text)))
    except ValueError:
        raise PeerError("malformed IPv6 address", section="RFC 3261 25.1") from None


def bracketed(host: str) -> str:
    """The host as it is written in URIs and Via: IPv6 addresses in brackets."""
    return f"[{host}]" if ":" in host else host
