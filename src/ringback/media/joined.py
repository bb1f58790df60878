# SPDX-License-Identifier: Apache-2.0
"""How do two sessions hear each other? What one hears the other says, as it comes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ringback.media.session import AudioSession


class Joined:
    """Two sessions joined from the moment this is made until `separate`."""

    __slots__ = ("_pairs",)

    def __init__(self, one: AudioSession, other: AudioSession) -> None:
        self._pairs = (_OneWay(one, other), _OneWay(other, one))

    def separate(self) -> None:
        """Let each be alone again. Twice is as good as once."""
        for each in self._pairs:
            each.stop()


class _OneWay:
    """From the ear of one to the mouth of the other."""

    __slots__ = ("_source", "_target")

    def __init__(self, source: AudioSession, target: AudioSession) -> None:
        self._source, self._target = source, target
        source.input.hearers.append(self._pass_on)

    def stop(self) -> None:
        if self._pass_on in self._source.input.hearers:
            self._source.input.hearers.remove(self._pass_on)

    def _pass_on(self, frame: bytes, rate: int) -> None:
        if not self._target.is_closed:
            self._target.output.forward(frame, rate)
