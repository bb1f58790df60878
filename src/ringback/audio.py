# SPDX-License-Identifier: Apache-2.0
"""What do programs name that handle the sound of a call? `from ringback import audio`

await call.audio.write(audio.Pcm(pcm, rate=24_000))
await call.play(audio.beep(440.0, 500))
"""

from ringback.media.call_audio import CallAudio, Mark
from ringback.media.frames import Frame, Pcm
from ringback.media.room import Room
from ringback.media.speech import EspeakVoice, Voice
from ringback.media.tones import TONES, Tone, beep, steady

__all__ = [
    "TONES",
    "CallAudio",
    "EspeakVoice",
    "Frame",
    "Mark",
    "Pcm",
    "Room",
    "Tone",
    "Voice",
    "beep",
    "steady",
]
