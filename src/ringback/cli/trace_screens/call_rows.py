# SPDX-License-Identifier: Apache-2.0
"""How is the list of calls drawn? A line each: when, who, whom, how many messages, what came of it."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from ringback.cli.text import printable
from ringback.cli.trace_calls import Line

STYLES = {"on": "bold cyan", "good": "green", "refused": "red"}
#: Columns that are as wide as this; who and whom share the rest.
MARK, TIME, METHOD, COUNT, RESULT, REMOTE, CALL_ID = 2, 8, 9, 4, 20, 22, 24
#: From how wide a screen the last columns are shown.
WITH_REMOTE, WITH_CALL_ID = 105, 132
DIM = "grey62"


class CallRows:
    """The lines that fit the filter, for `Rows`."""

    height, width = 1, 0

    def __init__(self, lines: Sequence[Line], marked: Collection[str]) -> None:
        self.lines = lines
        self._marked = marked

    @property
    def count(self) -> int:
        """So many lines."""
        return len(self.lines)

    def paint(self, place: int, width: int) -> Sequence[Text]:
        """One line."""
        line = self.lines[place]
        is_marked = line.call_id in self._marked
        cells = (
            ("●" if is_marked else " ", MARK, "bold yellow"),
            (time.strftime("%H:%M:%S", time.localtime(line.began_at)), TIME, DIM),
            (line.method, METHOD, ""),
            (line.shown_caller, _share(width), "bold" if is_marked else ""),
            (line.shown_callee, _share(width), "bold" if is_marked else ""),
            (str(line.messages).rjust(COUNT), COUNT, DIM),
            (line.result, RESULT, STYLES[line.kind]),
            *(((line.remote, REMOTE, DIM),) if width >= WITH_REMOTE else ()),
            *(((line.call_id, CALL_ID, DIM),) if width >= WITH_CALL_ID else ()),
        )
        return [_joined(cells)]


def heading(width: int) -> Text:
    """Above the columns."""
    cells = (
        ("", MARK, ""), ("TIME", TIME, ""), ("METHOD", METHOD, ""), ("FROM", _share(width), ""),
        ("TO", _share(width), ""), ("MSGS", COUNT, ""), ("RESULT", RESULT, ""),
        *((("PEER", REMOTE, ""),) if width >= WITH_REMOTE else ()),
        *((("CALL-ID", CALL_ID, ""),) if width >= WITH_CALL_ID else ()),
    )  # fmt: skip
    return _joined(cells)


def _share(width: int) -> int:
    fixed = MARK + TIME + METHOD + COUNT + RESULT + 6
    fixed += REMOTE + 1 if width >= WITH_REMOTE else 0
    fixed += CALL_ID + 1 if width >= WITH_CALL_ID else 0
    return max(8, (width - fixed - 1) // 2)


def _joined(cells: Sequence[tuple[str, int, str]]) -> Text:
    text = Text(no_wrap=True, end="")
    for words, width, style in cells:
        shown = printable(words[: 4 * width])
        if cell_len(shown) > width:
            shown = set_cell_size(shown, width - 1) + "…"
        text.append(set_cell_size(shown, width), style)
        text.append(" ")
    return text
