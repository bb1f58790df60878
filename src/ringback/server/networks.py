# SPDX-License-Identifier: Apache-2.0
"""What is an IP network in a setting? "192.168.1.0/24", in its canonical form."""

from ipaddress import ip_network


def checked_network(text: str) -> str:
    """One address counts as the network of itself."""
    try:
        return str(ip_network(text, strict=False))
    except ValueError:
        raise ValueError(f"{text!r} is no IP network, such as 192.168.1.0/24") from None
