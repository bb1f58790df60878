# SPDX-License-Identifier: Apache-2.0
"""What can be set about the trace in memory? The `[trace]` section."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from ringback.server.config_types import HostName, Section

Word = Annotated[str, Field(min_length=1, max_length=200)]


def _collector(text: str) -> str:
    """host:port, an IPv6 address in brackets; empty stays empty. The host may be a name."""
    if not text:
        return text
    host, _, port = text.rpartition(":")
    if not host or not (port.isascii() and port.isdecimal() and len(port) <= 5 and 0 < int(port) <= 65535):
        raise ValueError(f"{text!r} is not host:port")
    return f"{host}:{int(port)}"


class TraceSettings(Section):
    """Every SIP message that is sent or received is kept for a while, readable also where it was encrypted on
    the wire, so that a call can be looked at when somebody complains. Passwords and keys are struck out
    before anything leaves the memory of the server.
    """

    enabled: bool = True
    """Keep messages. It costs 1 % of a call."""

    memory: Annotated[int, Field(ge=1_000_000, le=16_000_000_000)] = 64_000_000
    """How many bytes of messages are kept in memory, for each process of `workers`; the oldest are forgotten
    first. An idle server uses none of it."""

    age: Annotated[int, Field(ge=10, le=604_800)] = 3600
    """How long messages are kept in memory, in seconds."""

    files: Annotated[int, Field(ge=0, le=10_000)] = 10
    """How many files are kept in the directory `trace` of the data directory, for what is older than the
    memory or than a restart. 0: no message is written to the disk. With more than some 300 calls a second
    writing pauses, so that it costs no more than 1 % of a processor; keep a part of the calls then
    (`sampling`)."""

    file_size: Annotated[int, Field(ge=100_000, le=1_000_000_000)] = 10_000_000
    """How large a file becomes, in bytes, before the next one is begun."""

    sampling: Annotated[float, Field(ge=0.0, le=1.0)] = 1.0
    """Which part of the calls is kept: 0.1 is every tenth one, with all its messages."""

    domains: Annotated[tuple[HostName, ...], Field(max_length=1000)] = ()
    """Keep only calls from, to or through these domains. Empty: all."""

    users: Annotated[tuple[Word, ...], Field(max_length=1000)] = ()
    """Keep only calls from or to these numbers or user names. Empty: all."""

    devices: Annotated[tuple[Word, ...], Field(max_length=1000)] = ()
    """Keep only calls of phones at these IP addresses, or whose User-Agent contains this text. Empty: all."""

    hep: Annotated[str, AfterValidator(_collector)] = ""
    """host:port of a collector, such as Homer's 192.0.2.7:9060, that gets every kept message by HEP version 3
    over UDP. Empty: none."""
