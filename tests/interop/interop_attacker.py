# SPDX-License-Identifier: Apache-2.0
"""An attacker who sends RTP and RTCP to every port of a range, and counts what comes back (RELIABILITY row 39)."""

import audioop
import math
import socket
import struct
import threading
import time
from types import TracebackType
from typing import Self

from interop_network import Namespace

ETH_P_IP = 0x0800
PACKET_OUTGOING = 4
UDP = 17
#: A round takes one packet to each port, twenty milliseconds of sound.
ROUND = 0.02
SAMPLES = 160


class Spray:
    """While it is entered, each RTP port hears an unbroken stream of a tone, and each RTCP port a report."""

    def __init__(self, place: Namespace, target: str, ports: range, frequency: float) -> None:
        self.sent = 0
        self.received = 0
        self._target = target
        self._ports = ports
        self._frequency = frequency
        self._socket = place.udp_socket()
        self._all = place.inside(
            lambda: socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_IP))
        )
        self._all.setblocking(False)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._spray)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._count()
        self._socket.close()
        self._all.close()

    def _spray(self) -> None:
        started = time.monotonic()
        number = 0
        while not self._stop.wait(max(0.0, started + number * ROUND - time.monotonic())):
            voice, report = self._voice(number), struct.pack("!BBHI", 0x80, 201, 1, 0xBAD)
            for port in self._ports:
                self._socket.sendto(report if port % 2 else voice, (self._target, port))
                self.sent += 1
            self._count()
            number += 1

    def _voice(self, number: int) -> bytes:
        """One packet of G.711 mu-law, numbered as the standard wants it (RFC 3550 section 5.1)."""
        first = number * SAMPLES
        step = 2 * math.pi * self._frequency / 8000
        samples = (int(20_000 * math.sin(step * n)) for n in range(first, first + SAMPLES))
        head = struct.pack("!BBHII", 0x80, 0, number & 0xFFFF, first, 0xBAD)
        return head + audioop.lin2ulaw(struct.pack(f"<{SAMPLES}h", *samples), 2)

    def _count(self) -> None:
        """Every UDP packet that reaches the machine, to whatever port."""
        while True:
            try:
                packet, (_, _, direction, *_) = self._all.recvfrom(2048)
            except BlockingIOError:
                return
            if direction != PACKET_OUTGOING and packet[9] == UDP:
                self.received += 1
