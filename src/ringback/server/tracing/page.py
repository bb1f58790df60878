# SPDX-License-Identifier: Apache-2.0
"""How is a call shown to somebody who has no Ringback? As one HTML file: who and when, the ladder, every message.

It needs nothing but itself: no script, no address to load from, and a policy that forbids both. Everything that a
stranger wrote is escaped in one place (`_text`).
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ringback.server.tracing.drawing import drawing
from ringback.server.tracing.message import Message
from ringback.server.tracing.picture import Arrow, label_of, picture

POLICY = "default-src 'none'; style-src 'unsafe-inline'"

STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --quiet: #59636e; --line: #d0d7de; --paper: #fff; --tint: #f3f5f7;
  --request: #0b62c4; --provisional: #6e6a00; --success: #14713a; --redirect: #7a3fb5; --failure: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --quiet: #9aa5b1; --line: #3a434d; --paper: #12161b;
  --tint: #1c222a; --request: #6db3ff; --provisional: #d6cf5a; --success: #63d08f; --redirect: #c79bf2; --failure: #ff8a80; } }
body { margin: 2rem auto; padding: 0 1rem; max-width: 76rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
p.how { color: var(--quiet); margin: 0 0 1rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1.2rem; margin: 1rem 0; }
dt { color: var(--quiet); } dd { margin: 0; overflow-wrap: anywhere; }
.ladder { overflow-x: auto; border: 1px solid var(--line); border-radius: 8px; padding: .5rem; }
svg { display: block; } svg text { font: 12px system-ui, sans-serif; fill: var(--ink); }
svg .quiet { fill: var(--quiet); } svg .name { font-weight: 600; } svg .bar { stroke: var(--line); }
svg .note { font-style: italic; fill: var(--quiet); }
svg .arrow { stroke-width: 1.5; fill: none; }
svg .request { stroke: var(--request); } svg .provisional { stroke: var(--provisional); }
svg .success { stroke: var(--success); } svg .redirect { stroke: var(--redirect); } svg .failure { stroke: var(--failure); }
svg a:hover text { text-decoration: underline; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .3rem .8rem .3rem 0;
  border-bottom: 1px solid var(--line); vertical-align: top; } th { color: var(--quiet); font-weight: 500; }
details { border-bottom: 1px solid var(--line); } summary { padding: .35rem 0; cursor: pointer; }
summary span { color: var(--quiet); margin-left: .8rem; }
pre { background: var(--tint); padding: .8rem; border-radius: 6px; overflow-x: auto; white-space: pre-wrap;
  overflow-wrap: anywhere; font: 13px/1.45 ui-monospace, monospace; margin: 0 0 .8rem; }
.verdict { border-left: 3px solid var(--line); padding: .1rem .8rem; margin: .6rem 0; }
.verdict.error { border-color: var(--failure); } .verdict.warning { border-color: var(--provisional); }
"""


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
        f"<title>{_text(title)}</title><style>{STYLE}</style></head><body>\n"
        + "\n".join(parts)
        + "\n</body></html>\n"
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
            f"{message['remote']} → us" if message["direction"] == "received" else f"us → {message['remote']}"
        )
        offset = f"+{message['at'] - messages[0]['at']:.3f} s"
        yield (
            f'<details id="m{index}"><summary>{_text(label)}<span>{offset}</span>'
            f"<span>{_text(way)} {_text(message['transport'])}</span></summary><pre>{_text(message['text'])}</pre></details>"
        )


def _when(at: float | None) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if at else ""


def _or_dash(value: object) -> str:
    return "–" if value is None else str(value)


def _text(value: object) -> str:
    """Anything as text in HTML. Control characters, and those that turn the direction of writing, are shown as
    replacement characters.
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
