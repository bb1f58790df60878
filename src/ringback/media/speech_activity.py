# SPDX-License-Identifier: Apache-2.0
"""Does somebody speak now? Judged frame by frame: by webrtcvad where it is installed, else by loudness.

A word is believed after 60 ms of it, and its end after 400 ms of something else: a click starts no barge-in
and a breath ends no sentence.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Protocol

from ringback.media.pcm import FRAME_MS, SAMPLE_BYTES, SAMPLE_RATE, audioop

#: Frames of 20 ms that must sound like speech before it has begun, and that must not before it has ended.
BEGINS_AFTER = 3
ENDS_AFTER = 20

#: How sure webrtcvad has to be, 0 to 3, and the rates it knows.
AGGRESSIVENESS = 2
KNOWN_RATES = frozenset((8_000, 16_000, 32_000, 48_000))

#: Softer than this (of 32767, root of the mean square) is no speech, whatever the background is like.
SOFTEST_SPEECH = 200.0
#: Speech is so many times as loud as the background.
ABOVE_BACKGROUND = 3.0
#: How quickly the background follows what is softer than it, and what is louder.
FALL, RISE = 0.3, 0.02

IsSpeech = Callable[[bytes], bool]


class Loudness:
    """Speech is what is clearly louder than the background, which is learned as it goes."""

    __slots__ = ("_background",)

    def __init__(self) -> None:
        self._background = SOFTEST_SPEECH / ABOVE_BACKGROUND

    def is_speech(self, pcm: bytes) -> bool:
        """Judge one frame of any rate."""
        level = float(audioop.rms(pcm, SAMPLE_BYTES)) if pcm else 0.0
        is_loud = level > max(SOFTEST_SPEECH, self._background * ABOVE_BACKGROUND)
        follow = FALL if level < self._background else RISE
        if not is_loud:
            self._background += (level - self._background) * follow
        return is_loud


class SpeechActivity:
    """Follows one stream: `hear` every frame of 20 ms, then look at `is_speech`, `started` and `ended`."""

    __slots__ = ("_for", "_judge", "ended", "is_speech", "started")

    def __init__(self, rate: int = SAMPLE_RATE, *, judge: IsSpeech | None = None) -> None:
        self._judge = judge or judge_for(rate)
        #: For how many frames now the judgement was not what we say.
        self._for = 0
        self.is_speech = self.started = self.ended = False

    def hear(self, pcm: bytes) -> None:
        """Take the next frame."""
        self.started = self.ended = False
        if self._judge(pcm) == self.is_speech:
            self._for = 0
            return
        self._for += 1
        if self._for >= (ENDS_AFTER if self.is_speech else BEGINS_AFTER):
            self._for = 0
            self.is_speech = not self.is_speech
            self.started, self.ended = self.is_speech, not self.is_speech


def judge_for(rate: int) -> IsSpeech:
    """The best judge there is for frames of 20 ms at `rate`."""
    module = _webrtcvad()
    if module is None or rate not in KNOWN_RATES:
        return Loudness().is_speech
    size = rate * FRAME_MS // 1_000 * SAMPLE_BYTES
    vad, loudness = module(AGGRESSIVENESS), Loudness()

    def is_speech(pcm: bytes) -> bool:
        # The model takes some hums and line noise for speech: what is not louder than the room is not.
        is_loud = loudness.is_speech(pcm)
        return is_loud and len(pcm) == size and vad.is_speech(pcm, rate)

    return is_speech


@cache
def _webrtcvad() -> Callable[[int], _Vad] | None:
    """The class Vad of the extra `media`; None without it."""
    try:
        found: Callable[[int], _Vad] = import_module("webrtcvad").Vad
    except ImportError:
        return None
    return found


class _Vad(Protocol):
    """What webrtcvad.Vad looks like."""

    def is_speech(self, buf: bytes, sample_rate: int, /) -> bool: ...
