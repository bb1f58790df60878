# SPDX-License-Identifier: Apache-2.0
"""What can be heard, said and pressed in a call?

Everything here needs an answered call: before that it is `InvalidState`, and when the call ends in the
middle of something, `CallEnded` is raised there.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ringback.media.speech import speak
from ringback.sip.errors import InvalidState
from ringback.ua.errors import CallEnded

if TYPE_CHECKING:
    from ringback.media.input import Recording
    from ringback.media.session import AudioSession, Source
    from ringback.media.statistics import StreamStatistics
    from ringback.sip.events import SessionEnded

#: Digits that may wait to be read; a peer can press keys faster than anybody asks for them.
DIGIT_LIMIT = 64
DIGITS = frozenset("0123456789*#ABCD")

Result = TypeVar("Result")


class CallSound:
    """The sound side of a `Call`."""

    def __init__(self) -> None:
        self._audio: AudioSession | None = None
        self._over: asyncio.Future[SessionEnded] = asyncio.get_running_loop().create_future()
        self._digits: asyncio.Queue[str] = asyncio.Queue(DIGIT_LIMIT)
        self._answered_at: float | None = None

    # --- sound -----------------------------------------------------------------------------------------

    async def play(self, source: Source) -> None:
        """Play a WAV file, a tone or PCM frames; returns when the last of it was sent."""
        await self.while_alive(self._living_audio().play(source))

    def record(self, path: str | Path) -> Recording:
        """Write what the other side says into a WAV file, until `stop()`, the end of a `with` or of the
        call.
        """
        return self._living_audio().record(path)

    async def say(self, text: str, *, language: str = "en") -> None:
        """Speak `text` with the voice installed on this machine."""
        audio = self._living_audio()
        pcm = await self.while_alive(speak(text, language=language))
        await self.while_alive(audio.play(pcm))

    def frames(self) -> AsyncIterator[bytes]:
        """What the other side says, as 20 ms pieces of 16 bit PCM at 8 kHz; ends with the call."""
        return self._living_audio().frames()

    def write(self, pcm: bytes) -> None:
        """Queue 16 bit PCM at 8 kHz to be said, at the pace of speech."""
        self._living_audio().write(pcm)

    @property
    def stats(self) -> StreamStatistics | None:
        """Packets, loss, jitter and `mos` so far, or at the end; None before there was sound."""
        return self._audio.statistics if self._audio is not None else None

    # --- keys ------------------------------------------------------------------------------------------

    async def send_dtmf(self, digits: str) -> None:
        """Press keys (RFC 4733). Returns when the last was sent."""
        check_keys(digits)
        await self.while_alive(self._living_audio().send_dtmf(digits.upper()))

    async def digit(self, *, timeout: float | None = None) -> str | None:
        """The next key the other side pressed; None when none came in `timeout` seconds."""
        self._living_audio()
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                return await self.while_alive(self._digits.get())
        return None

    async def digits(self, count: int, *, timeout: float = 5.0, end: str = "#") -> str:
        """Up to `count` keys; fewer when one in `end` comes (not returned) or `timeout` seconds pass
        without one.
        """
        pressed = ""
        while len(pressed) < count:
            digit = await self.digit(timeout=timeout)
            if digit is None or digit in end:
                break
            pressed += digit
        return pressed

    # --- for the call ----------------------------------------------------------------------------------

    async def while_alive(self, work: Coroutine[Any, Any, Result]) -> Result:
        """The result of `work`; when the call ends first, `work` is cancelled and `CallEnded` raised."""
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait((task, self._over), return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            raise self._ended_error()
        finally:
            if not task.done():
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    def digit_received(self, digit: str) -> None:
        """A key was pressed at the other end. Beyond the limit keys are lost, the oldest stay."""
        if digit in DIGITS and not self._digits.full():
            self._digits.put_nowait(digit)

    def _living_audio(self) -> AudioSession:
        if self._over.done():
            raise self._ended_error()
        if self._audio is None or self._answered_at is None:
            raise InvalidState("there is no sound before the call is answered")
        return self._audio

    def _ended_error(self) -> CallEnded:
        ended = self._over.result()
        return CallEnded(ended.status, ended.reason, response=ended.response)


def check_keys(digits: str) -> None:
    """ValueError for what no telephone can dial."""
    if not set(digits.upper()) <= DIGITS:
        raise ValueError(f"{digits!r} has keys that no telephone has: use 0-9, *, # and A-D")
