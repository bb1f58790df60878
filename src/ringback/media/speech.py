# SPDX-License-Identifier: Apache-2.0
"""How does text become sound? Through a program that speaks: a subprocess behind a small interface.

The program gets the text on its standard input, never as an argument, and writes a WAV file to its output.
"""

from __future__ import annotations

import asyncio
import io
import re
import shutil
from typing import Protocol

from ringback.media.errors import SpeechUnavailable, UnreadableAudio
from ringback.media.files import decode_wave
from ringback.media.frames import Pcm

LONGEST_TEXT = 5_000
LONGEST_WAIT = 30.0
#: Good enough for browsers; telephones get half of it.
WIDEBAND = 16_000

_VOICE = re.compile(r"[a-z]{2,3}(?:-[A-Za-z0-9]{1,8}){0,3}", re.ASCII)


class Voice(Protocol):
    """Whatever can speak. `speak` returns sound with its rate, or PCM of 16 bits at 8000 Hz."""

    async def speak(self, text: str, *, language: str = "en") -> Pcm | bytes: ...


class EspeakVoice:
    """The program espeak-ng: small, quick, a hundred languages."""

    def __init__(
        self, program: str = "espeak-ng", *, words_per_minute: int = 150, rate: int = WIDEBAND
    ) -> None:
        self._program = program
        self._rate = rate
        self._words_per_minute = words_per_minute

    async def speak(self, text: str, *, language: str = "en") -> Pcm:
        """The sound of `text`; SpeechUnavailable when the program is missing or fails."""
        if len(text) > LONGEST_TEXT:
            raise ValueError(f"a text of more than {LONGEST_TEXT} characters")
        if not _VOICE.fullmatch(language):
            raise ValueError(f"not a language: {language!r}")
        program = shutil.which(self._program)
        if program is None:
            raise SpeechUnavailable(
                f"the program {self._program} is not installed: text cannot be spoken "
                "(Debian and Ubuntu: apt install espeak-ng; macOS: brew install espeak-ng)"
            )
        return Pcm(_decoded(await self._run(program, text, language), self._rate), self._rate)

    async def _run(self, program: str, text: str, language: str) -> bytes:
        process = await asyncio.create_subprocess_exec(
            program,
            "--stdin",
            "--stdout",
            "-v",
            language,
            "-s",
            str(self._words_per_minute),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(LONGEST_WAIT):
                output, errors = await process.communicate(text.replace("\0", " ").encode())
        except TimeoutError:
            raise SpeechUnavailable(f"{self._program} did not finish in {LONGEST_WAIT:g} s") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            reason = errors.decode(errors="replace").strip(" \t\r\n")[:200]
            raise SpeechUnavailable(f"{self._program} failed: {reason}")
        return output


async def speak(text: str, *, language: str = "en", voice: Voice | None = None) -> Pcm:
    """`text` as sound, by the voice installed here (espeak-ng) or a given one."""
    sound = await (voice or EspeakVoice()).speak(text, language=language)
    return Pcm(sound) if isinstance(sound, bytes) else sound


def _decoded(output: bytes, rate: int) -> bytes:
    if not output:
        return b""
    try:
        return decode_wave(io.BytesIO(output), rate)
    except UnreadableAudio as error:
        raise SpeechUnavailable(f"the speech program wrote no sound: {error}") from error
