# SPDX-License-Identifier: Apache-2.0
"""What does a call look like? Columns for who took part, arrows for messages, lanes for the sound.

It is data for those who draw it, on a page, in a terminal or in a download.

    picture(messages, record) -> {
        "columns": [{"id", "label", "address"}],
        "arrows": [{"at", "offset", "from", "to", "label", "kind", "index", "repeats", "note"}],
        "lanes": [{"leg", "from", "to", "began", "ended", "codec", "loss", "jitter_ms", "mos",
                   "series", "held"}]}

Times are seconds since 1970, `offset` seconds since the first message; `index` is the place of the message in
`messages`. What was sent again is one arrow, which says how often. Labels come from strangers: escape them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ringback.server.tracing.message import Message, body
from ringback.server.tracing.picture_columns import SERVER, column_ids, columns_of, visible
from ringback.server.tracing.picture_lanes import lanes_of
from ringback.server.tracing.picture_notes import notes_of

Arrow = dict[str, Any]
Picture = dict[str, Any]

#: After 64*T1 nobody sends a message again (RFC 3261 17.1.1.2): later it is another one that looks the same.
LONGEST_RESENDING = 34.0

KINDS = ((200, "provisional"), (300, "success"), (400, "redirect"))


def picture(messages: Sequence[Message], record: Mapping[str, Any] | None = None) -> Picture:
    """The picture of these messages, which are in the order they happened."""
    columns = columns_of(messages, record)
    notes = notes_of(messages)
    return {
        "columns": columns,
        "arrows": _arrows(messages, notes, column_ids(columns)),
        "lanes": lanes_of(messages, notes, columns, record),
    }


def _arrows(messages: Sequence[Message], notes: Sequence[str], ids: Mapping[str, str]) -> list[Arrow]:
    drawn: list[Arrow] = []
    arrows: dict[tuple[str, str, str], Arrow] = {}
    for index, (message, note) in enumerate(zip(messages, notes, strict=True)):
        key = (message["direction"], message["remote"], message["text"])
        first = arrows.get(key)
        if first is None or message["at"] - first["at"] > LONGEST_RESENDING:
            arrows[key] = _arrow(messages[0]["at"], message, note, ids) | {"index": index}
            drawn.append(arrows[key])
        else:
            _fold(first, message["at"])
    return drawn


def _arrow(start: float, message: Message, note: str, ids: Mapping[str, str]) -> Arrow:
    ends = ids[message["remote"]], SERVER
    from_, to = ends if message["direction"] == "received" else ends[::-1]
    return {
        "at": message["at"],
        "offset": round(message["at"] - start, 6),
        "from": from_,
        "to": to,
        "label": label_of(message),
        "kind": kind_of(message),
        "repeats": 0,
        "note": note,
    }


def _fold(arrow: Arrow, at: float) -> None:
    """One more of the same."""
    arrow["repeats"] += 1
    before = arrow["note"].partition("sent again")[0].rstrip(" ;")
    times = "once" if arrow["repeats"] == 1 else f"{arrow['repeats']} times"
    again = f"sent again {times}, the last {at - arrow['at']:.1f} s later"
    arrow["note"] = f"{before}; {again}" if before else again


def kind_of(message: Message) -> str:
    """The class of a message, for its colour."""
    status = message.get("status")
    if status is None:
        return "request"
    return next((kind for limit, kind in KINDS if status < limit), "failure")


def label_of(message: Message) -> str:
    """ "INVITE (SDP)", "200 OK (INVITE)"."""
    has_description = "\nm=" in body(message)
    if "status" in message:
        words = message["summary"].partition(" ")[2].strip(" ")
        label = f"{words} ({message['cseq'].rpartition(' ')[2]})"
    else:
        label = message["method"] or "?"
    return visible(f"{label} (SDP)" if has_description else label)
