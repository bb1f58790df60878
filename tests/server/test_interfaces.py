# SPDX-License-Identifier: Apache-2.0
"""The machine's own addresses are known without being listed."""

import socket
from pathlib import Path

from ringback.server.interfaces import interface_addresses

FIB_TRIE = """\
Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 192.0.2.0/24 2 0 2
        |-- 192.0.2.0
           /24 link UNICAST
        |-- 192.0.2.17
           /32 host LOCAL
        |-- 192.0.2.255
           /32 link BROADCAST
Local:
     |-- 127.0.0.1
        /32 host LOCAL
     |-- 198.51.100.9
        /32 host LOCAL
     |-- 192.0.2.17
        /32 host LOCAL
"""

IF_INET6 = """\
00000000000000000000000000000001 01 80 10 80       lo
20010db8000000000000000000000007 02 40 00 80     eth0
fe80000000000000021122fffe334455 02 40 20 80     eth0
"""


def test_only_addresses_others_can_use_are_listed(tmp_path: Path) -> None:
    (tmp_path / "fib_trie").write_text(FIB_TRIE)
    (tmp_path / "if_inet6").write_text(IF_INET6)
    assert interface_addresses(tmp_path) == ["192.0.2.17", "198.51.100.9", "2001:db8::7"]


def test_where_the_machine_does_not_say_nothing_is_guessed(tmp_path: Path) -> None:
    assert interface_addresses(tmp_path / "nothing") == []


def test_the_address_this_machine_sends_from_is_among_them() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return  # a machine without a route has nothing to compare with
        address = probe.getsockname()[0]
    assert address.startswith("127.") or address in interface_addresses()
