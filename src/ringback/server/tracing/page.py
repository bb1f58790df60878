# SPDX-License-Identifier: Apache-2.0
"""How is a call shown to somebody who has no Ringback? As one HTML file: the ladder, and every message.

It needs nothing but itself: no script, no address to load from, and a policy that forbids both. Everything
that a stranger wrote is escaped in one place (`_text`).
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ringback.server.tracing.drawing import drawing
from ringback.server.tracing.message import Message
from ringback.server.tracing.page_style import STYLE
from ringback.server.tracing.picture import Arrow, label_of, picture

POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def html_page(record: Mapping[str, Any] | None, messages: Sequence[Message]) -> str:
    """The page. `record` may be None: then the messages are all there is."""
    seen = picture(messages, record)
    title = _title(record, messages)
    parts = [
        f"<h1>{_text(title)}</h1>",
        f'<p class="how">{_text((record or {}).get("how_ended") or "")}</p>',
        _facts(record, messages),
        *_verdicts(record),
        f'<h2>Messages</h2><div class="ladder">{drawing(seen)}</div>'
        if messages
        else "<p>No message was kept.</p>",
        *_lanes(seen["lanes"]),
        *_decisions(record),
        "<h2>Every message, passwords and keys struck out</h2>" if messages else "",
        *_whole(messages, {arrow["index"]: arrow for arrow in seen["arrows"]}),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_text(title)}</title><style>{STYLE}</style></head><body><main>\n"
        + "\n".join(parts)
        + "\n</main></body></html>\n"
    )


def _title(record: Mapping[str, Any] | None, messages: Sequence[Message]) -> str:
    if record:
        who = [_person(record.get(role)) for role in ("caller", "callee")]
        return f"Call from {who[0] or 'unknown'} to {who[1] or record.get('dialled') or 'unknown'}"
    return f"{messages[0]['from']} to {messages[0]['to']}" if messages else "An empty trace"


def _person(person: Mapping[str, Any] | None) -> str:
    return f"{(person or {}).get('number') or ''} {(person or {}).get('name') or ''}".strip(" ")


def _facts(record: Mapping[str, Any] | None, messages: Sequence[Message]) -> str:
    values = dict(record or {})
    call_ids = values.get("call_ids") or list(dict.fromkeys(message["call_id"] for message in messages))
    rows = {
        "Began": _when(values.get("began_at") or (messages[0]["at"] if messages else None)),
        "Answered": _when(values.get("answered_at")),
        "Ended": _when(values.get("ended_at")),
        "Result": values.get("result") or "",
        "Call-ID": ", ".join(str(each) for each in call_ids),
    }
    cells = (f"<dt>{name}</dt><dd>{_text(value)}</dd>" for name, value in rows.items() if value)
    return f"<dl>{''.join(cells)}</dl>"


def _verdicts(record: Mapping[str, Any] | None) -> Iterator[str]:
    found = (record or {}).get("verdicts") or ()
    if found:
        yield "<h2>What was found</h2>"
    for verdict in found:
        kind = verdict.get("severity")
        kind = kind if kind in ("error", "warning") else "note"
        head = f"{verdict.get('code', '')} {verdict.get('title', '')}"
        words = (
            f"<strong>{_text(head)}</strong>",
            _text(verdict.get("text", "")),
            _text(verdict.get("advice", "")),
        )
        yield f'<div class="verdict {kind}"><p>{"<br>".join(words)}</p></div>'


def _decisions(record: Mapping[str, Any] | None) -> Iterator[str]:
    found = (record or {}).get("decisions") or ()
    if found:
        yield "<h2>Why it went there</h2>"
        yield from _table(
            ("Service", "Rule", "Saw", "Chose", "Source"),
            ([one.get(name, "") for name in ("service", "rule", "saw", "chose", "source")] for one in found),
        )


def _lanes(lanes: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if lanes:
        yield "<h2>Sound</h2>"
        yield from _table(
            ("Leg", "Codec", "Lost %", "Jitter ms", "MOS", "On hold"),
            (
                [
                    lane["leg"],
                    lane["codec"],
                    _or_dash(lane["loss"]),
                    _or_dash(lane["jitter_ms"]),
                    _or_dash(lane["mos"]),
                    len(lane["held"]) or "",
                ]
                for lane in lanes
            ),
        )


def _table(head: Sequence[str], rows: Iterator[list[Any]] | Any) -> Iterator[str]:
    yield f"<table><tr>{''.join(f'<th>{_text(name)}</th>' for name in head)}</tr>"
    for row in rows:
        yield f"<tr>{''.join(f'<td>{_text(cell)}</td>' for cell in row)}</tr>"
    yield "</table>"


def _whole(messages: Sequence[Message], arrows: Mapping[int, Arrow]) -> Iterator[str]:
    for index, message in enumerate(messages):
        arrow = arrows.get(index)
        label = arrow["label"] if arrow is not None else f"{label_of(message)}, again"
        way = (
            f"{message['remote']} → Ringback"
            if message["direction"] == "received"
            else f"Ringback → {message['remote']}"
        )
        offset = f"+{message['at'] - messages[0]['at']:.3f} s"
        yield (
            f'<details id="m{index}"><summary>{_text(label)}<span>{offset}</span>'
            f"<span>{_text(way)} {_text(message['transport'])}</span></summary>"
            f"<pre>{_text(message['text'])}</pre></details>"
        )


def _when(at: float | None) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if at else ""


def _or_dash(value: object) -> str:
    return "–" if value is None else str(value)


def _text(value: object) -> str:
    """Anything as text in HTML. Control characters, and those that turn the direction of writing, are shown
    as replacement characters.
    """
    shown = "".join(
        letter
        if letter.isprintable() or letter == "\n"
        else ""
        if letter == "\r"
        else " "
        if letter == "\t"
        else "\ufffd"
        for letter in str(value)
    )
    return html.escape(shown, quote=True)
