# SPDX-License-Identifier: Apache-2.0
"""What does a stream of sound need of whatever carries its packets? A transport, or one stream of a leg."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ringback.sdp.stream import StreamDescription
from ringback.sip.flow import Address

Packets = list[bytes]


class PacketTransport(Protocol):
    """Plain packets of one stream, in both directions."""

    on_rtp: Callable[[Packets], None]
    on_rtcp: Callable[[Packets], None]
    on_ready: Callable[[], None] | None

    @property
    def is_ready(self) -> bool: ...
    @property
    def destination(self) -> Address | None: ...
    @property
    def suite(self) -> str | None: ...
    @property
    def refused(self) -> int: ...
    @property
    def malformed(self) -> int: ...
    @property
    def srtp_failures(self) -> int: ...
    def connect(
        self, remote: StreamDescription | None, *, is_offerer: bool, signalling_host: str | None = None
    ) -> None: ...
    def send_rtp(self, packets: Packets) -> None: ...
    def send_rtcp(self, packets: Packets) -> None: ...
    def close(self) -> None: ...
