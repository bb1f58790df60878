# SPDX-License-Identifier: Apache-2.0
"""What can be said without a program that speaks? Recorded sentences, and numbers put together of them.

The files in the folder `prompts/` were made once by `tools/make_prompts.py` from the texts below: WAV, G.711
mu-law, 8 kHz. A prompt is added by a row and a run of that script.
"""

from __future__ import annotations

import io
from functools import lru_cache
from importlib.resources import files

from ringback.media.errors import UnreadableAudio
from ringback.media.files import decode_wave

#: Name of the file -> what it says.
PROMPTS: dict[str, str] = {
    "0": "zero",
    "1": "one",
    "2": "two",
    "3": "three",
    "4": "four",
    "5": "five",
    "6": "six",
    "7": "seven",
    "8": "eight",
    "9": "nine",
    "10": "ten",
    "11": "eleven",
    "12": "twelve",
    "13": "thirteen",
    "14": "fourteen",
    "15": "fifteen",
    "16": "sixteen",
    "17": "seventeen",
    "18": "eighteen",
    "19": "nineteen",
    "20": "twenty",
    "30": "thirty",
    "40": "forty",
    "50": "fifty",
    "star": "star",
    "hash": "hash",
    "plus": "plus",
    "and": "and",
    "hours": "hours",
    "minutes": "minutes",
    "seconds": "seconds",
    "enter-pin": "Please enter the pin.",
    "wrong-pin": "That was not right.",
    "first-in-room": "You are the first one here.",
    "recorded": "This conference is being recorded.",
    "muted": "You are muted.",
    "unmuted": "You can be heard again.",
    "at-the-tone": "At the tone, the time will be",
    "your-number-is": "Your number is",
    "not-in-service": (
        "The number you have dialled is not in service. Please check the number and dial again."
    ),
}

_KEY_NAMES = {"*": "star", "#": "hash", "+": "plus"}


@lru_cache(maxsize=len(PROMPTS))
def prompt(name: str) -> bytes:
    """The PCM of a prompt; UnreadableAudio when there is none of that name."""
    if name not in PROMPTS:
        raise UnreadableAudio(f"there is no prompt {name!r}")
    try:
        data = files("ringback.media").joinpath("prompts", f"{name}.wav").read_bytes()
    except OSError as error:
        raise UnreadableAudio(f"the prompt {name!r} is not installed") from error
    return decode_wave(io.BytesIO(data))


def say(*names: str) -> bytes:
    """Several prompts in a row."""
    return b"".join(prompt(name) for name in names)


def say_digits(text: str) -> bytes:
    """A telephone number, key by key; characters that are on no telephone are left out."""
    names = (_KEY_NAMES.get(character, character) for character in text)
    return say(*(name for name in names if name in PROMPTS))


def say_time(hour: int, minute: int, second: int) -> bytes:
    """A time of the 24 hour clock: "14 hours 5 minutes and 10 seconds"."""
    return say(
        *_number_names(hour),
        "hours",
        *_number_names(minute),
        "minutes",
        "and",
        *_number_names(second),
        "seconds",
    )


def _number_names(number: int) -> tuple[str, ...]:
    if not 0 <= number <= 59:
        raise ValueError(f"not a number from 0 to 59: {number}")
    tens, ones = divmod(number, 10)
    if number < 20:
        return (str(number),)
    return (str(10 * tens), str(ones)) if ones else (str(number),)
