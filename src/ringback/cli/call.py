# SPDX-License-Identifier: Apache-2.0
"""`ringback call`: call somebody, play, listen, press keys, and say how it went."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ringback.cli.phone_options import PhoneOptions, gathered, phone_options, started_phone
from ringback.cli.phone_outcome import EXIT_CODE_HELP, run_phone, say
from ringback.ua.errors import CallEnded

if TYPE_CHECKING:
    from ringback.sip.message import Response
    from ringback.ua.call import Call

#: After the last thing was said, so long is listened for what comes back.
ECHO_TIME = 1.0
#: Whoever hangs up so long before the end of a file has heard it.
LAST_WORDS = 1.0
#: Before the first key, so that the other side is ready for it.
KEY_DELAY = 0.5


@click.command(epilog=EXIT_CODE_HELP)
@click.argument("uri")
@click.option("--play", metavar="FILE.wav", help="Play this file, then hang up.")
@click.option("--record", metavar="FILE.wav", help="Record what the other side says.")
@click.option("--dtmf", metavar="DIGITS", help="Press these keys.")
@click.option(
    "--for", "seconds", type=click.FloatRange(0, 86_400), help="Hang up so many seconds after the answer."
)
@click.option(
    "--timeout", type=click.FloatRange(1, 600), default=60.0, show_default=True, help="Let it ring so long."
)
@phone_options
def command(uri: str, **options: Any) -> None:
    """Call URI: a number (102, with --as), an address (bob@example.com) or a whole URI (sip:127.0.0.1:5070).

    Without --play, --dtmf and --for the call lasts until somebody hangs up; Ctrl-C does.
    """
    run_phone(_call(uri, gathered(options), **options))


def check_sound(path: str | None) -> None:
    """Find out about a bad file before anybody's phone rings."""
    from ringback.media.files import read_frames

    if path is not None:
        next(read_frames(path), None)


def check_folder(path: str | None) -> None:
    """Find out that a recording has nowhere to go before anybody's phone rings."""
    if path is not None and not os.access(Path(path).parent, os.W_OK | os.X_OK):
        raise ValueError(f"cannot write {path}: there is no such folder, or it is not yours")


async def _call(
    uri: str,
    options: PhoneOptions,
    *,
    play: str | None,
    record: str | None,
    dtmf: str | None,
    seconds: float | None,
    timeout: float,
) -> None:
    from ringback.ua.call_sound import check_keys

    check_sound(play)
    check_folder(record)
    check_keys(dtmf or "")
    async with started_phone(options, target=uri) as phone:
        say(f"calling {phone.account.resolve(uri)}")
        async with phone.dial(uri, timeout=timeout, on_progress=_progress()) as call:
            say(f"answered{_codec(call)}")
            if record is not None:
                call.record(Path(record))
            try:
                await _talk(call, play=play, dtmf=dtmf, seconds=seconds, records=record is not None)
            finally:
                await call.hangup()
                say(summary(call))


async def _talk(
    call: Call, *, play: str | None, dtmf: str | None, seconds: float | None, records: bool
) -> None:
    """Do what was asked; with nothing to do, stay until somebody hangs up or the time is over."""
    if dtmf:
        await call.while_alive(asyncio.sleep(KEY_DELAY))
        await call.send_dtmf(dtmf)
    if play is not None:
        await _play(call, play)
    if seconds is None and (play is not None or dtmf):
        await _stay(call, ECHO_TIME if records else 0.0)
    else:
        await _stay(call, None if seconds is None else max(0.0, seconds - call.duration))


async def _stay(call: Call, seconds: float | None) -> None:
    """Stay until somebody hangs up, or the time is over."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await call.wait_ended()


async def _play(call: Call, file: str) -> None:
    """Play it all. Who hangs up during its last second has heard it."""
    from ringback.media.files import read_frames
    from ringback.media.pcm import FRAME_MS

    length = sum(FRAME_MS for _ in read_frames(file)) / 1000
    begun = call.duration
    try:
        await call.play(file)
    except CallEnded:
        if call.duration - begun < length - LAST_WORDS:
            raise


def _progress() -> Any:
    """Each new kind of provisional response once."""
    seen: set[int] = set()

    def show(response: Response) -> None:
        if response.status not in seen:
            seen.add(response.status)
            say("ringing" if response.status == 180 else f"{response.status} {response.reason}")

    return show


def _codec(call: Call) -> str:
    stats = call.stats
    return f", {stats.codec}" if stats is not None and stats.codec else ""


def summary(call: Call) -> str:
    """How long a call was and how it sounded."""
    ended = call.ended
    who = "the other side hung up" if ended is not None and ended.by == "remote" else "hung up"
    line = f"{who} after {call.duration:.1f} s"
    stats = call.stats
    if stats is None or not stats.packets_received:
        return f"{line}, nothing was heard"
    total = stats.packets_received + stats.lost
    mos = f", quality {stats.mos:.1f} of 5" if stats.mos is not None else ""
    return f"{line}, {100 * stats.lost / total:.1f} % lost{mos}"
