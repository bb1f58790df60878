# SPDX-License-Identifier: Apache-2.0
"""What can be asked about the calls that are on, and what can be done with them? The rows of VERBS for calls.

calls {limit}                    the newest first
call {id}                        one, by its id or by the Call-ID of one of its legs
call-hangup {id}                 end it
call-transfer {id, to, leg}      who is at this side ("caller" or "callee") speaks with `to` from then on
call-record {id, on}             into a stereo WAV file in the folder `recordings`, or no more
call-play {id, leg, path}        a WAV file of the folder `prompts`, or a built-in prompt, to one side
call-place {from, to}            ring the phones of `from`, then call `to` for whoever picks up
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ringback.media.prompts import PROMPTS
from ringback.pbx.verbs import Verb, anyone, first_found, joined
from ringback.sip.errors import RingbackError

if TYPE_CHECKING:
    from ringback.pbx.app import PhoneSystem
    from ringback.server.call_records.record import CallRecord, Commands

Answer = dict[str, Any]
Arguments = Mapping[str, Any]

#: Calls in one answer: a list of a thousand takes 20 ms.
MOST, USUAL = 1000, 200
NOT_FOUND: Answer = {"found": False}

_UNSAFE = re.compile(r"[^0-9A-Za-z+@._-]+")


async def calls(system: PhoneSystem, arguments: Arguments) -> Answer:
    """Those that are on."""
    limit = _limit(arguments.get("limit"))
    book = system.server.book
    return {"calls": [record.described() for record in book.newest(limit)], "total": book.count}


async def call(system: PhoneSystem, arguments: Arguments) -> Answer:
    """One of them, with its sound as it is now."""
    record = _find(system, arguments)
    if record is None:
        return NOT_FOUND
    await system.server.look_at_call(record.id)
    return {"found": True, "call": record.described()}


async def hang_up(system: PhoneSystem, arguments: Arguments) -> Answer:
    record = _find(system, arguments)
    if record is None:
        return NOT_FOUND
    _commands(record).hang_up()
    return {"found": True}


async def transfer(system: PhoneSystem, arguments: Arguments) -> Answer:
    record = _find(system, arguments)
    if record is None:
        return NOT_FOUND
    await _commands(record).transfer(_text(arguments, "to"), side=str(arguments.get("leg") or ""))
    return {"found": True}


async def record_call(system: PhoneSystem, arguments: Arguments) -> Answer:
    """The file is named by the time and by who speaks; its name is in the record."""
    record = _find(system, arguments)
    if record is None:
        return NOT_FOUND
    if arguments.get("on") is False:
        await _commands(record).stop_recording()
        return {"found": True, "recording": record.recording}
    folder = system.data / "recordings"
    await asyncio.to_thread(folder.mkdir, mode=0o700, parents=True, exist_ok=True)
    name = _file_name(record)
    await _commands(record).record(str(folder / name))
    record.recording = name
    record.note("the call is recorded")
    return {"found": True, "recording": name}


async def play(system: PhoneSystem, arguments: Arguments) -> Answer:
    record = _find(system, arguments)
    if record is None:
        return NOT_FOUND
    path = await asyncio.to_thread(_prompt, system.data / "prompts", _text(arguments, "path"))
    await _commands(record).play(str(path), side=str(arguments.get("leg") or ""))
    return {"found": True}


async def place(system: PhoneSystem, arguments: Arguments) -> Answer:
    record = system.server.place_call(_text(arguments, "from"), _text(arguments, "to"))
    return {"id": record.id, "call": record.described()}


def newest_first(answers: Sequence[Answer]) -> Answer:
    """The calls of all processes."""
    total = joined(answers)
    total["calls"].sort(key=lambda each: -float(each["began_at"]))
    return total


def _find(system: PhoneSystem, arguments: Arguments) -> CallRecord | None:
    return system.server.book.find(_text(arguments, "id"))


def _commands(record: CallRecord) -> Commands:
    if record.commands is None:
        raise RingbackError("this call is only passed on by this server: nothing can be done with it here")
    return record.commands


def _text(arguments: Arguments, name: str) -> str:
    text = arguments.get(name)
    if not isinstance(text, str) or not text:
        raise RingbackError(f"{name} is missing")
    return text


def _limit(value: object) -> int:
    return min(value, MOST) if isinstance(value, int) and value > 0 else USUAL


def _file_name(record: CallRecord) -> str:
    when = time.strftime("%Y%m%d-%H%M%S", time.gmtime(record.book.now))
    who = "-".join(_UNSAFE.sub("_", party.shown)[:40] for party in (record.caller, record.callee))
    return f"{when}-{who}-{record.id}.wav"


def _prompt(folder: Path, name: str) -> Path:
    """A file of the folder and of no other, or what comes with the program."""
    try:
        file = (folder / name).resolve()
        if file.is_relative_to(folder.resolve()) and file.is_file():
            return file
    except (OSError, ValueError):  # ValueError: a name with a zero octet
        pass
    if name in PROMPTS:
        return Path(str(files("ringback.media").joinpath("prompts", f"{name}.wav")))
    raise RingbackError(f"there is no prompt {name!r}: put a WAV file into {folder}")


ROWS: dict[str, Verb] = {
    "calls": Verb(calls, newest_first),
    "call": Verb(call, first_found),
    "call-hangup": Verb(hang_up, first_found),
    "call-transfer": Verb(transfer, first_found),
    "call-record": Verb(record_call, first_found),
    "call-play": Verb(play, first_found),
    "call-place": Verb(place, anyone, is_for_one=True),
}
