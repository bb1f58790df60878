# SPDX-License-Identifier: Apache-2.0
"""`ringback calls` where no server runs: the calls that were, as tables, JSON and CSV."""

import csv
import io
import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from command_line import ringback

from ringback.server.first_start import open_records

LEG = {
    "name": "caller", "number": "101", "display": "", "address": "192.0.2.1:5060 (UDP)", "call_id": "abc@x", "status": 0,
    "security": "plain", "suite": "", "media_address": "",
    "streams": [{"kind": "audio", "codec": "PCMU", "packets_received": 3000, "packets_sent": 3000, "lost": 7,
                 "jitter_ms": 1.5, "mos": 4.2, "round_trip_ms": None}],
}  # fmt: skip


def record(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "id": f"{number:016x}", "began_at": 1_700_000_000.0 + number, "answered_at": 1_700_000_003.0, "ended_at": 1_700_000_066.0,
        "caller": {"number": "101", "name": "Anna\x1b[2J", "device": "", "user_agent": ""},
        "callee": {"number": "102", "name": "Bob", "device": "", "user_agent": ""},
        "dialled": "102", "state": "ended", "result": "answered", "status": 200, "ended_by": "callee",
        "how_ended": "102 hung up after 1 min 3 s", "mode": "bridge", "anchored": "it is recorded", "call_ids": ["abc@x"],
        "legs": [LEG], "quality": [], "notes": [{"at": 1.0, "text": "101 put the call on hold"}], "decisions": [],
        "verdicts": [], "recording": "a.wav", **fields,
    }  # fmt: skip


@pytest.fixture
def data(tmp_path: Path) -> Path:
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    with closing(open_records(data)) as records:
        records.put(record(1))
        records.put(record(2, result="busy", answered_at=None, how_ended="102 was busy"))
    return data


def test_the_calls_that_were_are_a_table_in_which_no_name_moves_the_cursor(data: Path) -> None:
    done = ringback("calls", "--before", data=data)
    assert done.returncode == 0
    headings, newest, oldest = done.stdout.splitlines()
    assert headings.split()[:3] == ["ID", "BEGAN", "FROM"]
    assert newest.endswith("busy      102 was busy")
    assert "101 (Anna\\x1b[2J)  102 (Bob)  1:03" in oldest
    assert "\x1b" not in done.stdout


def test_a_search_finds_what_was_asked_for_and_says_what_was_left_out(data: Path) -> None:
    assert "102 was busy" not in ringback("calls", "--before", "--result", "answered", data=data).stdout
    assert (
        ringback("calls", "--before", "--search", "nobody", data=data).stdout
        == "No such call was written down.\n"
    )
    assert ringback("calls", "--before", "--number", "101", "--limit", "1", data=data).stderr.startswith(
        "ringback: 1 more"
    )


def test_programs_get_json_and_spreadsheets_csv(data: Path) -> None:
    assert json.loads(ringback("calls", "--before", "--json", data=data).stdout)[1] == record(1)
    rows = list(csv.DictReader(io.StringIO(ringback("calls", "--csv", data=data).stdout)))
    assert [(row["result"], row["seconds"]) for row in rows] == [("busy", "0"), ("answered", "63")]


def test_one_call_is_told_in_full(data: Path) -> None:
    for key in (f"{1:016x}", "ABC@x"):
        shown = ringback("calls", "show", key, data=data)
        assert shown.returncode == 0, shown.stderr
    shown = ringback("calls", "show", f"{1:016x}", data=data)
    assert "192.0.2.1:5060 (UDP); audio PCMU: 3000 packets in, 7 lost, jitter 1.5 ms, MOS 4.2" in shown.stdout
    assert "101 put the call on hold" in shown.stdout


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["calls"], "no server is running"),
        (["calls", "hangup", "x"], "no server is running"),
        (["calls", "place", "101", "102"], "no server is running"),
        (["calls", "show", "x"], "there is no call x"),
        (["calls", "--before", "--result", "lost"], "'lost' is not one of"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(data: Path, words: list[str], complaint: str) -> None:
    done = ringback(*words, data=data)
    assert done.returncode in (1, 2)
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr
