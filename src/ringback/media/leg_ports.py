# SPDX-License-Identifier: Apache-2.0
"""Which streams of a leg carry media now? One `StreamPort` for each m= line that is in use."""

from __future__ import annotations

from collections.abc import Sequence

from ringback.media.facilities import Carrier
from ringback.media.stream_port import Demultiplexer, StreamPort
from ringback.sdp.attributes import TELEPHONE_EVENT, AudioFormat, stream_formats
from ringback.sdp.security import is_rtp
from ringback.sdp.session import SessionDescription
from ringback.sdp.stream import StreamDescription


class LegPorts:
    """The ports of a leg, by the index of their m= line; a port outlives what is negotiated on it."""

    def __init__(self) -> None:
        self._ports: dict[int, StreamPort] = {}
        self._demultiplexers: dict[int, Demultiplexer] = {}
        self._used: set[int] = set()

    def __getitem__(self, index: int) -> StreamPort | None:
        """The port of an m= line that is in use."""
        return self._ports.get(index) if index in self._used else None

    def all(self) -> list[tuple[int, StreamPort]]:
        """Every port there ever was, for the statistics."""
        return sorted(self._ports.items())

    def update(
        self,
        carriers: Sequence[Carrier | None],
        ours: SessionDescription,
        theirs: Sequence[StreamDescription],
    ) -> None:
        """This is in force now."""
        self._used.clear()
        for index, (carrier, stream) in enumerate(zip(carriers, theirs, strict=False)):
            media = ours.media[index]
            is_open = not stream.is_rejected and (media.line.port or stream.is_bundled)
            if carrier is None or not is_open:
                continue
            self._used.add(index)
            port = self._ports.get(index)
            if port is None or port.carrier is not carrier:
                port = self._ports[index] = StreamPort(stream.kind, carrier)
            own_formats = stream_formats(media) if is_rtp(media.line.protocol) else ()
            _configure(port, (*stream.formats, *own_formats))
        for carrier in carriers:
            if carrier is not None:
                self.listen(carrier)

    def on(self, carrier: Carrier) -> list[StreamPort]:
        """The ports in use that share a carrier."""
        return [self._ports[index] for index in sorted(self._used) if self._ports[index].carrier is carrier]

    def listen(self, carrier: Carrier) -> None:
        """Let what comes on a carrier get to its ports (again)."""
        ports = self.on(carrier)
        if ports:
            self._demultiplexers.setdefault(id(carrier), Demultiplexer(carrier)).serve(ports)


def _configure(port: StreamPort, formats: Sequence[AudioFormat]) -> None:
    port.clock_rates = {each.payload_type: each.clock_rate for each in formats}
    port.event_rates = {
        each.payload_type: each.clock_rate for each in formats if each.encoding.lower() == TELEPHONE_EVENT
    }
