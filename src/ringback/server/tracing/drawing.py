# SPDX-License-Identifier: Apache-2.0
"""How is the picture of a call drawn where no program runs? As SVG, every text escaped."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from typing import Any

Picture = Mapping[str, Any]

TIMES, GAP, ROW, HEAD, NOTE = 90, 260, 30, 56, 14
EDGE = 110
TIP = 7
#: Letters that fit between two columns, and into a head.
ROOM, ROOM_HEAD = 38, 30


def drawing(picture: Picture) -> str:
    """The ladder; each arrow is a link to "#m" and the place of its message."""
    columns = picture["columns"]
    places = {column["id"]: TIMES + EDGE + index * GAP for index, column in enumerate(columns)}
    arrows = picture["arrows"]
    height = HEAD + ROW * len(arrows) + NOTE * sum(1 for arrow in arrows if arrow["note"]) + ROW
    width = TIMES + 2 * EDGE + GAP * (len(columns) - 1)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" role="group" '
        f'viewBox="0 0 {width} {height}" aria-label="{len(arrows)} messages between {len(columns)} parties">',
        *(_head(column, places[column["id"]], height) for column in columns),
        *_rows(arrows, places),
        "</svg>",
    ]
    return "".join(parts)


def _head(column: Mapping[str, str], x: int, height: int) -> str:
    return (
        _words(x, 20, column["label"], "name", ROOM_HEAD)
        + _words(x, 38, column["address"], "quiet", ROOM_HEAD)
        + f'<line class="bar" x1="{x}" y1="{HEAD - 8}" x2="{x}" y2="{height - 8}"/>'
    )


def _rows(arrows: list[Mapping[str, Any]], places: Mapping[str, int]) -> Iterator[str]:
    y = HEAD + ROW // 2
    for arrow in arrows:
        start, end = places[arrow["from"]], places[arrow["to"]]
        middle = (start + end) // 2
        back = end - TIP if end > start else end + TIP
        label = f"{arrow['label']} ×{arrow['repeats'] + 1}" if arrow["repeats"] else arrow["label"]
        yield f'<text class="quiet" x="4" y="{y + 4}">+{arrow["offset"]:.3f} s</text>'
        yield (
            f'<a href="#m{arrow["index"]}">{_words(middle, y - 5, label, "", ROOM)}'
            f'<path class="arrow {arrow["kind"]}" '
            f'd="M{start} {y}H{end}M{back} {y - 4}L{end} {y}L{back} {y + 4}"/></a>'
        )
        if arrow["note"]:
            yield _words(middle, y + 14, arrow["note"], "note", ROOM + 8)
            y += NOTE
        y += ROW


def _words(x: int, y: int, text: str, kind: str, room: int) -> str:
    shown = text if len(text) <= room else text[: room - 1] + "…"
    title = f"<title>{html.escape(text)}</title>" if shown != text else ""
    return f'<text class="{kind}" x="{x}" y="{y}" text-anchor="middle">{html.escape(shown)}{title}</text>'
