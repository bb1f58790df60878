# SPDX-License-Identifier: Apache-2.0
"""How are messages, lanes, verdicts and decisions written on the screen? As coloured text, never markup."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.text import Text

from ringback.cli.text import printable
from ringback.cli.trace_calls import address, person_of
from ringback.cli.trace_lines import when
from ringback.cli.trace_saving import origin_of, shown_text
from ringback.cli.trace_screens.ladder_rows import STYLES, sound_of
from ringback.cli.trace_source import Flow, Told
from ringback.server.tracing.message import Message
from ringback.server.tracing.picture import kind_of

SEVERITIES = {"error": "bold red", "warning": "bold yellow", "note": "bold cyan"}
BLOCKS = "▁▂▃▄▅▆▇█"
#: MOS goes from 1 to 5.
WORST, BEST = 1.0, 5.0
DIM = "grey62"


def message_text(message: Message, note: str = "") -> Text:
    """A whole message: where it came from, its start line, its header fields, its body."""
    text = Text().append(f"{origin_of(message)}\n", DIM)
    if note:
        text.append(f"{printable(note)}\n", "italic")
    head, empty, body = shown_text(message).partition("\n\n")
    start, _, fields = head.partition("\n")
    text.append(f"{start}\n", f"bold {STYLES[kind_of(message)].removeprefix('bold ')}")
    for line in fields.split("\n") if fields else ():
        name, colon, value = line.partition(":")
        text.append(name, "blue" if colon else "")
        text.append(f"{colon}{value}\n")
    if empty:
        text.append(f"\n{body}\n")
    return text


def lane_text(lane: Mapping[str, Any]) -> Text:
    """The sound of one leg: its figures, how they went, when it was held."""
    text = Text().append("Sound of ", DIM)
    text.append(f"{printable(str(lane['leg']))}\n", "bold")
    text.append(f"{sound_of(dict(lane))}\n", STYLES["media"])
    if lane["began"]:
        until = when(lane["ended"])[11:] if lane["ended"] else "now"
        text.append(f"from {when(lane['began'])[11:]} until {until}\n")
    for begin, end in lane.get("held") or ():
        text.append(f"held from {when(begin)[11:]} until {when(end)[11:] if end else 'now'}\n", "yellow")
    for name, low, high in (("mos", WORST, BEST), ("loss", 0.0, 20.0), ("jitter_ms", 0.0, 100.0)):
        points = [point[name] for point in lane.get("series") or () if point.get(name) is not None]
        if points:
            span = f"{min(points):g} to {max(points):g}"
            text.append(f"{name.removesuffix('_ms'):<7}{sparkline(points, low, high)}  {span}\n")
    return text


def sparkline(points: Sequence[float], low: float, high: float, room: int = 40) -> str:
    """The newest values as blocks of eight heights."""
    scaled = ((min(max(point, low), high) - low) / (high - low) for point in points[-room:])
    return "".join(BLOCKS[round(share * (len(BLOCKS) - 1))] for share in scaled)


def explanation_text(flow: Flow) -> Text:
    """What is wrong with the calls, what helps, and who decided what."""
    text = Text()
    for call in flow.calls:
        for part in _explained(call):
            text.append_text(part)
    return text


def headline(flow: Flow) -> Text:
    """The gravest verdict in a line; empty where nothing is wrong."""
    grave = next((each for each in flow.verdicts if each["severity"] in ("error", "warning")), None)
    if grave is None:
        return Text()
    more = len(flow.verdicts) - 1
    rest = f"  and {more} more" if more else ""
    style = SEVERITIES[grave["severity"]]
    return Text(f"{grave['code']} {printable(str(grave['title']))}{rest}   (e explains)", style=style)


def title_of(call: Told) -> Text:
    """Who calls whom, and how it is or ended."""
    record = call.record or {}
    people = [_person(record.get(role)) for role in ("caller", "callee")]
    if not any(people) and call.messages:
        first = call.messages[0]
        people = [printable(address(first[end])) for end in ("from", "to")]
    text = Text(no_wrap=True, overflow="ellipsis").append(f"{people[0]} → {people[1]}", "bold")
    state = printable(str(record.get("how_ended") or record.get("state") or ""))
    text.append(f"   {state}" if state else "")
    text.append(f"   {len(call.messages)} messages", DIM)
    if call.left_out:
        text.append(f", {call.left_out} older ones left out", DIM)
    return text


def _person(person: Mapping[str, Any] | None) -> str:
    return printable(person_of(person))


def _explained(call: Told) -> Iterator[Text]:
    yield title_of(call).append("\n")
    yield Text(f"Call-ID {printable(call.call_id)}\n\n", style=DIM)
    if not call.verdicts:
        yield Text("Nothing is wrong with it, as far as can be seen from here.\n\n", style="green")
    for verdict in call.verdicts:
        title = f"{verdict['code']} {verdict['severity']}: {printable(str(verdict['title']))}\n"
        yield Text(title, style=SEVERITIES.get(str(verdict["severity"]), "bold"))
        yield Text(f"{printable(str(verdict['text']))}\n")
        yield Text(f"→ {printable(str(verdict['advice']))}\n\n", style="italic")
    yield Text("Decisions\n", style="bold")
    if not call.decisions:
        yield Text("Nothing was decided about it here.\n")
    for number, decision in enumerate(call.decisions, 1):
        yield from _decided(number, decision)
    yield Text("\n")


def _decided(number: int, decision: Mapping[str, Any]) -> Iterator[Text]:
    yield (
        Text()
        .append(f"{number:3} ", DIM)
        .append(f"{decision['service']}  ", "bold")
        .append(f"{printable(str(decision['saw']))}\n")
    )
    refused = decision["verdict"] == "refused"
    yield Text(f"    → {printable(str(decision['chose']))}", style="red" if refused else "green")
    yield Text(f"   [{printable(str(decision['source']))}]\n" if decision.get("source") else "\n", style=DIM)
    for rejected in decision.get("rejected") or ():
        yield Text(f"    not {printable(str(rejected))}\n", style="yellow")
