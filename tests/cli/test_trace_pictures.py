# SPDX-License-Identifier: Apache-2.0
"""The list and the ladder of `ringback trace` as data and letters, without a screen."""

from typing import Any

import pytest

from ringback.cli.trace_calls import CallTable, Filter
from ringback.cli.trace_screens.call_rows import CallRows, heading
from ringback.cli.trace_screens.ladder_rows import BY_CALL, MARGIN, Drawing
from ringback.cli.trace_screens.words import explanation_text, headline, lane_text, sparkline
from ringback.cli.trace_source import Flow, Told, flow_of, identity

SERVER, ANNA, BEN = "192.0.2.1:5060", "192.0.2.9:5060", "192.0.2.8:5060"


def message(at: float, way: str, remote: str, start: str, call_id: str = "one", cseq: str = "1 INVITE", body: str = "") -> dict[str, Any]:  # fmt: skip
    """A message as the server tells it."""
    status = (
        {"status": int(start.split()[1])}
        if start.startswith("SIP/2.0 ")
        else {"method": start.split(maxsplit=1)[0]}
    )
    people = {"from": "sip:101@office.test", "to": "sip:102@office.test", "from_tag": "a", "to_tag": ""}
    text = f"{start}\r\nCall-ID: {call_id}\r\nCSeq: {cseq}\r\n\r\n{body}"
    return {
        "at": 1000 + at, "direction": way, "transport": "UDP", "local": SERVER, "remote": remote, **status,
        "summary": start, "call_id": call_id, "cseq": cseq, **people, "size": len(text), "text": text,
    }  # fmt: skip


INVITE = "INVITE sip:102@office.test SIP/2.0"
SDP = "v=0\r\nm=audio 4000 RTP/AVP 8\r\n"
CALL = [
    message(0.0, "received", ANNA, INVITE, body=SDP),
    message(0.1, "sent", BEN, INVITE, "leg", body=SDP),
    message(0.6, "sent", BEN, INVITE, "leg", body=SDP),
    message(1.6, "sent", BEN, INVITE, "leg", body=SDP),
    message(1.7, "received", BEN, "SIP/2.0 180 Ringing", "leg"),
    message(1.8, "sent", ANNA, "SIP/2.0 180 Ringing"),
    message(2.0, "received", BEN, "SIP/2.0 486 Busy Here", "leg"),
    message(2.1, "sent", ANNA, "SIP/2.0 486 Busy Here"),
]
RECORD = {
    "id": "00112233445566aa", "call_ids": ["one", "leg"], "began_at": 1000.0, "answered_at": 1002.0, "ended_at": None,
    "state": "talking", "result": "", "how_ended": "", "caller": {"number": "101", "name": "Anna"},
    "callee": {"number": "102", "name": "[b]\u202eBen"},
    "legs": [{
        "name": "caller", "number": "101", "address": f"{ANNA} (UDP)",
        "streams": [{"kind": "audio", "codec": "opus", "packets_received": 990, "lost": 10, "jitter_ms": 3.2, "mos": 4.1}],
    }],
    "quality": [{"at": 1005.0, "leg": "caller", "mos": 4.1, "loss": 1.0, "jitter_ms": 3.2}],
}  # fmt: skip
VERDICT = {
    "code": "RB-2004",
    "severity": "error",
    "title": "Busy",
    "text": "102 [red]is busy",
    "advice": "Call later.",
}


def flow() -> Flow:
    return flow_of([Told("one", ("one", "leg"), RECORD, CALL, [], [VERDICT], frozenset({identity(CALL[6])}))])


def letters(drawing: Drawing) -> list[str]:
    return [line.plain.rstrip() for place in range(len(drawing.rows)) for line in drawing.paint(place)]


def test_a_ladder_has_a_bar_for_each_participant_and_folds_what_was_sent_again() -> None:
    drawing = Drawing(flow(), width=80)
    names, addresses = drawing.head()
    assert names.plain.split() == ["101", "Anna", "Ringback", "102", "[b]\N{REPLACEMENT CHARACTER}Ben"]
    assert addresses.plain.split() == [ANNA, SERVER, BEN]
    lines = letters(drawing)
    bars = [place for place, letter in enumerate(lines[0]) if letter == "│"]
    assert len(bars) == 3
    assert len(lines) == 7  # six messages and one lane
    assert lines[0][bars[0] + 1 : bars[1]] == "── INVITE (SDP) ─────▶"
    assert "INVITE (SDP) ×3" in lines[1]
    assert lines[1][bars[0] + 1 : bars[1]].isspace()
    assert lines[2][bars[1] + 1 : bars[2]] == "◀── 180 Ringing ──────"
    assert "opus · MOS 4.1" in lines[5]
    assert all(len(line) <= 80 for line in lines)
    marked = [line for line in lines if line.startswith("!")]
    assert len(marked) == 1
    assert "486" in marked[0]
    assert marked[0][: MARGIN - 1] == "!    2.000"


