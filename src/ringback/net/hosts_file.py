# SPDX-License-Identifier: Apache-2.0
"""What does /etc/hosts say? Names in it are never asked of DNS (localhost above all)."""

import ipaddress
from pathlib import Path

HOSTS_FILE = Path("/etc/hosts")
LOOPBACK = ("127.0.0.1", "::1")
#: The file is looked at again after so many seconds.
FRESH = 2.0


class HostsFile:
    """Addresses by name, as the file says now; it is read again when it changed."""

    def __init__(self, path: Path = HOSTS_FILE) -> None:
        self._path = path
        self._changed = -1
        self._checked = float("-inf")
        self._addresses: dict[str, tuple[str, ...]] = {}

    def addresses(self, name: str, now: float) -> tuple[str, ...]:
        """The addresses of a name; empty when it is not listed. "localhost" always is (RFC 6761)."""
        if now - self._checked >= FRESH:
            self._checked = now
            self._refresh()
        if name in self._addresses:
            return self._addresses[name]
        return LOOPBACK if name == "localhost" or name.endswith(".localhost") else ()

    def _refresh(self) -> None:
        try:
            changed = self._path.stat().st_mtime_ns
            if changed != self._changed:
                self._addresses = parse_hosts(self._path.read_text(encoding="utf-8", errors="replace"))
                self._changed = changed
        except OSError:
            self._addresses = {}


def parse_hosts(text: str) -> dict[str, tuple[str, ...]]:
    """Name (lower case) to its addresses in the order of the file."""
    addresses: dict[str, tuple[str, ...]] = {}
    for line in text.split("\n"):
        fields = line.partition("#")[0].split()
        if len(fields) < 2 or not _is_address(fields[0]):
            continue
        for name in fields[1:]:
            known = addresses.get(name.lower(), ())
            if fields[0] not in known:
                addresses[name.lower()] = (*known, fields[0])
    return addresses


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
