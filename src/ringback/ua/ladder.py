# SPDX-License-Identifier: Apache-2.0
"""What happened on the wire, as people draw it: a ladder with a column for each host and an arrow for each
message.

    seconds  101                                       192.0.2.1:5060 UDP
             │                                                          │
      0.000  │── INVITE sip:102@192.0.2.1 (SDP) ───────────────────────▶│
      0.004  │◀── 401 Unauthorized (INVITE) ────────────────────────────│

A ladder is fed by `StackDriver.watch(ladder.record)`. It never shows a secret: credentials, passwords in
URIs, keys in SDP, digits sent by INFO.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ringback import kernel
from ringback.sip.errors import PeerError
from ringback.sip.flow import Flow
from ringback.sip.message import SipUri, parse_uri

#: Messages kept; a ladder is for people, and a phone may run for months.
LIMIT = 2000
LONGEST_LABEL = 60
SHORTEST_ARROW = 6

HIDDEN = "(hidden)"
#: Header fields whose values prove who somebody is.
SECRET_FIELDS = frozenset(
    {
        b"authorization",
        b"proxy-authorization",
        b"authentication-info",
        b"proxy-authentication-info",
        b"identity",
        b"y",
    }
)
#: Lines of SDP that carry keys (RFC 4568, RFC 8866 5.12, RFC 8839 5.4, RFC 4567).
SECRET_LINES = re.compile(rb"(?im)^(a=crypto:|a=key-mgmt:|a=ice-pwd:|k=)[^\r\n]*")
#: Digits in INFO (application/dtmf-relay, application/dtmf): often somebody's PIN.
SECRET_DIGITS = re.compile(rb"(?im)^(signal[ \t]*=)[^\r\n]*")
#: The password of a SIP URI (RFC 3261 19.1.1).
SECRET_PASSWORD = re.compile(rb"(?i)(sips?:[^\s:@<>;?]{1,256}:)[^\s@<>]{1,256}(?=@)")


@dataclass(frozen=True, slots=True)
class Rung:
    """One message: when, which way, between whom."""

    at: float
    sent: bool
    peer: str
    label: str
    data: bytes = field(repr=False)


class Ladder:
    """Messages in the order they crossed our border."""

    def __init__(self, name: str = "here") -> None:
        self._name = _visible(name)
        self._rungs: list[Rung] = []
        self._seen: set[tuple[bool, str, bytes]] = set()
        self._left_out = 0

    def record(self, sent: bool, data: bytes, flow: Flow, now: float) -> None:
        """Take one message. Give this method to `StackDriver.watch`."""
        if not data.strip(b"\r\n"):
            return  # a keep-alive (RFC 5626 3.5.1)
        if len(self._rungs) >= LIMIT:
            self._left_out += 1
            return
        peer = f"{flow.remote} {flow.transport}"
        known = (sent, peer, data)
        label = label_of(data) + (" (again)" if known in self._seen else "")
        self._seen.add(known)
        self._rungs.append(Rung(now, sent, peer, label, data))

    @property
    def labels(self) -> list[str]:
        """What each message is, in order; for tests and programs."""
        return [rung.label for rung in self._rungs]

    def text(self) -> str:
        """The ladder."""
        if not self._rungs:
            return "no message was sent or received"
        peers = list(dict.fromkeys(rung.peer for rung in self._rungs))
        width = self._width(peers)
        lines = [self._head(peers, width), "".ljust(10) + "│" + ("│".rjust(width)) * len(peers)]
        start = self._rungs[0].at
        lines += [_line(rung, start, peers.index(rung.peer), len(peers), width) for rung in self._rungs]
        if self._left_out:
            lines.append(f"{self._left_out} more messages are not shown")
        return "\n".join(lines)

    def messages(self) -> str:
        """Every message whole, secrets hidden."""
        start = self._rungs[0].at if self._rungs else 0.0
        parts = []
        for rung in self._rungs:
            way = "to" if rung.sent else "from"
            body = _visible(without_secrets(rung.data).decode("utf-8", "replace"), keep_lines=True)
            parts.append(f"--- {rung.at - start:.3f} {way} {rung.peer}\n{body.rstrip(chr(10))}\n")
        return "\n".join(parts)

    def _width(self, peers: list[str]) -> int:
        longest = max(len(rung.label) for rung in self._rungs)
        return max(longest + SHORTEST_ARROW + 3, *(len(peer) + 2 for peer in peers), len(self._name) + 2)

    def _head(self, peers: list[str], width: int) -> str:
        first = self._name + peers[0].rjust(width + 1 - len(self._name))
        return " seconds  " + first + "".join(peer.rjust(width) for peer in peers[1:])


def label_of(data: bytes) -> str:
    """One message in a few words, without secrets."""
    try:
        start, fields, _body = kernel.split_head(data)
    except ValueError:
        return "bytes that are no SIP message"
    first, _, rest = start.decode("utf-8", "replace").partition(" ")
    label = f"{rest} ({_cseq_method(fields)})" if first.upper() == "SIP/2.0" else f"{first} {_target(rest)}"
    if _has_sdp(fields):
        label += " (SDP)"
    label = _visible(label)
    return label if len(label) <= LONGEST_LABEL else label[: LONGEST_LABEL - 1] + "…"


def without_secrets(data: bytes) -> bytes:
    """The message with everything hidden that could be used by who reads it."""
    head, gap, body = data.partition(b"\r\n\r\n")
    data = _without_secret_fields(head) + gap + body
    for pattern in (SECRET_LINES, SECRET_DIGITS, SECRET_PASSWORD):
        data = pattern.sub(rb"\1" + HIDDEN.encode(), data)
    return data


def _without_secret_fields(head: bytes) -> bytes:
    """The head with the values of SECRET_FIELDS hidden, their folded lines (RFC 3261 7.3.1) too."""
    kept: list[bytes] = []
    hiding = False
    for line in head.split(b"\n"):
        if hiding and line[:1] in (b" ", b"\t"):
            continue
        name, colon, _value = line.partition(b":")
        hiding = bool(colon) and name.strip(b" \t").lower() in SECRET_FIELDS
        kept.append(name + b": " + HIDDEN.encode() + b"\r" if hiding else line)
    return b"\n".join(kept)


def _line(rung: Rung, start: float, column: int, columns: int, width: int) -> str:
    """One rung: an arrow from our bar to the peer's; bars of the peers in between are crossed."""
    span = (column + 1) * width - 1
    if rung.sent:
        arrow = f"── {rung.label} ".ljust(span - 1, "─") + "▶"
    else:
        arrow = f"◀── {rung.label} ".ljust(span, "─")
    rest = "│".rjust(width) * (columns - column - 1)
    return f"{rung.at - start:8.3f}  │{arrow}│{rest}"


def _cseq_method(fields: list[tuple[bytes, bytes]]) -> str:
    value = _field(fields, b"cseq")
    return value.rpartition(b" ")[2].decode("utf-8", "replace") or "?"


def _has_sdp(fields: list[tuple[bytes, bytes]]) -> bool:
    value = _field(fields, b"content-type") or _field(fields, b"c")
    return value.lower().startswith((b"application/sdp", b"multipart/"))


def _field(fields: list[tuple[bytes, bytes]], name: bytes) -> bytes:
    return next((value for given, value in fields if given.lower() == name), b"")


def _target(rest: str) -> str:
    """The Request-URI, without password, parameters and headers."""
    text = rest.rpartition(" ")[0]
    try:
        uri = parse_uri(text)
    except PeerError:
        return "(unreadable target)"
    return str(uri.address_of_record()) if isinstance(uri, SipUri) else str(uri)


def _visible(text: str, *, keep_lines: bool = False) -> str:
    """No byte of a peer's may steer the terminal the ladder is shown on."""
    if keep_lines:
        text = text.replace("\r\n", "\n")
    return "".join(
        character if character.isprintable() or (keep_lines and character == "\n") else "·"
        for character in text
    )
