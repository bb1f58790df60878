# SPDX-License-Identifier: Apache-2.0
"""Why did this call not come about? RB-2xxx: who refused, by which rule, and what that rule is for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ringback.server.verdicts.diagnostic import Diagnostic, Verdict
from ringback.server.verdicts.story import Seen, Story, Transaction

#: The caller was asked for a password: `registration.py` knows more.
CHALLENGES = (401, 407)
#: What the description was refused for: `media.py` knows more.
DESCRIPTION_REFUSED = (415, 488, 606)

FORBIDDEN = Diagnostic(
    2001,
    "Forbidden by a rule",
    "error",
    "A rule of this server refused the call. The text says which, and in which setting it stands.",
    "If the call should be possible, change that setting; if not, all is well.",
)
NO_CALLS_OUT = Diagnostic(
    2002,
    "Calls to other domains are not allowed",
    "error",
    "The user dialled an address outside of this server's domain, and users may not call out.",
    "Set proxy.users_may_call_out to true, if they may.",
)
NO_STRANGERS = Diagnostic(
    2003,
    "Strangers may not call",
    "error",
    "Somebody without an account here called. That is how scanners come, and also people from other domains.",
    "Set proxy.strangers_may_call to true if everybody may call the users of this server. If this was a"
    " phone of yours: its user name or domain is not the one of its account.",
)
NOT_ITS_NAME = Diagnostic(
    2004,
    "The From is not the user's own",
    "error",
    "The phone proved to be one user and wrote another one into From.",
    "Enter the number of the account as the user name of the phone, also as caller ID.",
)
ONE_NUMBER_ONLY = Diagnostic(
    2005,
    "A guest called more than it may",
    "error",
    "Guests of a page such as /call/NAME may call the one number of that page, once at a time.",
    "Nothing is wrong, unless the page should lead to another number.",
)
UNKNOWN_NUMBER = Diagnostic(
    2010,
    "Nobody has this number",
    "error",
    "The number that was dialled is no user, feature code or room of this server.",
    "Check the number; `ringback user list` shows all.",
)
NO_PHONE = Diagnostic(
    2011,
    "No phone is registered",
    "error",
    "The user exists and has no phone that is registered now, so there is nobody to ring.",
    "Switch the phone on, and see whether it registers: `ringback registrations` lists those that do.",
)
PHONE_LOST = Diagnostic(
    2012,
    "The phone is registered, and cannot be reached",
    "error",
    "The connection that the phone had registered with is closed, or it did not answer. Its next"
    " registration opens a new one.",
    "Let the phone register anew, and more often; behind a NAT use TCP or TLS with keep-alive.",
)
BUSY = Diagnostic(
    2020,
    "Busy",
    "note",
    'The phone said that its user is in another call, or that "do not disturb" is on.',
    'Nothing is wrong. If it was not in a call, look for "do not disturb" at that phone.',
)
NO_ANSWER = Diagnostic(
    2021,
    "Nobody answered",
    "note",
    "The phone rang, and nobody took the call.",
    "Nothing is wrong. proxy.ring_time says how long it may ring.",
)
DECLINED = Diagnostic(
    2022,
    "Declined",
    "note",
    "Somebody pressed the button that declines a call.",
    "Nothing is wrong.",
)
CANCELLED = Diagnostic(
    2023,
    "The caller gave up",
    "note",
    "The caller hung up before anybody answered.",
    "Nothing is wrong, unless it did not ring: then look at the messages to the phone that was called.",
)
NO_ROOM = Diagnostic(
    2030,
    "The server had no room",
    "error",
    "A limit was reached, or more came than could be worked on.",
    "The text says which limit. `ringback status` shows how busy the server is.",
)
LOOP = Diagnostic(
    2031,
    "The call went in a circle",
    "error",
    "The same call came back to this server, or passed more servers than it may (Max-Forwards).",
    "Two servers, or a diversion, send calls to each other. Follow the Via lines of the request.",
)
NOT_UNDERSTOOD = Diagnostic(
    2032,
    "The request was not understood",
    "error",
    "The request breaks a rule of SIP, or demands an extension that is not here.",
    "The response says what. Update the phone, or switch off the extension it requires.",
)
TIMED_OUT = Diagnostic(
    2033,
    "The other side did not answer in time",
    "error",
    "The request was sent on, and no response came in 32 seconds.",
    "See which phone or server was asked, and whether it can be reached.",
)
SERVER_FAULT = Diagnostic(
    2034,
    "A server failed",
    "error",
    "A response of 500 or more: somebody on the way could not do its work.",
    "If it was this server, its log has an entry of that moment; please report it.",
)
REFUSED_THERE = Diagnostic(
    2035,
    "The other side refused",
    "error",
    "The phone or server that was called refused with a response of its own.",
    "What it says is in the text; the reason is to be found there.",
)
TRANSFER_REFUSED = Diagnostic(
    2040,
    "A transfer was refused",
    "warning",
    "The phone wanted to hand its call on, and was not allowed to, or the address made no sense.",
    "403: the user may not call that address. 491: another transfer was under way. 400: the Refer-To is"
    " broken.",
)

TABLE = (
    FORBIDDEN,
    NO_CALLS_OUT,
    NO_STRANGERS,
    NOT_ITS_NAME,
    ONE_NUMBER_ONLY,
    UNKNOWN_NUMBER,
    NO_PHONE,
    PHONE_LOST,
    BUSY,
    NO_ANSWER,
    DECLINED,
    CANCELLED,
    NO_ROOM,
    LOOP,
    NOT_UNDERSTOOD,
    TIMED_OUT,
    SERVER_FAULT,
    REFUSED_THERE,
    TRANSFER_REFUSED,
)

#: Refusals whose diagnostic follows from the status alone, whoever said it.
BY_STATUS = {
    482: LOOP,
    483: LOOP,
    486: BUSY,
    600: BUSY,
    603: DECLINED,
    607: DECLINED,
}
#: What this server refuses by these rules of the decisions: (service, rule).
BY_RULE = {
    ("authentication", "calls out"): NO_CALLS_OUT,
    ("authentication", "strangers"): NO_STRANGERS,
    ("authentication", "From"): NOT_ITS_NAME,
    ("authentication", "guest"): ONE_NUMBER_ONLY,
    ("bridge", "guest"): ONE_NUMBER_ONLY,
}


def find(story: Story) -> Iterator[Verdict]:
    """Why the call failed; nothing for one that was answered."""
    yield from _transfers(story)
    status, first = story.outcome, story.first
    if status < 300 or status in CHALLENGES or status in DESCRIPTION_REFUSED or _is_locked_out(story):
        return
    final = first.final if first is not None else None
    evidence = [first.request.index] if first is not None else []
    evidence += [final.index] if final is not None else []
    refusing = _refusing(story, status)
    if refusing is not None:
        evidence += [refusing.index]
    yield _judged(story, status, refusing).verdict(_in_words(story, status, refusing), evidence)


def _judged(story: Story, status: int, refusing: Seen | None) -> Diagnostic:
    """Which row it is."""
    if status == 487 or _was_cancelled(story):
        return CANCELLED
    if refusing is None:
        return _by_this_server(story, status)
    if status in BY_STATUS:
        return BY_STATUS[status]
    if status == 480:
        return NO_ANSWER
    if status == 408:
        return TIMED_OUT
    return SERVER_FAULT if 500 <= status < 600 else REFUSED_THERE


def _by_this_server(story: Story, status: int) -> Diagnostic:
    rule = _rule(story)
    if rule is not None and (row := BY_RULE.get((rule["service"], rule["rule"]))) is not None:
        return row
    if status == 403:
        return FORBIDDEN
    if status in (404, 604):
        return UNKNOWN_NUMBER
    if status in (480, 430):
        return _nobody(story)
    if status == 486:
        return NO_ROOM if rule is not None and rule["service"] == "applications" else BUSY
    if status in BY_STATUS:
        return BY_STATUS[status]
    if status == 503:
        return NO_ROOM
    if status == 408:
        return TIMED_OUT
    return NOT_UNDERSTOOD if status < 500 else SERVER_FAULT


def _nobody(story: Story) -> Diagnostic:
    """480 that this server made: it rang too long, or there was nobody to ring."""
    went = story.invitations(ours=True)
    if any(100 < each.status < 200 for transaction in went for each in transaction.responses):
        return NO_ANSWER
    is_lost = any("connection is lost" in text for text in _rejections(story))
    return PHONE_LOST if went or is_lost else NO_PHONE


def _was_cancelled(story: Story) -> bool:
    """The caller's CANCEL came before the final response."""
    first = story.first
    if first is None or first.is_ours:
        return False
    call_id, number = first.request.call_id, first.request.number
    return first.status >= 300 and any(
        each.method == "CANCEL" and not each.is_sent and (each.call_id, each.number) == (call_id, number)
        for each in story.seen
    )


