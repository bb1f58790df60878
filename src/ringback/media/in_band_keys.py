# SPDX-License-Identifier: Apache-2.0
"""Which keys are pressed as tones? Those of peers that know no telephone events are found in their sound.

A peer that does know them (RFC 4733) is not listened to: its keys would be heard twice where a gateway lets
the beginning of the tone through.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ringback.media.dtmf_detector import DtmfDetector

if TYPE_CHECKING:
    from ringback.media.session import AudioSession


class InBandKeys:
    """Listens to one session for as long as `follow` finds that it must, or until the session is closed."""

    __slots__ = ("_detector", "_pressed", "_session")

    def __init__(self, session: AudioSession, pressed: Callable[[str], None]) -> None:
        self._session = session
        self._pressed = pressed
        self._detector: DtmfDetector | None = None

    def follow(self) -> None:
        """Something was negotiated."""
        negotiated = self._session.negotiated
        is_needed = negotiated is not None and negotiated.telephone_event is None
        if is_needed and self._detector is None:
            self._detector = DtmfDetector()
            self._session.input.add(self._hear)
        elif not is_needed and self._detector is not None:
            self._detector = None
            self._session.input.remove(self._hear)

    def _hear(self, frame: bytes) -> None:
        assert self._detector is not None
        for key in self._detector.feed(frame):
            self._pressed(key)
