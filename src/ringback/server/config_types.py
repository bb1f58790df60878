# SPDX-License-Identifier: Apache-2.0
"""What is a value of a setting, and what is a section? What the classes in `config.py` are made of."""

import re
from ipaddress import ip_address
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

HOST_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*\.?")


def _address(text: str) -> str:
    """An IP address in its canonical form; one with a zone, or mapped from the other family, is refused."""
    try:
        address = ip_address(text)
    except ValueError:
        raise ValueError(f"{text!r} is no IP address") from None
    if address.version == 6 and (address.ipv4_mapped or address.scope_id):
        raise ValueError(f"{text!r} is no plain IPv6 address")
    return str(address)


def _host_name(text: str) -> str:
    """A domain name in lower case, or an IP address; empty stays empty."""
    lower = text.lower() if text.isascii() else text
    if not lower or (
        len(lower) <= 253 and HOST_NAME.fullmatch(lower) and not lower.replace(".", "").isdecimal()
    ):
        return lower.rstrip(".")
    try:
        return _address(lower.strip("[]"))
    except ValueError:
        raise ValueError(f"{text!r} is no domain name and no IP address") from None


def _host_port(text: str) -> str:
    """address:port, an IPv6 address in brackets."""
    host, _, port = text.rpartition(":")
    if not (port.isascii() and port.isdecimal() and len(port) <= 5 and 0 < int(port) <= 65535):
        raise ValueError(f"{text!r} does not end with :port")
    bare = _address(host.removeprefix("[").removesuffix("]"))
    return f"[{bare}]:{int(port)}" if ":" in bare else f"{bare}:{int(port)}"


Port = Annotated[int, Field(ge=0, le=65535)]
HostPort = Annotated[str, AfterValidator(_host_port)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
IpAddress = Annotated[str, AfterValidator(_address)]
HostName = Annotated[str, AfterValidator(_host_name)]
DigestAlgorithm = Literal["SHA-512-256", "SHA-256", "MD5"]
LogLevel = Literal["debug", "info", "warning", "error"]


class Section(BaseModel):
    """A table of the settings file. Frozen: a reload makes a new one, it never changes this one."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        hide_input_in_errors=True,
    )
