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

from dataclasses import dataclass, field

from ringback.sip.flow import Flow
from ringback.sip.message.secrets import without_secrets
from ringback.ua.ladder_label import cut, fitted, label_of, visible

#: Messages kept; a ladder is for people, and a phone may run for months.
LIMIT = 2000
LONGEST_NAME = 40
#: What an arrow has besides its label: "── label ─▶".
SHAFT = 6
#: Before the first bar: the time.
MARGIN = 10
#: Bars are never nearer to each other, whatever the width asked for.
SHORTEST_GAP = 18


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
        self._name = cut(visible(name), LONGEST_NAME)
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
            body = visible(without_secrets(rung.data).decode("utf-8", "replace"), keep_lines=True)
            parts.append(f"--- {rung.at - start:.3f} {way} {rung.peer}\n{body.rstrip(chr(10))}\n")
        return "\n".join(parts)

    def _gap(self, names: list[str], width: int | None) -> int:
        """From bar to bar: as much as labels and names need, unless that is too wide."""
        labels = max(len(rung.label) for rung in self._rungs) + SHAFT + 3
        gap = max(labels, len(names[0]) + len(names[1]) + 1, *(len(name) + 2 for name in names))
        if width is None:
            return gap
        return min(gap, max(SHORTEST_GAP, (width - MARGIN - 1) // (len(names) - 1)))


def _head(names: list[str], bars: list[int], ours: int) -> list[str]:
    """The names above their bars; numbers and a list of their meanings where names have no room."""
    gap = bars[1] - bars[0]
    lines: list[str] = []
    if len(names[0]) + len(names[1]) > gap or any(len(name) >= gap for name in names):
        peers = [name for index, name in enumerate(names) if index != ours]
        lines = [f"{number:8}  {name}" for number, name in enumerate(peers, 1)]
        heads = [str(number) for number in range(1, len(names))]
        heads.insert(ours, cut(names[ours], gap - 3))
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
    label = fitted(rung.label, span - SHAFT)
    if rung.sent == (theirs > ours):
        arrow = f"── {label} ".ljust(span - 1, "─") + "▶"
    else:
        arrow = f"◀── {label} ".ljust(span, "─")
    row = _bars(bars)
    return f"{rung.at - start:8.3f}".ljust(MARGIN) + row[MARGIN : left + 1] + arrow + row[right:]
