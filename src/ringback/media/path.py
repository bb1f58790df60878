# SPDX-License-Identifier: Apache-2.0
"""How do packets get from one stream to another undecoded? In Python, where somebody looks at them.

The relay in the kernel module carries what nobody looks at. This path is taken where several streams share
a transport on one side only, while a call is recorded, and while something is played to one end.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from ringback.media.stream_port import Packets, StreamPort

#: Payload numbers as they come -> as the other end wants them; None passes everything (fax).
Numbers = Mapping[int, int] | None

_MARKER = 0x80
_NUMBER = 0x7F


class PathJoint:
    """Two streams joined. `start` it; `update` it when the numbers change."""

    def __init__(self, a: StreamPort, b: StreamPort) -> None:
        self._ends = (a, b)
        self._numbers: dict[StreamPort, Numbers] = {}
        #: Who hears something else now.
        self._muted: set[StreamPort] = set()

    def update(self, a_to_b: Numbers, b_to_a: Numbers) -> None:
        """The numbers each way."""
        a, b = self._ends
        self._numbers = {b: a_to_b, a: b_to_a}

    def start(self) -> None:
        """Packets go through from now on."""
        a, b = self._ends
        for one, other in ((a, b), (b, a)):
            one.on_rtp = partial(self._pass, other)
            one.on_rtcp = other.send_rtcp

    def stop(self) -> None:
        """And no more."""
        for port in self._ends:
            port.on_rtp = port.on_rtcp = _nowhere

    def mute(self, target: StreamPort, *, on: bool) -> None:
        """Let `target` not hear its partner."""
        (self._muted.add if on else self._muted.discard)(target)

    def _pass(self, target: StreamPort, packets: Packets) -> None:
        if target in self._muted:
            return
        numbers = self._numbers.get(target)
        if numbers is None:
            target.send_rtp(packets)
            return
        passed = []
        for data in packets:
            second = data[1]
            number = numbers.get(second & _NUMBER)
            if number is None:
                continue  # what was not agreed on is not passed on
            if number != second & _NUMBER:
                data = b"%c%c%b" % (data[0], second & _MARKER | number, data[2:])  # noqa: PLW2901
            passed.append(data)
        if passed:
            target.send_rtp(passed)


def _nowhere(packets: Packets) -> None:
    """Nobody is joined."""
