# SPDX-License-Identifier: Apache-2.0
"""Records of calls on disk: found again by every word, kept within limits, and harmless in a spreadsheet."""

import csv
import io
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ringback.server.storage import records as records_module
from ringback.server.storage.records import RecordStore, Search
from ringback.server.storage.sealing import Sealer


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RecordStore]:
    store = RecordStore.open(tmp_path / "ringback.db", sealer=Sealer(b"k" * 32))
    yield store
    store.close()


def record(number: int, **fields: Any) -> dict[str, Any]:
    caller = {"number": "101", "name": "Anna", "device": "", "user_agent": ""}
    callee = {"number": "102", "name": "Bob", "device": "", "user_agent": ""}
    return {
        "id": f"{number:016x}", "began_at": 1000.0 + number, "answered_at": 1001.0 + number, "ended_at": 1064.0 + number,
        "caller": caller, "callee": callee, "dialled": "102", "state": "ended", "result": "answered", "status": 200,
        "ended_by": "callee", "how_ended": "102 hung up after 1 min 3 s", "mode": "bridge", "anchored": "",
        "call_ids": [f"call-{number}@host"], "legs": [{"number": "101"}, {"number": "102"}], "quality": [], "notes": [],
        "decisions": [], "verdicts": [], "recording": "", **fields,
    }  # fmt: skip


def kept(store: RecordStore, *found: dict[str, Any]) -> None:
    for each in found:
        assert store.put(each)
    assert store.flush()


def ids(store: RecordStore, **asked: Any) -> list[int]:
    return [int(each["id"], 16) for each in store.search(Search(**asked))[0]]


def test_what_was_put_comes_back_whole_and_the_newest_first(store: RecordStore) -> None:
    kept(store, record(1), record(3), record(2))
    assert store.record(f"{2:016x}") == record(2)
    assert store.record("nothing") is None
    assert ids(store) == [3, 2, 1]
    assert store.search(page=2, size=2) == ([record(1)], 3)


def test_every_word_of_a_search_must_be_there(store: RecordStore) -> None:
    carol = {"number": "103", "name": "Carol Müller_50%", "device": "", "user_agent": ""}
    kept(store, record(1), record(2, callee=carol, result="busy", recording="2.wav"))
    assert ids(store, text="anna") == [2, 1]
    assert ids(store, text="ANNA müller") == [2]
    assert ids(store, text="anna nobody") == []
    assert ids(store, text="_50%") == [2]
    assert ids(store, text="%") == [2]
    assert ids(store, result="busy") == [2]
    assert ids(store, since=1002.0) == [2]
    assert ids(store, until=1002.0) == [1]
    assert ids(store, text="' OR 1=1 --") == []


def test_a_number_is_found_whoever_had_it_in_the_call_and_not_a_part_of_it(store: RecordStore) -> None:
    kept(store, record(1), record(2, legs=[{"number": "101"}, {"number": "102"}, {"number": "104"}]))
    assert ids(store, number="104") == [2]
    assert ids(store, number="10") == []
    assert ids(store, number="%") == []


def test_a_call_is_found_by_the_call_id_of_any_leg(store: RecordStore) -> None:
    kept(store, record(1), record(2, call_ids=["A@x", "B_C@y"]))
    found = store.record_of_call("b_c@Y")
    assert found is not None
    assert found["id"] == f"{2:016x}"
    assert store.record_of_call("B@y") is None


def test_old_ones_go_and_refusals_drive_no_call_out(store: RecordStore) -> None:
    kept(store, *(record(number) for number in range(50)))
    kept(store, *(record(number, result="refused") for number in range(100, 400)))
    store.trim(before=1010.0, most=200)
    assert store.flush()
    found, total = store.search(size=1000)
    assert total == 40 + 20
    assert sum(each["result"] == "refused" for each in found) == 20
    store.trim(before=0.0, most=30)
    assert store.flush()
    assert store.search()[1] == 30


def test_what_the_disk_cannot_take_is_refused_and_not_piled_up(
    store: RecordStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records_module, "MOST_WAITING", 10)
    taken = [store.put(record(number)) for number in range(20)]
    assert taken == [True] * 10 + [False] * 10


def test_a_formula_stays_text_in_a_spreadsheet(store: RecordStore) -> None:
    evil = {"number": "+49123", "name": '=HYPERLINK("http://evil.test","x")', "device": "", "user_agent": ""}
    kept(store, record(1, caller=evil, dialled="@x"), record(2, answered_at=None, result="busy"))
    text = io.StringIO()
    csv.writer(text).writerows(store.csv_rows())
    headings, second, first = csv.reader(io.StringIO(text.getvalue()))
    row = dict(zip(headings, first, strict=True))
    assert row["caller name"] == '\'=HYPERLINK("http://evil.test","x")'
    assert (row["caller"], row["dialled"], row["seconds"]) == ("'+49123", "'@x", "63")
    assert row["began"] == time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(1001))
    assert dict(zip(headings, second, strict=True))["seconds"] == "0"


def test_verdicts_that_come_later_are_in_the_record(store: RecordStore) -> None:
    verdict = {"code": "RB-1001", "text": "one-way"}
    kept(store, record(1))
    store.judge(f"{1:016x}", [verdict])
    store.judge("of nobody", [verdict])
    assert store.flush()
    assert store.record(f"{1:016x}") == record(1, verdicts=[verdict])
    assert store.search()[1] == 1