def test_arrows_of_two_lines_have_the_label_above_and_colours_tell_legs_apart() -> None:
    drawing = Drawing(flow(), width=140, is_tall=True, colouring=BY_CALL)
    lines = letters(drawing)
    assert len(lines) == 14
    assert "INVITE (SDP)" in lines[0]
    assert "▶" in lines[1]
    colours = {str(drawing.paint(place)[0].spans[-2].style) for place in (0, 1)}
    assert len(colours) == 2


@pytest.mark.parametrize("width", [1, 20, 80])
def test_a_screen_that_is_too_narrow_is_drawn_wider_and_moved(width: int) -> None:
    drawing = Drawing(flow(), width=width)
    assert drawing.width >= 60
    assert len({len(drawing.paint(place)[0].plain) for place in range(len(drawing.rows))}) == 1
    assert heading(width).plain


def test_no_message_is_a_picture_too() -> None:
    drawing = Drawing(flow_of([Told("x", ("x",), None, [], [], [])]), width=80)
    assert drawing.rows == []
    assert drawing.head()[0].plain.split() == ["Ringback"]


def test_both_legs_of_a_call_are_one_line_and_who_spoke_is_known_from_the_record() -> None:
    table = CallTable()
    assert table.hear(CALL[:6]) == {"one", "leg"}
    assert len(table.lines(Filter())) == 2
    table.learn([RECORD])
    line = table.lines(Filter())[0]
    assert (line.call_id, line.legs, line.messages) == ("one", {"one", "leg"}, 6)
    assert (line.shown_caller, line.result) == ("101 Anna", "talking")
    shown = CallRows([line], {"one"}).paint(0, 100)[0].plain
    assert "102 [b]\\u202eBen" in shown
    assert shown.startswith("●")


def test_what_is_new_is_counted_once_and_after_clearing_only_what_begins() -> None:
    table = CallTable()
    counted = {"call_id": "one", "method": "INVITE", "from": "sip:101@x", "to": "sip:102@x", "remote": ANNA, "began_at": 1000.0, "last_at": 1001.8, "messages": 3, "status": 180}  # fmt: skip
    table.load([counted])
    table.hear(CALL)  # the last message of "one" came after the server had counted
    line = table.lines(Filter())[0]
    assert (line.messages, line.result) == (4, "486 Busy Here")
    table.clear()
    table.hear([message(9, "received", ANNA, "SIP/2.0 200 OK"), message(9, "received", ANNA, INVITE, "new")])
    assert [line.call_id for line in table.lines(Filter())] == ["new"]


def test_a_filter_looks_at_who_whom_method_and_words() -> None:
    table = CallTable()
    table.hear([*CALL, message(3, "received", ANNA, "REGISTER sip:x SIP/2.0", "r", "1 REGISTER")])
    for wanted, count in (
        (Filter(), 2), (Filter(method=""), 3), (Filter(method="register, options"), 1), (Filter(caller="101"), 2),
        (Filter(caller="10*"), 2), (Filter(caller="10"), 0), (Filter(callee="101"), 0), (Filter(words="busy 102"), 2),
        (Filter(words="192.0.2.9"), 1),
    ):  # fmt: skip
        assert len(table.lines(wanted)) == count, wanted


def test_verdicts_and_the_sound_are_told_in_words() -> None:
    assert headline(flow()).plain.startswith("RB-2004 Busy")
    told = explanation_text(flow()).plain
    assert "102 [red]is busy\n→ Call later." in told
    assert "Nothing was decided about it here." in told
    lane = lane_text(flow().picture["lanes"][0]).plain
    assert "opus · MOS 4.1 · 1 % lost · jitter 3 ms" in lane
    assert sparkline([0, 50, 100, 900], 0, 100) == "▁▅██"
