# SPDX-License-Identifier: Apache-2.0
"""Where media may be sent: RELIABILITY row 10."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.sdp.addresses import canonical_host, is_loopback, is_private, is_relayable, is_unspecified


@pytest.mark.parametrize(
    "host",
    [
        "0.0.0.0",
        "0.1.2.3",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "192.0.0.8",
        "192.88.99.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:0.0.0.0",
        "::ffff:224.0.0.1",
        "64:ff9b::127.0.0.1",
        "64:ff9b:1::1",
        "2002:7f00:0001::1",
        "2001::1",
        "100::1",
        "fe80::1",
        "ff02::1",
        "fe80::1%lo",
        "localhost",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "",
        "\u0661.1.1.1",
        "1" * 5_000,
    ],
)
def test_media_is_never_sent_there(host):
    assert not is_relayable(host)


@pytest.mark.parametrize(
    "host",
    [
        "8.8.8.8",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "2606:4700::1",
        "fd00::1",
        "::ffff:10.0.0.1",
        "64:ff9b::8.8.8.8",
        "2002:808:808::1",
    ],
)
def test_media_may_be_sent_there(host):
    assert is_relayable(host)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.37", "::1", "::ffff:127.0.0.1"])
def test_loopback_is_allowed_when_asked_for_and_only_loopback(host):
    assert is_loopback(host)
    assert is_relayable(host, allow_loopback=True)
    assert not is_relayable("169.254.169.254", allow_loopback=True)
    assert not is_relayable("64:ff9b::127.0.0.1", allow_loopback=True)


def test_private_networks_are_told_from_public_ones():
    assert all(
        is_private(host) for host in ("10.0.0.1", "192.168.0.1", "172.31.0.1", "100.64.0.9", "fd00::1")
    )
    assert not any(is_private(host) for host in ("8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1"))


def test_the_unspecified_address_is_known_in_all_its_clothes():
    assert all(is_unspecified(host) for host in ("0.0.0.0", "::", "::ffff:0.0.0.0"))


@given(st.ip_addresses(v=4))
def test_clothes_do_not_change_the_verdict_on_an_ipv4_address(address):
    plain = is_relayable(str(address), allow_loopback=True)
    mapped = ipaddress.IPv6Address(b"\0" * 10 + b"\xff\xff" + address.packed)
    assert is_relayable(str(mapped), allow_loopback=True) == plain
    assert canonical_host(str(mapped)) == str(address)
    if is_relayable(str(address)):
        assert not (address.is_loopback)
        assert not (address.is_multicast)
        assert not (address.is_unspecified)
        assert not (address.is_link_local)
        assert not (address.is_reserved)


@given(st.ip_addresses(v=6))
def test_no_special_ipv6_address_is_relayable(address):
    if is_relayable(str(address)):
        assert not (address.is_loopback)
        assert not (address.is_multicast)
        assert not (address.is_unspecified)
        assert not address.is_link_local


@given(st.text(max_size=50))
def test_text_that_is_no_address_is_refused_without_a_crash(text):
    is_relayable(text)
