# SPDX-License-Identifier: Apache-2.0
"""`ringback answer`: a phone that picks up, plays, records or repeats what it hears."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ringback.cli.call import check_folder, check_sound, summary
from ringback.cli.phone_options import PhoneOptions, gathered, phone_options, started_phone
from ringback.cli.phone_outcome import EXIT_CODE_HELP, run_phone, say
from ringback.ua.errors import CallError

if TYPE_CHECKING:
    from ringback.ua.call import Call
    from ringback.ua.messaging import TextMessage
    from ringback.ua.phone import Phone


@click.command(epilog=EXIT_CODE_HELP)
@click.option("--play", metavar="FILE.wav", help="Play this file to who calls, then hang up.")
@click.option(
    "--record", metavar="FILE.wav", help="Record what callers say; the second call goes to FILE-2.wav."
)
@click.option("--echo", is_flag=True, help="Send back what the caller says.")
@click.option("--once", is_flag=True, help="End after the first call.")
@click.option(
    "--for", "seconds", type=click.FloatRange(0, 86_400), help="Hang up so many seconds after the answer."
)
@phone_options
def command(**options: Any) -> None:
    """Be a phone that answers: anybody's calls, or with --as those to a registered number. Ctrl-C ends it."""
    phone = gathered(options)
    answering = Answering(**options)
    with suppress(KeyboardInterrupt):
        run_phone(_answer(phone, answering))


class Answering:
    """What happens to calls that come in."""

    def __init__(
        self, *, play: str | None, record: str | None, echo: bool, once: bool, seconds: float | None
    ) -> None:
        from ringback.media.tones import beep

        self.file, self.recording = play, record
        self._sound = play if play is not None else beep(440.0, 500)
        self._hangs_up = play is not None
        self._record = Path(record) if record is not None else None
        self._echo = echo
        self._once = once
        self._seconds = seconds
        self._count = 0
        self.finished = asyncio.Event()

    async def __call__(self, call: Call) -> None:
        """One call, from ringing to its end."""
        self._count += 1
        number = self._count
        say(f"call {number} from {call.caller}")
        try:
            await call.ring()
            await call.answer()
            if self._record is not None:
                call.record(self._path(number))
            async with asyncio.timeout(self._seconds):
                await self._talk(call)
        except TimeoutError:
            pass
        except CallError as error:
            say(f"call {number}: {error}")
        finally:
            await call.hangup()
            say(f"call {number}: {summary(call)}")
            if self._once:
                self.finished.set()

    async def _talk(self, call: Call) -> None:
        if self._echo:
            async for frame in call.frames():
                call.write(frame)
            return
        await call.play(self._sound)
        if not self._hangs_up:
            await call.wait_ended()

    def _path(self, number: int) -> Path:
        assert self._record is not None
        return self._record if number == 1 else self._record.with_stem(f"{self._record.stem}-{number}")


async def show_message(message: TextMessage) -> None:
    """A text message that came in."""
    say(f"message from {message.sender}: {message.text}")


async def _answer(options: PhoneOptions, answering: Answering) -> None:
    def prepare(phone: Phone) -> None:
        phone.on_call(answering)
        phone.on_message(show_message)

    check_sound(answering.file)
    check_folder(answering.recording)
    async with started_phone(options, register=options.who is not None, prepare=prepare) as phone:
        if phone.registered:
            click.echo(f"registered {phone.account.uri}, ready for calls")
        else:
            click.echo(f"ready for calls at {phone.agent.contact.uri}")
        await answering.finished.wait()
