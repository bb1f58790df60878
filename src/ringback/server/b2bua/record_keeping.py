# SPDX-License-Identifier: Apache-2.0
"""What of a bridged call is written down? Its legs, who answered, holds, and who ended it.

A few microseconds a call: no description is parsed for a record, a look for some words in it must do.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ringback.server.call_records.record import LegRecord

if TYPE_CHECKING:
    from ringback.server.b2bua.call import BridgedCall
    from ringback.server.b2bua.leg import BridgeLeg
    from ringback.server.call_records.record import CallRecord, Party
    from ringback.sip.events import SessionEnded

_SOUND = re.compile(rb"^m=audio [0-9]+ [^ \r\n]+ ([0-9]+)", re.MULTILINE)
_NAMES = re.compile(rb"^a=rtpmap:([0-9]+) ([^/\r\n]+)/", re.MULTILINE)
_HELD = re.compile(rb"^(?:a=sendonly|a=inactive|c=IN IP4 0\.0\.0\.0)\r?$", re.MULTILINE)

#: Codecs that need no rtpmap (RFC 3551 table 4).
_STATIC = {b"0": "PCMU", b"3": "GSM", b"8": "PCMA", b"9": "G722", b"18": "G729"}


def note_leg(record: CallRecord, leg: BridgeLeg) -> None:
    """One more phone was asked, or has called."""
    leg.record = LegRecord(leg.name, leg.end.name, leg.end.host)
    record.add_leg(leg.record)


def note_asked(leg: BridgeLeg, call_id: str) -> None:
    """It gets an INVITE."""
    if leg.record is not None:
        leg.record.call_id, leg.record.number = call_id, leg.end.name
        flow = leg.target.flow if leg.target is not None else None
        if flow is not None:
            leg.record.way = flow


def note_answer(call: BridgedCall) -> None:
    """The two who speak now."""
    record, pair = call.record, call.pair
    assert pair is not None, "it was answered"
    call.spoke = (pair[0].name, pair[1].name)
    record.callee = party_of(call, pair[1], record.callee)
    if not call.media.reason:
        codec = _codec_of(pair[1].session.remote_sdp or b"")
        for leg in pair:
            if leg.record is not None:
                leg.record.codec = codec
    record.anchored = call.media.reason
    _look_at_sound(call)
    record.answered()


def party_of(call: BridgedCall, leg: BridgeLeg, known: Party) -> Party:
    """Who has this phone."""
    book, binding = call.bridge.book, call.bridge.ways.binding_of(leg.handle)
    if binding is not None:
        party = book.party_of(binding)
    elif leg.principal is not None:
        party = book.party(leg.principal.number, principal=leg.principal)
    else:
        party = known if not known.number or known.number == leg.end.name else book.party(leg.end.name)
    if leg.record is not None:
        leg.record.display = party.name
    return party


def note_negotiated(call: BridgedCall, offerer: BridgeLeg) -> None:
    """A later offer was answered: perhaps a hold, perhaps its end."""
    record = call.record
    if not record.answered_at or call.pair is None or offerer not in call.pair:
        return
    is_held = _HELD.search(offerer.session.remote_sdp or b"") is not None
    record.hold(offerer.name, offerer.end.name, is_held=is_held)
    note_way(call)


def note_way(call: BridgedCall) -> None:
    """Where the sound flows now."""
    reason = call.media.reason
    if call.record.anchored != reason:
        call.record.anchored = reason
        _look_at_sound(call)
        call.record.note(
            f"the sound comes through this server: {reason}" if reason else "the sound goes direct"
        )


def note_moved(call: BridgedCall, text: str) -> None:
    """Others speak now than before."""
    record, pair = call.record, call.pair
    if pair is not None:
        if pair[0].name != call.spoke[0]:
            record.caller = party_of(call, pair[0], record.caller)
        if pair[1].name != call.spoke[1]:
            record.callee = party_of(call, pair[1], record.callee)
        call.spoke = (pair[0].name, pair[1].name)
        record.held_by.clear()
    note_way(call)
    record.note(text)


def _look_at_sound(call: BridgedCall) -> None:
    if call.media.reason and not call.is_sampled:
        call.is_sampled = True
        call.bridge.book.sampler.watch(CallSound(call))


class CallSound:
    """The sound of a call, for the `Sampler`."""

    __slots__ = ("_call",)

    def __init__(self, call: BridgedCall) -> None:
        self._call = call

    @property
    def has_sound_here(self) -> bool:
        """True while it can be asked for."""
        return self._call.media.is_open and not self._call.is_over

    async def sample(self) -> None:
        """Ask how the sound is, and write it down."""
        call = self._call
        await call.media.look()
        if call.media.numbers is not None and not call.is_over:
            call.record.measured(call.media.numbers)


async def drop_sound(call: BridgedCall, name: str, *, has_spoken: bool) -> None:
    """The plane forgets a leg. How it sounded is written down before, if it has spoken at all: at the end of
    the call nobody knows any more.
    """
    if has_spoken:
        await CallSound(call).sample()
    await call.media.drop(name)


def note_end(call: BridgedCall, leg: BridgeLeg, event: SessionEnded) -> None:
    """A leg ended the call."""
    pair = call.pair
    is_caller = leg is call.caller if pair is None else leg is pair[0]
    call.record.end(event.status, by="caller" if is_caller else "callee", how=event.by, reason=event.reason)


def _codec_of(sdp: bytes) -> str:
    """The codec of the first sound stream."""
    found = _SOUND.search(sdp)
    if found is None:
        return ""
    number = found[1]
    names = {each[1]: each[2] for each in _NAMES.finditer(sdp)}
    return names[number].decode("ascii", "replace") if number in names else _STATIC.get(number, "")
