# SPDX-License-Identifier: Apache-2.0
"""What is shown of a kept message? A dictionary ready for JSON, secrets struck out, whatever the message is.

    {"at": 1767225600.25, "direction": "received", "transport": "UDP", "local": "192.0.2.1:5060",
     "remote": "192.0.2.9:5060", "call_id": "a84b4c76e66710", "method": "INVITE",
     "summary": "INVITE sip:102@example.com SIP/2.0", "cseq": "1 INVITE", "from_tag": "192830", "to_tag": "",
     "from": "sip:101@example.com", "to": "sip:102@example.com", "size": 812, "text": "INVITE sip:102@..."}

A response has "status" (a number) instead of "method". All texts come from strangers: whoever shows them
escapes.
"""

from __future__ import annotations

import re
from typing import Any

from ringback.server.tracing.chunk import Kept, our_end
from ringback.sip.message.secrets import without_secrets

Message = dict[str, Any]

#: Compact forms of the header fields that are looked at (RFC 3261 7.3.3).
COMPACT = {"i": "call-id", "f": "from", "t": "to", "c": "content-type"}
WANTED = frozenset({"call-id", "cseq", "from", "to"})

_END_OF_HEAD = re.compile(r"\r?\n\r?\n")
_FOLD = re.compile(r"\r?\n[ \t]+")
_FIELD = re.compile(r"([A-Za-z0-9.!%*_+`'~-]{1,64})[ \t]*:[ \t]*(.*)")
_STATUS = re.compile(r"SIP/2\.0 ([1-6][0-9][0-9])(?: |$)", re.IGNORECASE)
_TAG = re.compile(r";[ \t]*tag[ \t]*=[ \t]*([^\s;,?]*)", re.IGNORECASE)
_BRACKETS = re.compile(r"<([^<>]*)>")
#: A display name may hold brackets (RFC 3261 25.1, quoted-string). One that nothing closes goes to the end.
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\Z)')


def message_dict(kept: Kept) -> Message:
    """Everything people need of it."""
    text = without_secrets(kept.data).decode("utf-8", "replace")
    return {**_origin(kept), **described(text), "size": len(kept.data), "text": text}


def described(text: str) -> Message:
    """What the start line and four header fields say; empty where they are missing."""
    start, fields = head_of(text)
    status = _STATUS.match(start)
    sender, receiver = fields.get("from", ""), fields.get("to", "")
    return {
        **({"status": int(status[1])} if status else {"method": start.partition(" ")[0][:64]}),
        "summary": start,
        "call_id": fields.get("call-id", ""),
        "cseq": fields.get("cseq", ""),
        "from": uri_of(sender),
        "to": uri_of(receiver),
        "from_tag": tag_of(sender),
        "to_tag": tag_of(receiver),
    }


def head_of(text: str) -> tuple[str, dict[str, str]]:
    """The start line, and the first of each wanted field."""
    head = parted(text.lstrip("\r\n"))[0]
    start, *lines = _lines(head) or [""]
    fields: dict[str, str] = {}
    for line in lines:
        found = _FIELD.fullmatch(line)
        if found is not None:
            name = found[1].lower()
            name = COMPACT.get(name, name)
            if name in WANTED:
                fields.setdefault(name, found[2].strip(" \t"))
    return start, fields


def header(message: Message, *names: str) -> str:
    """A header field of a message by its names, written small; empty where there is none."""
    head = parted(str(message["text"]))[0]
    for line in _lines(head)[1:]:
        found = _FIELD.fullmatch(line)
        if found is not None and found[1].lower() in names:
            return found[2].strip(" \t")
    return ""


def _lines(head: str) -> list[str]:
    """Header fields, those on several lines (RFC 3261 7.3.1) on one. Not `splitlines`, which knows more line
    ends than SIP does.
    """
    return _FOLD.sub(" ", head.rstrip("\r\n")).replace("\r\n", "\n").split("\n")


def body(message: Message) -> str:
    """What follows the empty line."""
    return parted(str(message["text"]))[1]


def parted(text: str) -> tuple[str, str]:
    """The head with its empty line, and the body."""
    end = _END_OF_HEAD.search(text)
    return (text[: end.end()], text[end.end() :]) if end else (text, "")


def method_of(message: Message) -> str:
    """What was asked, also of a response."""
    return str(message.get("method") or message["cseq"].rpartition(" ")[2])


def user_of(uri: str) -> str:
    """The user of a URI, its host where there is none."""
    rest = uri.partition(":")[2] or uri
    user, at, host = rest.partition("@")
    return (user if at else host or user).partition(";")[0]


def uri_of(value: str) -> str:
    """The URI of From or To, as it was written."""
    found = _BRACKETS.search(_QUOTED.sub("", value))
    return found[1] if found else value.partition(";")[0].strip(" \t")


def tag_of(value: str) -> str:
    """The tag of From or To (RFC 3261 19.3)."""
    found = _TAG.search(value[value.rfind(">") + 1 :])
    return found[1] if found else ""


def _origin(kept: Kept) -> Message:
    return {
        "at": kept.at,
        "direction": "sent" if kept.sent else "received",
        "transport": str(kept.flow.transport),
        "local": str(our_end(kept.flow)),
        "remote": str(kept.flow.remote),
    }
