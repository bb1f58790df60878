# SPDX-License-Identifier: Apache-2.0
"""How were the prompts made? By espeak-ng, from the texts in `ringback.media.prompts`.

    .venv/bin/python tools/make_prompts.py [FOLDER]

Each sound is cut where it is silent, brought to one loudness and written as WAV, G.711 mu-law, 8 kHz.
"""

import asyncio
import struct
import sys
from pathlib import Path

import ringback.media.prompts
from ringback.media.pcm import FRAME_BYTES, SAMPLE_RATE, audioop, scale
from ringback.media.prompts import PROMPTS
from ringback.media.speech import EspeakVoice

FOLDER = Path(ringback.media.prompts.__file__).with_suffix("")
#: Loudness (root mean square) of all prompts: about -16 dBm0.
LOUDNESS = 4_000
SILENT = 250


def trimmed(pcm: bytes) -> bytes:
    """Without the silence around it, save one frame at each end."""
    frames = [pcm[at : at + FRAME_BYTES] for at in range(0, len(pcm), FRAME_BYTES)]
    loud = [number for number, frame in enumerate(frames) if audioop.rms(frame, 2) > SILENT]
    return b"".join(frames[max(0, loud[0] - 1) : loud[-1] + 2])


def levelled(pcm: bytes) -> bytes:
    """At one loudness, but never clipped."""
    return scale(pcm, min(LOUDNESS / audioop.rms(pcm, 2), 32_000 / audioop.max(pcm, 2)))


def mu_law_file(pcm: bytes) -> bytes:
    """A WAV file of format 7 (RFC 2361)."""
    data = audioop.lin2ulaw(pcm, 2)
    head = struct.pack("<HHIIHHH", 7, 1, SAMPLE_RATE, SAMPLE_RATE, 1, 8, 0)
    fact = struct.pack("<I", len(data))
    chunks = ((b"fmt ", head), (b"fact", fact), (b"data", data + bytes(len(data) % 2)))
    body = b"WAVE" + b"".join(name + struct.pack("<I", len(chunk)) + chunk for name, chunk in chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    voice = EspeakVoice(words_per_minute=145, rate=SAMPLE_RATE)
    total = 0
    for name, text in PROMPTS.items():
        data = mu_law_file(levelled(trimmed(asyncio.run(voice.speak(text)).pcm)))
        (folder / f"{name}.wav").write_bytes(data)
        total += len(data)
    print(f"{len(PROMPTS)} prompts, {total} bytes, in {folder}")


main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