def _refusing(story: Story, status: int) -> Seen | None:
    """The response of the phone or server whose word it was; None when it was this server's own."""
    for transaction in reversed(story.invitations(ours=True)):
        for final in transaction.finals:
            if not final.is_sent and (final.status == status or (status == 500 and final.status == 503)):
                return final
    return None


def _is_locked_out(story: Story) -> bool:
    """Its 503 is no lack of room: RB-3002 has the words."""
    rule = _rule(story)
    return rule is not None and (rule["service"], rule["rule"]) == ("authentication", "failures")


def _rule(story: Story) -> Mapping[str, Any] | None:
    """The last decision that refused."""
    refused = story.decided(verdict="refused")
    return refused[-1] if refused else None


# --- words --------------------------------------------------------------------------------------------


def _in_words(story: Story, status: int, refusing: Seen | None) -> str:
    first = story.first
    caller = story.who(first.request) if first is not None else "The caller"
    if status == 487 or _was_cancelled(story):
        return f"{caller} gave up{_after(first)}."
    if refusing is not None:
        said = refusing.summary.removeprefix("SIP/2.0 ")
        return f"{story.who(refusing)} answered {said}{_its_reason(refusing)}."
    return f"This server answered {_phrase(story, status)}{_rule_in_words(story)}."


