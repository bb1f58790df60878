# SPDX-License-Identifier: Apache-2.0
"""Asking the trace: by Call-ID, by people, by time; in memory and in files; and what is shown of a message."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from traced import ANNA, BEGAN, BEN, CAROL, INVITE, OFFER, Driver, seen, sip

from ringback.server.tracing.calls import calls_in, newest_first
from ringback.server.tracing.message import described, user_of
from ringback.server.tracing.place import Place
from ringback.server.tracing.query import BadQuery, find, query_of
from ringback.server.tracing.recorder import Recorder
from ringback.server.tracing.selection import selection_of
from ringback.server.tracing.settings import TraceSettings


def filled(*messages: tuple[float, bytes], place: Place | None = None) -> Recorder:
    """A recorder that saw these messages so many seconds after BEGAN. Needs a loop."""
    made = Recorder(TraceSettings(files=3 if place else 0), place, wall_clock=lambda: BEGAN)
    made.watch(Driver())  # type: ignore[arg-type]
    start = asyncio.get_running_loop().time()
    for at, data in messages:
        made.take(False, [(data, ANNA)], start + at)
    made.flush()
    return made


async def asked(recorder: Recorder, **arguments: Any) -> list[str]:
    messages, _ = await find(query_of(arguments), recorder.ring, recorder.place)
    return [f"{message.get('method') or message['status']} {message['call_id']}" for message in messages]


async def test_messages_are_found_by_call_id_by_people_and_by_time() -> None:
    other = sip("OPTIONS", "1 OPTIONS", call_id="c12").replace(b"101@example.com", b"103@elsewhere.test")
    recorder = filled((1.0, sip("INVITE")), (2.0, other), (3.0, sip("SIP/2.0 200 OK", tag="b")))
    assert await asked(recorder, call_id="c1") == ["INVITE c1", "200 c1"]
    assert await asked(recorder, call_ids=["c12", "c1"]) == ["INVITE c1", "OPTIONS c12", "200 c1"]
    for name in ("103", "103@elsewhere.test", "sip:103@elsewhere.test", "10*"):
        assert "OPTIONS c12" in await asked(recorder, **{"from": name})
    assert await asked(recorder, **{"from": "10"}) == []
    assert await asked(recorder, to="102", since=BEGAN + 1.5, until=BEGAN + 2.5) == ["OPTIONS c12"]
    assert await asked(recorder) == ["INVITE c1", "OPTIONS c12", "200 c1"]
    await recorder.close()


async def test_of_too_many_the_newest_are_given_and_the_others_counted() -> None:
    recorder = filled(*((float(number), sip("OPTIONS", call_id=f"c{number}")) for number in range(20)))
    messages, left_out = await find(query_of({"limit": 5}), recorder.ring, None)
    assert [message["call_id"] for message in messages] == ["c15", "c16", "c17", "c18", "c19"]
    assert left_out == 15
    await recorder.close()


async def test_what_the_memory_has_forgotten_is_in_the_files(tmp_path: Path) -> None:
    place = Place(tmp_path)
    before = filled((0.0, sip("INVITE")), place=place)
    await before.close()
    after = filled((9.0, sip("BYE", "2 BYE")), place=place)
    await after.close()
    assert await asked(after, call_id="c1") == ["INVITE c1", "BYE c1"], "each of them once"
    assert await asked(after, call_id="c2") == []
    assert await asked(after, since=BEGAN + 5) == ["BYE c1"]
    empty = Recorder(TraceSettings(), place)
    assert await asked(empty, call_id="c1") == ["INVITE c1", "BYE c1"]


@pytest.mark.parametrize(
    "arguments",
    [
        {"call_ids": "c1"}, {"call_ids": ["x"] * 101}, {"since": "yesterday"}, {"limit": True}, {"until": float("nan")},
    ],
)  # fmt: skip
def test_a_query_that_makes_no_sense_is_told(arguments: dict[str, Any]) -> None:
    with pytest.raises(BadQuery):
        query_of(arguments)


async def test_calls_are_listed_newest_first_with_what_came_of_them() -> None:
    busy = [sip("INVITE", call_id="c2"), sip("SIP/2.0 401 No", call_id="c2"), sip("ACK", "1 ACK", call_id="c2"),
            sip("INVITE", "2 INVITE", call_id="c2"), sip("SIP/2.0 486 Busy Here", "2 INVITE", call_id="c2")]  # fmt: skip
    answered = [sip("INVITE"), sip("SIP/2.0 180 Ringing"), sip("SIP/2.0 200 OK", tag="b"),
                sip("BYE", "2 BYE", tag="b"), sip("SIP/2.0 200 OK", "2 BYE", tag="b")]  # fmt: skip
    recorder = filled(*((float(at), data) for at, data in enumerate([*answered, *busy])))
    calls = await calls_in(recorder.ring, query_of({}), limit=10)
    assert [(call["call_id"], call["method"], call["status"], call["messages"]) for call in calls] == [
        ("c2", "INVITE", 486, 5),
        ("c1", "INVITE", 200, 5),
    ]
    assert calls[1]["from"] == "sip:101@example.com"
    assert calls[1]["last_at"] - calls[1]["began_at"] == pytest.approx(4.0)
    assert len(await calls_in(recorder.ring, query_of({"from": "999"}), limit=10)) == 0
    both = newest_first([calls, [{**calls[1], "messages": 2, "began_at": BEGAN + 99}]])
    assert [(call["call_id"], call["messages"]) for call in both] == [("c2", 5), ("c1", 7)]
    await recorder.close()


def test_what_is_shown_of_a_message() -> None:
    secret = sip("INVITE", more="Authorization: Digest response=5ecre7\r\n", body=OFFER)
    (message,) = seen((0.5, True, secret, CAROL))
    assert "5ecre7" not in message.pop("text")
    assert message == {
        "at": BEGAN + 0.5, "direction": "sent", "transport": "TLS", "local": "[2001:db8::1]:5061",
        "remote": "[2001:db8::9]:40000", "method": "INVITE", "summary": "INVITE sip:102@example.com SIP/2.0",
        "call_id": "c1", "cseq": "1 INVITE", "from": "sip:101@example.com", "to": "sip:102@example.com",
        "from_tag": "a", "to_tag": "", "size": len(secret),
    }  # fmt: skip


def test_compact_and_folded_fields_are_read() -> None:
    text = "SIP/2.0 200 OK\r\ni: c9\r\nf :\r\n <sip:a@b;x=1>\r\n ;TAG=t1\r\nt: sip:c@d;tag=t2\r\nCSEQ:7 BYE\r\n\r\nFrom: no"
    found = described(text)
    assert (found["status"], found["call_id"], found["cseq"]) == (200, "c9", "7 BYE")
    assert (found["from"], found["from_tag"], found["to"], found["to_tag"]) == (
        "sip:a@b;x=1",
        "t1",
        "sip:c@d",
        "t2",
    )
    assert user_of(found["from"]) == "a"


@given(st.binary(max_size=200))
def test_whatever_was_received_can_be_shown(data: bytes) -> None:
    (message,) = seen((0.0, False, data, ANNA))
    assert message["size"] == len(data)


# --- which calls are kept


def kept(settings: TraceSettings, *messages: tuple[bytes, Any]) -> list[bytes]:
    selection = selection_of(settings)
    assert selection is not None
    return [data for data, flow in messages if selection.wants(data, flow)]


def test_everything_is_kept_without_a_rule() -> None:
    assert selection_of(TraceSettings()) is None


def test_sampling_keeps_whole_calls() -> None:
    messages = [
        (sip(start, call_id=f"c{number}"), ANNA)
        for start in ("INVITE", "SIP/2.0 200 OK", "BYE")
        for number in range(400)
    ]
    found = kept(TraceSettings(sampling=0.25), *messages)
    assert 60 * 3 < len(found) < 140 * 3
    calls = {data.partition(b"Call-ID: ")[2].partition(b"\r")[0] for data in found}
    assert len(found) == 3 * len(calls)
    assert kept(TraceSettings(sampling=0.0), *messages) == []


@pytest.mark.parametrize(
    "settings",
    [
        TraceSettings(users=("101",)),
        TraceSettings(users=("nobody", "102")),
        TraceSettings(domains=("example.com",)),
        TraceSettings(devices=("192.0.2.9",)),
        TraceSettings(devices=("good phone",)),
        TraceSettings(users=("101",), domains=("example.com",), devices=("Good Phone 7",)),
    ],
    ids=str,
)
def test_calls_of_users_domains_and_devices_are_kept_from_the_message_on_that_shows_it(
    settings: TraceSettings,
) -> None:
    stranger = sip("INVITE", call_id="c2").replace(b"example.com", b"elsewhere.test").replace(b":10", b":90")
    invite = sip("INVITE", more="User-Agent: A Good Phone 7/1.0\r\n")
    answer = b"SIP/2.0 200 OK\r\nCall-ID: c1\r\n\r\n"
    assert kept(settings, (stranger, BEN), (invite, ANNA), (answer, BEN)) == [invite, answer]


def test_a_user_is_not_found_in_a_longer_one_nor_in_a_body() -> None:
    message = sip("INVITE", body="From: <sip:01@example.com>\r\n")
    assert kept(TraceSettings(users=("01", "10", "1010")), (message, ANNA)) == []
    assert kept(TraceSettings(domains=("ample.com",)), (INVITE, ANNA)) == []
