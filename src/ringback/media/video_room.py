# SPDX-License-Identifier: Apache-2.0
"""Who is seen by whom in a room? Everybody sees who speaks; who speaks sees the one who spoke before.

The room forwards, it decodes nothing (a selective forwarding unit, RFC 7667 section 3.7). Each party gets one
stream, of the one who spoke last among those whose pictures come and whose format it can show.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ringback.media.video_forwarding import View, read
from ringback.media.video_stream import Packets, VideoStream
from ringback.rtp.rtcp_feedback import Feedback
from ringback.sdp.attributes import AudioFormat

if TYPE_CHECKING:
    from ringback.media.room_member import Member

#: How often the room looks who has fallen dark, and asks again for whole pictures.
LOOK_INTERVAL = 0.5


@dataclass(slots=True, eq=False)
class Seat:
    """One party with video."""

    member: Member
    stream: VideoStream
    view: View
    #: What was coming when the room looked last; None when nothing was.
    coming: AudioFormat | None = None

    def looks_different(self) -> bool:
        """True when its pictures have begun or ended since this was asked last, or have another format."""
        before, self.coming = self.coming, self.stream.coming if self.stream.is_live else None
        return self.coming != before


class VideoRoom:
    """The video of a room. Parties join after they have joined the room, and leave before."""

    def __init__(self) -> None:
        #: Who spoke last comes first; who never spoke comes in the order of coming.
        self._seats: list[Seat] = []
        self._by_stream: dict[VideoStream, Seat] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._seats)

    def join(self, member: Member, stream: VideoStream) -> None:
        """A party shows itself, or wants to see, or both."""
        seat = Seat(member, stream, View(stream))
        self._seats.append(seat)
        self._by_stream[stream] = seat
        stream.on_packets, stream.on_feedback = self._forward, self._obey
        stream.on_change = self._changed
        if self._timer is None:
            self._schedule()
        self._choose()

    def leave(self, member: Member) -> None:
        """A party is not seen any more, and sees nothing. One without video may leave, too."""
        for seat in [each for each in self._seats if each.member is member]:
            self._seats.remove(seat)
            del self._by_stream[seat.stream]
            seat.stream.on_packets = seat.stream.on_feedback = _ignore
            seat.stream.on_change = None
            for other in self._seats:
                other.view.forget(seat.stream)
        if not self._seats and self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._choose()

    def speaker_changed(self, member: Member) -> None:
        """Somebody else speaks now."""
        self._seats.sort(key=lambda each: each.member is not member)
        self._choose()

    def close(self) -> None:
        """Everybody out."""
        for seat in list(self._seats):
            self.leave(seat.member)

    def seen_by(self, member: Member) -> Member | None:
        """Whose pictures a party gets at present."""
        shown = next((each.view.shown for each in self._seats if each.member is member), None)
        seat = self._by_stream.get(shown) if shown is not None else None
        return seat.member if seat is not None else None

    # --- inside -----------------------------------------------------------------------------------

    def _choose(self) -> None:
        now = asyncio.get_running_loop().time()
        for seat in self._seats:
            streams = (each.stream for each in self._seats if each.stream.is_live)
            best = next(filter(seat.view.can_show, streams), None)
            if best is not None:
                seat.view.want(best, now)

    def _forward(self, stream: VideoStream, packets: Packets) -> None:
        seat = self._by_stream[stream]
        if seat.looks_different():
            self._choose()
        views = [other.view for other in self._seats if other.view.concerns(stream)]
        if views:
            now = asyncio.get_running_loop().time()
            whole = read(stream, packets)
            for view in views:
                view.take(stream, whole, now)

    def _obey(self, stream: VideoStream, feedback: Feedback) -> None:
        self._by_stream[stream].view.receive_feedback(feedback, asyncio.get_running_loop().time())

    def _changed(self, stream: VideoStream) -> None:
        """A party agreed on something else: other formats, or no video any more."""
        for other in self._seats:
            if not other.view.can_show(stream):
                other.view.forget(stream)
        view = self._by_stream[stream].view
        view.renegotiated()
        for source in (view.shown, view.wanted):
            if source is not None and not view.can_show(source):
                view.forget(source)
        self._choose()

    def _schedule(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(LOOK_INTERVAL, self._look)

    def _look(self) -> None:
        self._schedule()
        changes = [seat.looks_different() for seat in self._seats]
        if any(changes):
            self._choose()
        for seat in self._seats:
            seat.view.remind()
            seat.stream.repeat_request()


def _ignore(stream: VideoStream, what: Packets | Feedback) -> None:
    """The party has left."""
