# SPDX-License-Identifier: Apache-2.0
"""What can be heard, said and pressed in a call?

Everything here needs sound: before the call is answered (or previewed) it is `InvalidState`, and when the
call ends in the middle of something, `CallEnded` is raised there.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ringback.media.call_audio import CallAudio
from ringback.media.frames import Pcm
from ringback.media.in_band_keys import InBandKeys
from ringback.media.speech import speak
from ringback.media.stereo_recording import StereoRecording
from ringback.sip.errors import InvalidState
from ringback.ua.errors import CallEnded

if TYPE_CHECKING:
    from ringback.media.input import Recording
    from ringback.media.room import Room
    from ringback.media.room_member import Member
    from ringback.media.session import AudioSession, Source
    from ringback.media.speech import Voice
    from ringback.media.statistics import StreamStatistics
    from ringback.sip.events import SessionEnded
    from ringback.ua.call_host import CallHost

#: Digits that may wait to be read; a peer can press keys faster than anybody asks for them.
DIGIT_LIMIT = 64
DIGITS = frozenset("0123456789*#ABCD")

Result = TypeVar("Result")


class CallSound:
    """The sound side of a `Call`."""

    def __init__(self, host: CallHost) -> None:
        self._host = host
        self._audio: AudioSession | None = None
        self._call_audio: CallAudio | None = None
        self._in_band: InBandKeys | None = None
        self._over: asyncio.Future[SessionEnded] = asyncio.get_running_loop().create_future()
        self._pressed: deque[str] = deque()
        self._key_came = asyncio.Event()
        self._answered_at: float | None = None
        self._is_previewed = False

    # --- speaking --------------------------------------------------------------------------------------

    async def play(self, source: Source | Pcm | AsyncIterator[bytes | Pcm]) -> None:
        """Play a WAV file, a tone, PCM, or what a generator yields; returns when the last of it was sent."""
        audio = self.living_audio()
        if isinstance(source, AsyncIterator):
            async for piece in source:
                await self.audio.write(piece)
        elif isinstance(source, Pcm):
            await self.while_alive(audio.play(source.pcm, source.rate))
        else:
            await self.while_alive(audio.play(source))

    async def say(self, text: str, *, language: str = "en", voice: Voice | None = None) -> None:
        """Speak `text`: with `voice`, with that of the phone, or with the one installed on this machine."""
        self.living_audio()
        speaking = speak(text, language=language, voice=voice or self._host.voice)
        await self.play(await self.while_alive(speaking))

    async def ask(
        self,
        prompt: Source | Pcm,
        *,
        digits: int = 1,
        timeout: float = 5.0,
        terminator: str = "#",
        barge_in: bool = True,
        language: str = "en",
    ) -> str:
        """Say `prompt` (text; a `Path` is a file) and return up to `digits` keys.

        The first key stops the prompt unless `barge_in` is False. Asking ends with as many keys, with one of
        `terminator` (not returned), or when `timeout` seconds pass without one: then the answer is shorter,
        and "" when nobody pressed anything.
        """
        while self._pressed and self._pressed[0] in terminator:  # of the answer before
            self._pressed.popleft()
        prompting = self.say(prompt, language=language) if isinstance(prompt, str) else self.play(prompt)
        await self._until_key(prompting) if barge_in else await prompting
        return await self.digits(digits, timeout=timeout, end=terminator)

    def write(self, pcm: bytes) -> None:
        """Queue 16 bit PCM at 8 kHz to be said, at the pace of speech. `audio.write` waits for its turn."""
        self.living_audio().write(pcm)

    # --- listening -------------------------------------------------------------------------------------

    @property
    def audio(self) -> CallAudio:
        """The sound piece by piece: `read`, `write`, `flush`, `mark`."""
        self.living_audio()
        assert self._call_audio is not None
        return self._call_audio

    def frames(self) -> AsyncIterator[bytes]:
        """What the other side says, as 20 ms pieces of 16 bit PCM at 8 kHz; ends with the call."""
        return self.living_audio().frames()

    def record(self, path: str | Path, *, stereo: bool = False) -> Recording | StereoRecording:
        """Write what the other side says into a WAV file, until `stop()`, the end of a `with` or of the
        call. `stereo`: they on the left, we on the right.
        """
        audio = self.living_audio()
        return StereoRecording(audio, path) if stereo else audio.record(path)

    @contextmanager
    def mix(self, room: Room, *, name: str = "") -> Iterator[Member]:
        """Be in a room until the end of the `with` block: everybody there is heard but oneself, and who
        speaks is seen, if the call was answered with video.
        """
        audio = self.living_audio()
        member = room.join(audio, name)
        if audio.video is not None:
            room.video.join(member, audio.video.stream)
        try:
            yield member
        finally:
            member.leave()

    @property
    def stats(self) -> StreamStatistics | None:
        """Packets, loss, jitter and `mos` so far, or at the end; None before there was sound."""
        return self._audio.statistics if self._audio is not None else None

    # --- keys ------------------------------------------------------------------------------------------

    async def send_dtmf(self, digits: str) -> None:
        """Press keys (RFC 4733). Returns when the last was sent."""
        check_keys(digits)
        await self.while_alive(self.living_audio().send_dtmf(digits.upper()))

    async def digit(self, *, timeout: float | None = None) -> str | None:
        """The next key the other side pressed; None when none came in `timeout` seconds. It does not matter
        how keys come: as telephone events (RFC 4733), by INFO, or as tones.
        """
        self.living_audio()
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self.while_alive(self._wait_key())
        return self._pressed.popleft() if self._pressed else None

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

    def adopt_audio(self, audio: AudioSession) -> AudioSession:
        """Take sound that was opened before the call was placed or answered."""
        self._audio = audio
        self._call_audio = CallAudio(audio, self.while_alive)
        self._in_band = InBandKeys(audio, self.digit_received)
        audio.on_digit.append(self.digit_received)
        if self._over.done():
            self._host.close_audio(audio)
        return audio

    def sound_agreed(self) -> None:
        """The two ends agreed on something new."""
        if self._in_band is not None:
            self._in_band.follow()

    def digit_received(self, digit: str) -> None:
        """A key was pressed at the other end. Beyond the limit keys are lost, the oldest stay."""
        if digit in DIGITS and len(self._pressed) < DIGIT_LIMIT:
            self._pressed.append(digit)
            self._key_came.set()

    def living_audio(self) -> AudioSession:
        """The sound below; CallEnded or InvalidState when there is none."""
        if self._over.done():
            raise self._ended_error()
        if self._audio is None or (self._answered_at is None and not self._is_previewed):
            raise InvalidState("there is no sound before the call is answered")
        return self._audio

    async def _wait_key(self) -> None:
        while not self._pressed:
            self._key_came.clear()
            await self._key_came.wait()

    async def _until_key(self, prompting: Coroutine[Any, Any, None]) -> None:
        """Let it play until a key is pressed."""
        playing = asyncio.ensure_future(prompting)
        listening = asyncio.ensure_future(self._wait_key())
        try:
            await asyncio.wait((playing, listening), return_when=asyncio.FIRST_COMPLETED)
        finally:
            is_whole = playing.done()
            playing.cancel()
            listening.cancel()
            await asyncio.gather(playing, listening, return_exceptions=True)
        if is_whole:
            playing.result()

    def _ended_error(self) -> CallEnded:
        ended = self._over.result()
        return CallEnded(ended.status, ended.reason, response=ended.response)


def check_keys(digits: str) -> None:
    """ValueError for what no telephone can dial."""
    if not set(digits.upper()) <= DIGITS:
        raise ValueError(f"{digits!r} has keys that no telephone has: use 0-9, *, # and A-D")
