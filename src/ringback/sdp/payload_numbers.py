# SPDX-License-Identifier: Apache-2.0
"""Which payload number of one description means the same as which of another? RFC 3264 sections 6.1, 8.3.2.

Numbers mean something only within one m= line of one session. An encoding that occurs once on both sides is
the same whatever its parameters; of several (H.264 with its profiles, RED, RTX) those with the same profile
are, and failing that those with the same number. Repair formats follow the format they repair (apt=).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import replace
from itertools import chain

from ringback.sdp.attributes import AudioFormat, stream_formats
from ringback.sdp.session import MediaDescription

_APT = re.compile(r"\bapt=(?P<number>[0-9]{1,3})(?![0-9])", re.ASCII | re.IGNORECASE)
_PARAMETER = re.compile(r"(?P<name>[A-Za-z0-9_.-]{1,64}) *= *(?P<value>[^;]{0,256})")
_RED = re.compile(r"[0-9]{1,3}(?:/[0-9]{1,3}){1,32}")
#: Dynamic numbers, then those above the static ones; 64 to 95 look like RTCP on a shared port (RFC 5761 4).
_FREE = tuple(chain(range(96, 128), range(35, 64)))

Encoding = tuple[str, int, int]


def counterparts(theirs: Sequence[AudioFormat], ours: Sequence[AudioFormat]) -> dict[int, int]:
    """The payload numbers of `theirs` that have the same meaning in `ours`, each with its number there."""
    found: dict[int, int] = {}
    for encoding in dict.fromkeys(map(_encoding, theirs)):
        if encoding[0] != "rtx":
            _match(_of(theirs, encoding), _of(ours, encoding), found)
    _match_repairs(theirs, ours, found)
    return found


def numbers_for(
    formats: Sequence[AudioFormat],
    used: Sequence[AudioFormat],
    reserved: Set[int] = frozenset(),
    bundled: Set[int] = frozenset(),
) -> dict[int, int]:
    """The number each of `formats` gets in a session whose m= line said `used` last.

    A format keeps the number it has there; a number that means something else there, or in another stream
    of the bundle, is not given away. `reserved` numbers are not chosen for what needs a new one.
    """
    numbers = counterparts(formats, used)
    taken = {each.payload_type for each in used} | set(numbers.values()) | bundled
    for each in formats:
        if each.payload_type not in numbers and each.payload_type not in taken:
            numbers[each.payload_type] = each.payload_type
            taken.add(each.payload_type)
    free = _free_numbers(taken | reserved | {each.payload_type for each in formats})
    for each in formats:
        if each.payload_type not in numbers and (number := next(free, None)) is not None:
            numbers[each.payload_type] = number
    return numbers


def appended(
    formats: Sequence[AudioFormat],
    more: Sequence[AudioFormat],
    used: Sequence[AudioFormat],
    reserved: Set[int] = frozenset(),
) -> tuple[AudioFormat, ...]:
    """Those of `more` that `formats` lacks, with numbers free in the session; `reserved` are not free."""
    taken = {*reserved} | {each.payload_type for each in used} | {each.payload_type for each in formats}
    free = _free_numbers(taken | {each.payload_type for each in more})
    result: list[AudioFormat] = []
    for each in more:
        if any(each.is_same_encoding(other) for other in (*formats, *result)):
            continue
        earlier = next((other.payload_type for other in used if other.is_same_encoding(each)), None)
        wanted = each.payload_type if each.payload_type not in taken else next(free, None)
        number = wanted if earlier is None else earlier
        if number is not None:
            taken.add(number)
            result.append(replace(each, payload_type=number))
    return tuple(result)


def rewritten_parameters(text: str, numbers: Mapping[int, int]) -> str | None:
    """The value of a=fmtp with the numbers inside it (apt=, RED's list) changed; None when one has gone."""
    try:
        if _RED.fullmatch(text):
            return "/".join(str(numbers[int(part)]) for part in text.split("/"))  # checked: three digits
        found = _APT.search(text)
        if found is None:
            return text
        number = numbers[int(found["number"])]  # checked: three digits at most
    except KeyError:
        return None
    return f"{text[: found.start('number')]}{number}{text[found.end('number') :]}"


def payload_map(
    *,
    to_sender: MediaDescription,
    of_sender: MediaDescription,
    of_receiver: MediaDescription,
    to_receiver: MediaDescription,
) -> dict[int, int] | None:
    """The numbers that come from the sender, each with the one it must leave with; None to transcode.

    `to_` is our own last description towards that leg, `of_` the leg's last one. Who sends uses the numbers
    of who receives (RFC 3264 section 5.1): they come as we told the sender, and leave as the receiver said.
    Numbers that are not in the map must not be passed on.
    """
    told, taken = stream_formats(to_sender), stream_formats(of_receiver)
    may_come = counterparts(told, stream_formats(of_sender))
    may_leave = counterparts(taken, stream_formats(to_receiver))
    numbers = {
        here: there
        for here, there in counterparts(told, taken).items()
        if here in may_come and there in may_leave
    }
    if to_sender.line.media != "audio":
        return numbers
    if not numbers:
        return None
    return numbers if _likely(told, stream_formats(of_sender)) <= numbers.keys() else None


def _likely(told: Sequence[AudioFormat], own: Sequence[AudioFormat]) -> set[int]:
    """The numbers the sender is likely to use: its own first codec, or the first it was told.

    Which of the two it is depends on who answered (RFC 3264 section 6.1). Empty for a stream of events only.
    """
    back = counterparts(own, told)
    codecs = [back[each.payload_type] for each in own if each.is_codec and each.payload_type in back]
    first_told = [each.payload_type for each in told if each.payload_type in codecs]
    return {*first_told[:1], *codecs[:1]}


def _match(theirs: Sequence[AudioFormat], ours: Sequence[AudioFormat], found: dict[int, int]) -> None:
    """Pair the formats of one encoding."""
    if len(theirs) == 1 and len(ours) == 1:
        found[theirs[0].payload_type] = ours[0].payload_type
        return
    left = list(ours)
    for is_pair in (_is_same_profile_and_number, _is_same_profile, _is_same_number):
        for each in theirs:
            if each.payload_type in found:
                continue
            other = next((candidate for candidate in left if is_pair(each, candidate)), None)
            if other is not None:
                found[each.payload_type] = other.payload_type
                left.remove(other)


def _match_repairs(theirs: Sequence[AudioFormat], ours: Sequence[AudioFormat], found: dict[int, int]) -> None:
    """RTX (RFC 4588 section 8.6) belongs to what it repeats."""
    by_repaired = {_repaired(each): each for each in reversed(ours) if each.encoding.lower() == "rtx"}
    for each in theirs:
        if each.encoding.lower() != "rtx":
            continue
        repaired = _repaired(each)
        other = by_repaired.get(found.get(repaired, -1)) if repaired is not None else None
        is_free = other is not None and other.payload_type not in found.values()
        if other is not None and is_free and other.clock_rate == each.clock_rate:
            found[each.payload_type] = other.payload_type


def _repaired(repair: AudioFormat) -> int | None:
    found = _APT.search(repair.parameters)
    return int(found["number"]) if found else None  # checked: three digits at most


def _encoding(each: AudioFormat) -> Encoding:
    return each.encoding.lower(), each.clock_rate, each.channels


def _of(formats: Sequence[AudioFormat], encoding: Encoding) -> list[AudioFormat]:
    return [each for each in formats if _encoding(each) == encoding]


def _is_same_number(one: AudioFormat, other: AudioFormat) -> bool:
    return one.payload_type == other.payload_type


def _is_same_profile(one: AudioFormat, other: AudioFormat) -> bool:
    return _profile(one) == _profile(other)


def _is_same_profile_and_number(one: AudioFormat, other: AudioFormat) -> bool:
    return _is_same_number(one, other) and _is_same_profile(one, other)


def _profile(each: AudioFormat) -> tuple[tuple[str, str], ...]:
    """What makes two formats of one encoding different: the profile, not the level (RFC 6184 8.2.2)."""
    stated = {
        found["name"].lower(): found["value"].strip(" ").lower()
        for found in _PARAMETER.finditer(each.parameters)
    }
    match each.encoding.lower():
        case "h264":
            profile = stated.get("profile-level-id", "42000a")[:4]
            return ("profile", profile), ("mode", stated.get("packetization-mode", "0"))
        case "vp9":
            return (("profile", stated.get("profile-id", "0")),)
        case "av1":
            return (("profile", stated.get("profile", "0")),)
        case _:
            return tuple(sorted(stated.items()))


def _free_numbers(taken: Set[int]) -> Iterator[int]:
    return (each for each in _FREE if each not in taken)
