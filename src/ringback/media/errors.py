# SPDX-License-Identifier: Apache-2.0
"""What can go wrong with media? Foreign exceptions are turned into these once, here in media/."""

from ringback.sip.errors import RingbackError


class MediaError(RingbackError):
    """The root of what media raises on purpose."""


class UnreadableAudio(MediaError):
    """A file is missing or holds no sound we can read."""


class UnwritableAudio(MediaError):
    """A recording cannot be written."""


class NoFreePort(MediaError):
    """Every port of the range is taken."""


class SpeechUnavailable(MediaError):
    """Text cannot be spoken; the message says what to install."""


class CodecUnavailable(MediaError):
    """A codec cannot be used on this machine; the message says what is missing."""
