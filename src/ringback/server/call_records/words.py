# SPDX-License-Identifier: Apache-2.0
"""How did a call end, in words that need no manual? And what is that in one word, for lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ringback.server.call_records.record import CallRecord

#: Final responses of phones -> the one word. Others are "failed".
RESULTS = {
    408: "no answer",
    480: "no answer",
    486: "busy",
    487: "cancelled",
    600: "busy",
    603: "declined",
    607: "declined",
}

#: What a status says of {callee} and {caller}, when a phone or a server further on said it.
_PHONE_SAID = {
    404: "{callee} does not exist there (404)",
    408: "the phone of {callee} did not answer (408)",
    415: "{callee} cannot take what {caller} offers (415)",
    480: "nobody answered at {callee}{ringing}",
    486: "{callee} was busy",
    488: "the phones of {caller} and {callee} have no codec or encryption in common (488)",
    500: "{callee} could not be reached (500)",
    503: "{callee} could not be reached (503)",
    600: "{callee} was busy",
    603: "{callee} declined",
    604: "{callee} does not exist anywhere (604)",
    606: "{callee} cannot take what {caller} offers (606)",
}

#: And when it was this server that said it.
_WE_SAID = {
    403: "{caller} may not call {dialled} (403)",
    404: "there is no {dialled} here (404)",
    415: "what {caller} sends is no call that is understood here (415)",
    420: "the phone of {caller} insists on something that is not known here (420)",
    480: "{callee} has no phone that is registered (480)",
    482: "the call came back to this server: a loop (482)",
    483: "the call passed too many servers (483)",
    486: "all lines to {dialled} were busy (486)",
    487: "{caller} gave up",
    488: "the call of {caller} cannot be taken: encryption or codecs (488)",
    500: "this server made a mistake (500)",
    503: "this server had no room for the call (503)",
}

_UNREACHABLE = {"timeout": "{who} was not reached any more", "transport": "the connection of {who} was lost"}


def result_of(record: CallRecord) -> str:
    """The one word; "" while the call is on."""
    if record.answered_at:
        return "answered"
    if not record.ended_at:
        return ""
    if record.ended_by == "caller":
        return "cancelled"
    if record.is_refused_here:
        return "refused" if record.status != 480 else "no answer"
    return RESULTS.get(record.status, "failed")


def refused_in_words(record: CallRecord) -> str:
    """Why nobody took it."""
    said = _WE_SAID if record.is_refused_here else _PHONE_SAID
    template = said.get(record.status)
    if template is None:
        by = "this server" if record.is_refused_here else record.callee.shown
        return f"{by} refused: {record.status} {record.reason}".rstrip()
    ringing = f" for {span(record.ended_at - record.began_at)}" if record.rang_at else ""
    return template.format(
        caller=record.caller.shown,
        callee=record.callee.shown,
        dialled=record.dialled or record.callee.shown,
        ringing=ringing,
    )


def ended_in_words(record: CallRecord) -> str:
    """The sentence, once it has ended."""
    if record.why:
        return record.why + _after(record)
    if record.status >= 300 and not record.answered_at and record.ended_by != "caller":
        return refused_in_words(record)
    if record.ended_by in ("caller", "callee"):
        return hung_up_in_words(record)
    return "this server ended the call" + _after(record)


def hung_up_in_words(record: CallRecord) -> str:
    """Who ended it, and when."""
    party = record.caller if record.ended_by == "caller" else record.callee
    if record.ended_how in _UNREACHABLE:
        return _UNREACHABLE[record.ended_how].format(who=party.shown) + _after(record)
    if not record.answered_at:
        return f"{party.shown} gave up after {span(record.ended_at - record.began_at)}"
    return f"{party.shown} hung up{_after(record)}"


def _after(record: CallRecord) -> str:
    if not record.answered_at or record.ended_at - record.answered_at < 1:
        return ""
    return f" after {span(record.ended_at - record.answered_at)}"


def span(seconds: float) -> str:
    """63 -> "1 min 3 s"."""
    whole = max(0, round(seconds))
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    parts = [(hours, "h"), (minutes, "min"), (left, "s")]
    return " ".join(f"{count} {unit}" for count, unit in parts if count) or "0 s"
