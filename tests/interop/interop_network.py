# SPDX-License-Identifier: Apache-2.0
"""A small internet made of network namespaces: a server, two homes behind NAT, a neighbour and an attacker.

    203.0.113.0/24   server .1   neighbour .20   attacker .66   nat-a .11   nat-b .12
                                                                  |           |
    192.168.1.0/24                              (two of them)  phone-a .10  phone-b .10

Both homes use the same private network, as homes do. Needs root; the names are of this run only, and all is
gone with `close`. What an earlier run left that was killed is removed first.
"""

import ctypes
import os
import re
import secrets
import socket
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest
from interop_process import Place, require

CLONE_NEWNET = 0x40000000
NAME = re.compile(r"ringback-(\d+)-[0-9a-f]+-[a-z-]+", re.ASCII)

SERVER, NEIGHBOUR, ATTACKER = "203.0.113.1", "203.0.113.20", "203.0.113.66"
NAT_A, NAT_B = "203.0.113.11", "203.0.113.12"
INSIDE = "192.168.1.10"
#: Ports a NAT takes outside: never those of the phones, so that a mapping shows.
PORTS = range(20_000, 25_000)
PORTS_AFTERWARDS = range(25_000, 30_000)

Result = TypeVar("Result")
Kind = TypeVar("Kind", bound="Namespace")


class Namespace(Place):
    """One machine of the small internet."""

    def __init__(self, name: str, host: str) -> None:
        super().__init__(host, ("ip", "netns", "exec", name))
        self.name = name

    def ip(self, *arguments: str) -> None:
        _run("ip", "-n", self.name, *arguments)

    def run(self, *command: str) -> None:
        _run(*self.prefix, *command)

    def inside(self, call: Callable[[], Result]) -> Result:
        """Do something in here; sockets stay here for ever. A thread of its own: namespaces belong to threads."""

        def enter() -> Result:
            _enter(self.name)
            return call()

        with ThreadPoolExecutor(1) as thread:
            return thread.submit(enter).result()

    def connect(self, port: int) -> socket.socket:
        return self.inside(lambda: Place.connect(self, port))

    def udp_socket(self) -> socket.socket:
        def bind() -> socket.socket:
            opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            opened.bind((self.host, 0))
            return opened

        return self.inside(bind)

    def set(self, name: str, value: object) -> None:
        """Set a kernel parameter below /proc/sys/net."""
        self.inside(lambda: Path("/proc/sys/net", name).write_text(str(value)))


class Router(Namespace):
    """A home router: masquerades, and lets nothing in that was not asked for."""

    def serve(self) -> None:
        self.set("ipv4/ip_forward", 1)
        for chain in ("INPUT", "FORWARD"):
            self.run(
                "iptables", "-A", chain, "-i", "wan", "-m", "conntrack", "--ctstate", "NEW", "-j", "DROP"
            )
        for protocol in ("udp", "tcp"):
            self.run(*self._masquerading("-A", "POSTROUTING", protocol=protocol, ports=PORTS))

    def forget_udp_after(self, seconds: int) -> None:
        """How long a mapping lives that nobody uses."""
        self.set("netfilter/nf_conntrack_udp_timeout", seconds)
        self.set("netfilter/nf_conntrack_udp_timeout_stream", seconds)

    def rebind(self, ports: range) -> None:
        """The line was lost and came back: every mapping is gone, and new ones get other ports."""
        self.run(*self._masquerading("-R", "POSTROUTING", "1", protocol="udp", ports=ports))
        self.ip("link", "set", "wan", "down")
        self.ip("link", "set", "wan", "up")

    def _masquerading(self, *place: str, protocol: str, ports: range) -> tuple[str, ...]:
        outside = f"{ports.start}-{ports.stop - 1}"
        return (
            "iptables", "-t", "nat", *place, "-o", "wan", "-p", protocol, "-j", "MASQUERADE",
            "--to-ports", outside,
        )  # fmt: skip


class SmallInternet:
    """All of it. Skips the test where it cannot be made."""

    def __init__(self) -> None:
        if os.geteuid() != 0:
            pytest.skip("a real NAT needs root, for network namespaces: run these tests as root")
        require("ip", "iproute2")
        require("iptables", "iptables")
        _remove_leftovers()
        self._run = f"ringback-{os.getpid()}-{secrets.token_hex(2)}"
        self._names: list[str] = []
        try:
            self._make()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Remove everything; the cables go with their ends."""
        for name in self._names:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
        self._names.clear()

    def _make(self) -> None:
        street = self._namespace("street", "", Namespace)
        street.ip("link", "add", "street", "type", "bridge")
        street.ip("link", "set", "street", "up")
        self.server = self._outside(street, Namespace, "server", SERVER)
        self.neighbour = self._outside(street, Namespace, "neighbour", NEIGHBOUR)
        self.attacker = self._outside(street, Namespace, "attacker", ATTACKER)
        self.nat_a = self._outside(street, Router, "nat-a", NAT_A)
        self.nat_b = self._outside(street, Router, "nat-b", NAT_B)
        self.phone_a = self._home(self.nat_a, "phone-a")
        self.phone_b = self._home(self.nat_b, "phone-b")

    def _namespace(self, role: str, host: str, kind: type[Kind]) -> Kind:
        name = f"{self._run}-{role}"
        made = subprocess.run(["ip", "netns", "add", name], check=False, capture_output=True, text=True)
        if made.returncode:
            pytest.skip(f"root may not make network namespaces here: {made.stderr.strip()}")
        self._names.append(name)
        namespace = kind(name, host)
        namespace.ip("link", "set", "lo", "up")
        return namespace

    def _outside(self, street: Namespace, kind: type[Kind], role: str, host: str) -> Kind:
        namespace = self._namespace(role, host, kind)
        _plug(namespace, "wan", street, role)
        street.ip("link", "set", role, "master", "street", "up")
        namespace.ip("address", "add", f"{host}/24", "dev", "wan")
        return namespace

    def _home(self, router: Router, role: str) -> Namespace:
        phone = self._namespace(role, INSIDE, Namespace)
        _plug(phone, "lan", router, "lan")
        router.ip("address", "add", "192.168.1.1/24", "dev", "lan")
        router.ip("link", "set", "lan", "up")
        phone.ip("address", "add", f"{INSIDE}/24", "dev", "lan")
        phone.ip("route", "add", "default", "via", "192.168.1.1")
        router.serve()
        return phone


def _plug(one: Namespace, port: str, other: Namespace, other_port: str) -> None:
    """A cable between two machines."""
    one.ip("link", "add", port, "type", "veth", "peer", "name", other_port, "netns", other.name)
    one.ip("link", "set", port, "up")


def _run(*command: str) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"


def _enter(name: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    with open(f"/run/netns/{name}") as place:
        if libc.setns(place.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"cannot enter {name}")


def _remove_leftovers() -> None:
    for name in os.listdir("/run/netns") if os.path.isdir("/run/netns") else ():
        match = NAME.fullmatch(name)
        if match and not _is_running(match[1]):
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def _is_running(process: str) -> bool:
    """False for one that ended, also when nobody has noticed yet."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False
