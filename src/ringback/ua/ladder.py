# SPDX-License-Identifier: Apache-2.0
"""What happened on the wire, as people draw it: a ladder with a column for each host and an arrow for each
message.

    seconds  101                                       192.0.2.1:5060 UDP
             │                                                          │
      0.000  │── INVITE sip:102@192.0.2.1 (SDP) ───────────────────────▶│
      0.004  │◀── 401 Unauthorized (INVITE) ────────────────────────────│

A ladder is fed by `StackDriver.watch(ladder.record)`. It never shows a secret (`sip/message/secrets.py`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ringback import kernel
from ringback.sip.errors import PeerError
from ringback.sip.flow import Flow
from ringback.sip.message import SipUri, parse_uri
from ringback.sip.message.secrets import without_secrets

#: Messages kept; a ladder is for people, and a phone may run for months.
LIMIT = 2000
LONGEST_LABEL = 60
LONGEST_NAME = 40
#: What an arrow has besides its label: "── label ─▶".
SHAFT = 6
#: Before the first bar: the time.
MARGIN = 10
#: Bars are never nearer to each other, whatever the width asked for.
SHORTEST_GAP = 18

#: What stands behind the label proper, and is kept when it is shortened: "(INVITE)", "(SDP)", "(again)".
_REMARKS = re.compile(r"(?: \([^()]{1,20}\)){1,3}$")


@dataclass(frozen=True, slots=True)
class Rung:
    """One message: when, which way, between whom."""

    at: float
    sent: bool
    peer: str
    label: str
    data: bytes = field(repr=False)


class Ladder:
    """Messages in the order they crossed our border.

    Our own bar is the first. With `between` it stands behind whoever spoke to us first: a server is drawn
    between the caller and the called.
    """

    def __init__(self, name: str = "here", *, between: bool = False) -> None:
        self._name = shortened(_visible(name), LONGEST_NAME)
        self._between = between
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

    def text(self, *, width: int | None = None) -> str:
        """The ladder; labels are shortened to keep it within `width` characters as far as that goes."""
        if not self._rungs:
            return "no message was sent or received"
        names = list(dict.fromkeys(rung.peer for rung in self._rungs))
        ours = 1 if self._between and not self._rungs[0].sent else 0
        columns = {name: index + (index >= ours) for index, name in enumerate(names)}
        names.insert(ours, self._name)
        gap = self._gap(names, width)
        bars = [MARGIN + index * gap for index in range(len(names))]
        lines = [*_head(names, bars, ours), _bars(bars)]
        start = self._rungs[0].at
        lines += [_line(rung, start, bars, ours=ours, theirs=columns[rung.peer]) for rung in self._rungs]
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

    def _gap(self, names: list[str], width: int | None) -> int:
        """From bar to bar: as much as labels and names need, unless that is too wide."""
        labels = max(len(rung.label) for rung in self._rungs) + SHAFT + 3
        gap = max(labels, len(names[0]) + len(names[1]) + 1, *(len(name) + 2 for name in names))
        if width is None:
            return gap
        return min(gap, max(SHORTEST_GAP, (width - MARGIN - 1) // (len(names) - 1)))


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
    return shortened(_visible(label), LONGEST_LABEL)


def shortened(text: str, room: int) -> str:
    """At most `room` characters; the remarks at the end outlive what is before them."""
    if len(text) <= room:
        return text
    found = _REMARKS.search(text)
    remarks = found[0] if found and len(found[0]) <= room // 2 else ""
    return text[: max(room - len(remarks) - 1, 0)].rstrip(" ") + "…" + remarks


def _head(names: list[str], bars: list[int], ours: int) -> list[str]:
    """The names above their bars; numbers and a list of their meanings where names have no room."""
    gap = bars[1] - bars[0]
    lines: list[str] = []
    if len(names[0]) + len(names[1]) > gap or any(len(name) >= gap for name in names):
        peers = [name for index, name in enumerate(names) if index != ours]
        lines = [f"{number:8}  {name}" for number, name in enumerate(peers, 1)]
        heads = [str(number) for number in range(1, len(names))]
        heads.insert(ours, shortened(names[ours], gap - 3))
        names = heads
    first = names[0] + names[1].rjust(gap + 1 - len(names[0]))
    return [*lines, " seconds".ljust(MARGIN) + first + "".join(name.rjust(gap) for name in names[2:])]


def _bars(bars: list[int]) -> str:
    gap = bars[1] - bars[0]
    return " " * MARGIN + "│" + "│".rjust(gap) * (len(bars) - 1)


def _line(rung: Rung, start: float, bars: list[int], *, ours: int, theirs: int) -> str:
    """One rung: an arrow between our bar and the peer's; bars in between are crossed."""
    left, right = sorted((bars[ours], bars[theirs]))
    span = right - left - 1
    label = shortened(rung.label, span - SHAFT)
    if rung.sent == (theirs > ours):
        arrow = f"── {label} ".ljust(span - 1, "─") + "▶"
    else:
        arrow = f"◀── {label} ".ljust(span, "─")
    row = _bars(bars)
    return f"{rung.at - start:8.3f}".ljust(MARGIN) + row[MARGIN : left + 1] + arrow + row[right:]


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
