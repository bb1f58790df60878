# SPDX-License-Identifier: Apache-2.0
"""Which addresses does this machine have? Read from Linux; empty elsewhere, where settings must say it."""

from __future__ import annotations

import contextlib
import ipaddress
import re
from pathlib import Path

#: A machine with more addresses than this does not need all of them recognised.
MOST = 256

_LOCAL_IPV4 = re.compile(r"\|-- ([0-9.]{7,15})\n\s+/32 host LOCAL", re.ASCII)


def interface_addresses(proc: Path = Path("/proc/net")) -> list[str]:
    """Every IPv4 and IPv6 address of the machine's interfaces, without link-local and loopback ones."""
    found = dict.fromkeys(_LOCAL_IPV4.findall(_read(proc / "fib_trie")))
    for line in _read(proc / "if_inet6").split("\n"):
        digits = line[:32]
        with contextlib.suppress(ValueError):
            found[str(ipaddress.IPv6Address(bytes.fromhex(digits)))] = None
    return [address for address in found if _is_reachable(address)][:MOST]


def _is_reachable(text: str) -> bool:
    address = ipaddress.ip_address(text)
    return not (address.is_loopback or address.is_link_local or address.is_unspecified)


def _read(file: Path) -> str:
    try:
        return file.read_text("ascii", errors="replace")
    except OSError:
        return ""
