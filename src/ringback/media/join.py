# SPDX-License-Identifier: Apache-2.0
"""How are two legs of a bridge joined? Stream by stream, each in the cheapest way that does it.

What both ends can take as it is goes through the relay; where somebody looks at the packets, through a path
in Python; and where the ends share no codec, through PCM.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ringback.media.ear import Ear
from ringback.media.input import Input
from ringback.media.leg import Leg
from ringback.media.negotiated import negotiated_audio
from ringback.media.output import Output
from ringback.media.path import Numbers, PathJoint
from ringback.media.path_voice import PathVoice
from ringback.media.relayed import RelayedJoint, is_relayable
from ringback.media.sender import Sender
from ringback.media.stream_port import StreamPort
from ringback.media.transcoder import TranscodingJoint
from ringback.sdp.offer_answer import NegotiatedAudio
from ringback.sdp.translation import payload_map

Joint = PathJoint | RelayedJoint | TranscodingJoint


@dataclass(slots=True)
class Speaking:
    """Who speaks to a leg beside its partner, until `stop`."""

    output: Output
    sender: Sender
    stop: Callable[[], None]


class Join:
    """Two legs that hear each other, from `renew` to `stop`."""

    def __init__(self, a: Leg, b: Leg, random_bytes: Callable[[int], bytes]) -> None:
        self.legs = (a, b)
        self._random_bytes = random_bytes
        self._joints: dict[int, Joint] = {}
        self._ends: dict[int, tuple[StreamPort, StreamPort]] = {}
        #: How many want to see the packets, or to speak: the relay lets nobody.
        self._watchers = 0
        self._is_stopped = False

    @property
    def is_transcoded(self) -> bool:
        return any(isinstance(joint, TranscodingJoint) for joint in self._joints.values())

    def partner(self, leg: Leg) -> Leg:
        """The other one."""
        a, b = self.legs
        return b if leg is a else a

    def renew(self) -> None:
        """Join what is in force now; what stays the same goes on undisturbed."""
        if self._is_stopped:  # somebody who watched has left after the two were parted
            return
        a, b = self.legs
        count = min(len(leg.theirs.streams) if leg.theirs else 0 for leg in self.legs)
        for index in range(count):
            one, other = a.ports[index], b.ports[index]
            if one is None or other is None:
                self._end(index)
            else:
                self._join(index, one, other)

    def stop(self) -> None:
        """Neither hears the other any more, for good."""
        self._is_stopped = True
        for index in list(self._joints):
            self._end(index)

    # --- who hears along, who speaks

    def watch(self, *, on: bool) -> None:
        """Let every packet be seen, or no more."""
        self._watchers += 1 if on else -1
        self.renew()

    def listen(self, leg: Leg) -> tuple[Input, Callable[[], None]] | None:
        """The sound that comes from a leg, and how to end listening; None while it has none."""
        found = self._audio(leg)
        if found is None:
            return None
        joint, port, negotiated = found
        if isinstance(joint, TranscodingJoint):
            return joint.streams[port].input, lambda: None
        ear = Ear(port, self._random_bytes)
        ear.start(negotiated)
        return ear.input, ear.stop

    def speak(self, leg: Leg) -> Speaking | None:
        """Speak to a leg in place of its partner; None while it has no sound. Only while somebody watches."""
        found = self._audio(leg)
        if found is None:
            return None
        joint, port, negotiated = found
        if isinstance(joint, TranscodingJoint):
            stream = joint.streams[port]
            return Speaking(stream.output, stream.sender, lambda: None)
        voice = PathVoice(port, self._random_bytes)
        voice.start(negotiated)
        if isinstance(joint, PathJoint):
            joint.mute(port, on=True)
        return Speaking(voice.output, voice.sender, partial(_be_silent, voice, joint, port))

    def _audio(self, leg: Leg) -> tuple[Joint, StreamPort, NegotiatedAudio] | None:
        side = self.legs.index(leg)
        for index, joint in sorted(self._joints.items()):
            negotiated = negotiated_audio(leg, index)
            if negotiated is not None:
                return joint, self._ends[index][side], negotiated
        return None

    # --- stream by stream

    def _join(self, index: int, one: StreamPort, other: StreamPort) -> None:
        a, b = self.legs
        there, back = _numbers(a, b, index), _numbers(b, a, index)
        if one.kind == "image":
            self._pass(index, one, other, None, None)
        elif one.kind == "audio" and (there is None or back is None):
            self._transcode(index, one, other)
        else:
            self._pass(index, one, other, there or {}, back or {})

    def _pass(self, index: int, one: StreamPort, other: StreamPort, there: Numbers, back: Numbers) -> None:
        a, b = self.legs
        is_alone = len(a.ports.on(one.carrier)) == 1 == len(b.ports.on(other.carrier))
        wanted = RelayedJoint if not self._watchers and is_alone and is_relayable(one, other) else PathJoint
        joint = self._current(index, one, other)
        if not isinstance(joint, wanted):
            self._end(index)
            joint = wanted(one, other)
        joint.update(there, back)
        self._begin(index, joint, one, other)

    def _transcode(self, index: int, one: StreamPort, other: StreamPort) -> None:
        a, b = self.legs
        here, there = negotiated_audio(a, index), negotiated_audio(b, index)
        if here is None or there is None:
            self._end(index)  # nothing we can decode
            return
        joint = self._current(index, one, other)
        if not isinstance(joint, TranscodingJoint):
            self._end(index)
            joint = TranscodingJoint(one, other, self._random_bytes)
        joint.update({one: here, other: there})
        self._begin(index, joint, one, other)

    def _current(self, index: int, one: StreamPort, other: StreamPort) -> Joint | None:
        return self._joints.get(index) if self._ends.get(index) == (one, other) else None

    def _begin(self, index: int, joint: Joint, one: StreamPort, other: StreamPort) -> None:
        if self._joints.get(index) is not joint:
            self._joints[index], self._ends[index] = joint, (one, other)
            joint.start()

    def _end(self, index: int) -> None:
        joint = self._joints.pop(index, None)
        if joint is None:
            return
        joint.stop()
        for leg, port in zip(self.legs, self._ends.pop(index), strict=True):
            leg.ports.listen(port.carrier)


def _be_silent(voice: PathVoice, joint: Joint, port: StreamPort) -> None:
    voice.stop()
    if isinstance(joint, PathJoint):
        joint.mute(port, on=False)


def _numbers(sender: Leg, receiver: Leg, index: int) -> dict[int, int] | None:
    """How payload numbers change on the way; None when nothing fits."""
    if sender.ours is None or sender.theirs is None or receiver.ours is None or receiver.theirs is None:
        return None
    return payload_map(
        to_sender=sender.ours.media[index],
        of_sender=sender.theirs.description.media[index],
        of_receiver=receiver.theirs.description.media[index],
        to_receiver=receiver.ours.media[index],
    )
