# SPDX-License-Identifier: Apache-2.0
"""What does a message mean for people? A few words beside its arrow: hold, transfer, who hung up."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ringback.server.tracing.message import Message, body, header, method_of, uri_of, user_of
from ringback.server.tracing.picture_columns import visible

_DIRECTION = re.compile(r"(?m)^a=(sendrecv|sendonly|recvonly|inactive)\s*$")
_NOWHERE = re.compile(r"(?m)^c=IN IP4 0\.0\.0\.0\s*$")
_MEDIA = re.compile(r"(?m)^m=([a-z]+) (\d+) \S+ ?(.*)$")
_RTPMAP = re.compile(r"(?m)^a=rtpmap:(\d+) ([A-Za-z0-9.-]+)/")
_REASON = re.compile(r'text[ \t]*=[ \t]*"([^"]*)"')

#: Payload types with a fixed meaning (RFC 3551 6).
STATIC = {"0": "PCMU", "3": "GSM", "4": "G723", "8": "PCMA", "9": "G722", "18": "G729"}
#: Payloads that are no sound.
HELPERS = frozenset({"telephone-event", "CN", "red", "ulpfec", "rtx"})

HOLD, RESUME = "puts on hold", "goes on after hold"


def notes_of(messages: Sequence[Message]) -> list[str]:
    """A note for each message, empty for most."""
    held: set[tuple[str, str]] = set()
    return [_note(message, held) for message in messages]


def codec_of(description: str) -> str:
    """The first sound of a description, by name; empty if there is none."""
    media = next((found for found in _MEDIA.finditer(description) if found[1] == "audio"), None)
    if media is None or media[2] == "0":
        return ""
    names = dict(_RTPMAP.findall(description[media.end() :]))
    for payload in media[3].split():
        name = names.get(payload) or STATIC.get(payload, "")
        if name and name not in HELPERS:
            return name
    return ""


def is_held(description: str) -> bool:
    """True where nothing shall be heard (RFC 3264 8.4), also in the way of RFC 2543."""
    if _NOWHERE.search(description):
        return True
    media = _MEDIA.search(description)
    found = _DIRECTION.search(description, media.start() if media else 0) or _DIRECTION.search(description)
    return found is not None and found[1] in ("sendonly", "inactive")


def _note(message: Message, held: set[tuple[str, str]]) -> str:
    if "status" in message:
        return _of_response(message)
    method = method_of(message)
    if method in ("INVITE", "UPDATE") and message["to_tag"]:
        return _of_change(message, held)
    if method == "REFER":
        return _of_transfer(message)
    if method == "NOTIFY" and body(message).startswith("SIP/2.0 "):
        return visible(f"transfer: {body(message).splitlines()[0][8:]}")
    if method == "CANCEL":
        return _with_reason("gives up", message)
    return _with_reason("hangs up", message) if method == "BYE" else ""


def _of_response(message: Message) -> str:
    status = message["status"]
    if status in (401, 407):
        return "asks for the password"
    if 300 <= status < 400:
        return visible(f"go to {uri_of(header(message, 'contact', 'm'))}")
    retry = header(message, "retry-after")
    if retry and status >= 400:
        return visible(f"try again in {retry} s")
    return _with_reason("", message) if status >= 400 else ""


def _of_change(message: Message, held: set[tuple[str, str]]) -> str:
    description = body(message)
    if "m=" not in description:
        return "session goes on" if method_of(message) == "UPDATE" else ""
    who = (message["remote"], message["direction"])
    if is_held(description):
        held.add(who)
        return HOLD
    if who in held:
        held.discard(who)
        return RESUME
    return "changes the media"


def _of_transfer(message: Message) -> str:
    target = header(message, "refer-to", "r")
    kind = "attended transfer" if "replaces=" in target.lower() else "transfer"
    return visible(f"{kind} to {user_of(uri_of(target).partition('?')[0])}")


def _with_reason(words: str, message: Message) -> str:
    """The Reason (RFC 3326), where somebody gives one."""
    reason = header(message, "reason")
    found = _REASON.search(reason)
    text = visible(found[1] if found else reason)
    return f"{words}: {text}" if words and text else words or text