def _phrase(story: Story, status: int) -> str:
    final = story.first.final if story.first is not None else None
    return final.summary.removeprefix("SIP/2.0 ") if final is not None else str(status)


def _rule_in_words(story: Story) -> str:
    """What the rule saw; of phones that were left out, why; and the setting, if it follows one."""
    rule = _rule(story) or next(iter(story.decided(service="destination")), None)
    if rule is None:
        return ""
    rejections = list(dict.fromkeys(_rejections(story)))[:5]
    is_about_phones = rule.get("service") in ("target set", "bridge", "proxy")
    words = "; ".join(rejections) if rejections and is_about_phones else str(rule.get("saw") or "")
    source = str(rule.get("source") or "")
    return f"{f': {words}' if words else ''}{f', by {source}' if source.startswith('setting') else ''}"


def _rejections(story: Story) -> list[str]:
    """Targets that were left out, and phones that were lost."""
    left_out = [
        text for each in story.decided(service="target set") for text in map(str, each.get("rejected") or ())
    ]
    lost = [str(each["saw"]) for each in story.decisions if "connection is lost" in str(each.get("saw"))]
    return [*left_out, *lost]


def _its_reason(final: Seen) -> str:
    for name in ("warning", "reason", "error-info"):
        if value := final.header(name):
            return f" ({name.capitalize()}: {value})"
    return ""


def _after(first: Transaction | None) -> str:
    final = first.final if first is not None else None
    return f" after {final.at - first.request.at:.0f} s" if first is not None and final is not None else ""


def _transfers(story: Story) -> Iterator[Verdict]:
    for transaction in story.transactions:
        if transaction.method == "REFER" and not transaction.is_ours and transaction.status >= 300:
            request, final = transaction.request, transaction.final
            assert final is not None
            if transaction.status in CHALLENGES:
                continue
            yield TRANSFER_REFUSED.verdict(
                f"{story.who(request)} wanted to hand the call to {request.header('refer-to')} and was told"
                f" {final.summary.removeprefix('SIP/2.0 ')}.",
                [request.index, final.index],
            )
