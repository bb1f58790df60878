# SPDX-License-Identifier: Apache-2.0
"""How is a flow drawn in letters? A bar for each who took part, an arrow for each message, a lane for sound.

            101 Anna            Ringback             102
            192.0.2.9:5060      192.0.2.1:5060       192.0.2.8:5060
      0.000     │── INVITE (SDP) ──▶│                    │
      0.004     │◀── 407 Proxy… ────│                    │

Arrows of one line, or of two with the label above. Every text comes from strangers and is made visible first.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from ringback.cli.text import printable
from ringback.cli.trace_source import Flow
from ringback.server.tracing.message import Message
from ringback.ua.ladder_label import fitted

#: Before the first bar: a mark and the seconds.
MARGIN = 11
#: Bars are never nearer to each other; on a narrow screen the picture is moved with the arrow keys.
SHORTEST_GAP = 17
#: What an arrow of one line has besides its label: "── label ─▶", where there is little room "─ label ▶".
SHAFT, SHORT_SHAFT = 6, 4

BY_KIND, BY_CALL, BY_TRANSACTION = "kind", "call", "transaction"
COLOURINGS = (BY_KIND, BY_CALL, BY_TRANSACTION)
STYLES = {
    "request": "cyan",
    "provisional": "yellow",
    "success": "green",
    "redirect": "magenta",
    "failure": "bold red",
    "media": "blue",
}
PALETTE = ("cyan", "yellow", "green", "magenta", "blue", "red", "bright_cyan", "bright_yellow")
BAR, DIM, MARKED = "grey50", "grey62", "bold red"
#: What a response answers goes first where there is no room: the arrow before it says so, too.
_OF_METHOD = re.compile(r"([1-6][0-9][0-9] .*?) \([A-Z]+\)")


@dataclass(frozen=True, slots=True)
class Row:
    """An arrow, or a lane of sound."""

    at: float
    arrow: dict[str, Any] | None = None
    lane: dict[str, Any] | None = None


class Drawing:
    """The rows of one flow, for one width."""

    def __init__(self, flow: Flow, *, width: int, is_tall: bool = False, colouring: str = BY_KIND) -> None:
        self.flow = flow
        self.rows = rows_of(flow)
        self.height = 2 if is_tall else 1
        self._colouring = colouring
        self._columns = flow.picture["columns"]
        count = max(2, len(self._columns))
        self._gap = max(SHORTEST_GAP, (width - MARGIN) // count)
        self.width = max(width, MARGIN + self._gap * count)
        self._bars = {
            column["id"]: MARGIN + self._gap // 2 + self._gap * place
            for place, column in enumerate(self._columns)
        }
        self._calls = {call_id: place for place, call_id in enumerate(sorted(flow.call_ids))}

    def head(self) -> tuple[Text, Text]:
        """Who stands above the bars, and where."""
        return self._names("label", "bold"), self._names("address", DIM)

    def paint(self, place: int) -> Sequence[Text]:
        """The lines of one row."""
        row = self.rows[place]
        if row.arrow is not None:
            return self._arrow(row.arrow)
        return self._lane(row.lane or {}, row.at)

    def _names(self, part: str, style: str) -> Text:
        text = Text(" " * MARGIN, no_wrap=True)
        for column in self._columns:
            name = printable(column[part])
            name = name if cell_len(name) < self._gap else set_cell_size(name, self._gap - 2) + "…"
            text.append(_centred(name, self._gap), style)
        return text

    def _arrow(self, arrow: dict[str, Any]) -> Sequence[Text]:
        message = self.flow.messages[arrow["index"]]
        left, right, is_right = self._span(arrow["from"], arrow["to"])
        label = _label(arrow, right - left - 1 - (SHORT_SHAFT if self.height == 1 else 2))
        style = self._style(arrow, message)
        mark = "!" if arrow["index"] in self.flow.evidence else " "
        margin = f"{mark}{arrow['offset']:9.3f} "
        if self.height == 1:
            return [self._line(margin, left, right, _shaft(label, right - left - 1, is_right), style)]
        blank = " " * MARGIN
        return [
            self._line(margin, left, right, _centred(label, right - left - 1), style),
            self._line(blank, left, right, _shaft("", right - left - 1, is_right), style),
        ]

    def _lane(self, lane: dict[str, Any], at: float) -> Sequence[Text]:
        left, right, _ = self._span(lane["from"], lane["to"])
        start = self.flow.messages[0]["at"] if self.flow.messages else at
        margin = f" {at - start:9.3f} "
        room = right - left - 1
        if self.height == 1:
            shaft = f"◀{_centred(f' {sound_of(lane, room - 4)} ', room - 2, '═')}▶"
            return [self._line(margin, left, right, shaft, STYLES["media"])]
        return [
            self._line(margin, left, right, _centred(sound_of(lane, room), room), STYLES["media"]),
            self._line(" " * MARGIN, left, right, f"◀{'═' * (room - 2)}▶", STYLES["media"]),
        ]

    def _span(self, from_: str, to: str) -> tuple[int, int, bool]:
        first = next(iter(self._bars.values()), MARGIN)
        start, end = self._bars.get(from_, first), self._bars.get(to, first)
        if start == end:
            end = start + self._gap
        return min(start, end), max(start, end), end > start

    def _line(self, margin: str, left: int, right: int, middle: str, style: str) -> Text:
        """Bars, and between two of them what is said."""
        bars = [" "] * self.width
        for place in self._bars.values():
            bars[place] = "│"
        text = Text(no_wrap=True, end="")
        text.append(margin, MARKED if margin[0] == "!" else DIM)
        text.append("".join(bars[MARGIN : left + 1]), BAR)
        text.append(middle, style)
        text.append("".join(bars[left + 1 + cell_len(middle) :]), BAR)
        return text

    def _style(self, arrow: dict[str, Any], message: Message) -> str:
        if self._colouring == BY_CALL:
            return PALETTE[self._calls.get(message["call_id"], 0) % len(PALETTE)]
        if self._colouring == BY_TRANSACTION:
            number = message["cseq"].partition(" ")[0]
            return PALETTE[(int(number) if number.isascii() and number.isdecimal() else 0) % len(PALETTE)]
        return STYLES.get(arrow["kind"], "")


def rows_of(flow: Flow) -> list[Row]:
    """Arrows and lanes in the order they happened."""
    arrows = [Row(arrow["at"], arrow=arrow) for arrow in flow.picture["arrows"]]
    lanes = [Row(float(lane["began"] or 0.0), lane=lane) for lane in flow.picture["lanes"]]
    return sorted([*arrows, *lanes], key=lambda row: (row.at, row.lane is not None))


def sound_of(lane: dict[str, Any], room: int = 200) -> str:
    """Codec, loss and how good it sounds, as far as it is known and there is room for it."""
    parts = [printable(str(lane["codec"] or "sound"))[:30]]
    if lane["mos"] is not None:
        parts.append(f"MOS {lane['mos']:.1f}")
    if lane["loss"] is not None:
        parts.append(f"{lane['loss']:g} % lost")
    if lane["jitter_ms"] is not None:
        parts.append(f"jitter {lane['jitter_ms']:.0f} ms")
    while len(parts) > 1 and len(" · ".join(parts)) > room:
        parts.pop()
    return " · ".join(parts)


def _label(arrow: dict[str, Any], room: int) -> str:
    """With how often it was sent, and what it means where that has room."""
    again = f" ×{arrow['repeats'] + 1}" if arrow["repeats"] else ""
    label = printable(arrow["label"])
    note = f" · {printable(arrow['note'])}" if arrow["note"] else ""
    for words in (label + again + note, label + again, _OF_METHOD.sub(r"\1", label, count=1) + again):
        if cell_len(words) <= room:
            return words
    return fitted(label, room - len(again)) + again


def _shaft(label: str, room: int, is_right: bool) -> str:
    """`── label ───▶` or `◀── label ───`, exactly as wide as there is room."""
    if cell_len(label) > room - SHORT_SHAFT:
        label = set_cell_size(label, max(0, room - SHORT_SHAFT))
    lead = "──" if cell_len(label) <= room - SHAFT else "─"
    middle = f"{lead} {label} " if label else ""
    line = middle + "─" * (room - 1 - cell_len(middle))
    return f"{line}▶" if is_right else f"◀{line}"


def _centred(text: str, room: int, fill: str = " ") -> str:
    size = cell_len(text)
    if size > room:
        return set_cell_size(text, room)
    before = (room - size) // 2
    return f"{fill * before}{text}{fill * (room - size - before)}"
