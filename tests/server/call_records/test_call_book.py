# SPDX-License-Identifier: Apache-2.0
"""The book of calls: what it tells is bounded, and how calls end in words."""

from typing import Any

from ringback.server.bulletin import Bulletin
from ringback.server.call_records.book import CallBook
from ringback.server.call_records.record import MOST_NOTES, CallRecord, LegRecord, Party
from ringback.server.call_records.words import span
from ringback.server.storage.devices import DeviceRecord
from ringback.server.subscribers import Principal, Subscriber, Subscribers


class Nobody:
    def find(self, user: str) -> Subscriber | None:
        return None


class One:
    """One user."""

    def __init__(self, user: Subscriber) -> None:
        self.user = user

    def find(self, user: str) -> Subscriber | None:
        return self.user if user == self.user.number else None


class Book:
    """A book, its clock and what it tells."""

    def __init__(self, people: Subscribers | None = None) -> None:
        self.now = 1000.0
        self.numbers = 0
        self.bulletin = Bulletin(wall_clock=lambda: self.now)
        self.events: list[dict[str, Any]] = []
        self.book = CallBook(
            self.bulletin, subscribers=people or Nobody(), make_id=self.next_id, wall_clock=lambda: self.now
        )

    def next_id(self) -> int:
        self.numbers += 1
        return self.numbers

    def call(self) -> CallRecord:
        return self.book.open_between(Party("101", "Anna"), Party("102", "Bob"), mode="bridge")

    def ended(self, record: CallRecord) -> dict[str, Any]:
        stop = self.bulletin.listen(self.events.append, only=["call.ended"])
        record.close()
        stop()
        call: dict[str, Any] = self.events[-1]["call"]
        return call


def test_people_are_told_of_as_much_as_they_can_look_at() -> None:
    world = Book()
    world.bulletin.listen(world.events.append)
    records = [world.call() for _ in range(1000)]
    for record in records:
        record.answered()
        record.end(200, by="caller")
        record.close()
    kinds = [event["kind"] for event in world.events]
    assert kinds.count("call.ended") == 1000
    assert 200 <= len(kinds) - 1000 <= 201
    world.now += 1.0
    world.call()
    assert world.events[-1]["kind"] == "call.began"


def test_nobody_is_told_what_nobody_wants() -> None:
    world = Book()
    world.bulletin.listen(world.events.append, only=["call.ended"])
    record = world.call()
    record.rings()
    record.note("something")
    assert not world.events
    record.close()
    record.close()
    assert [event["kind"] for event in world.events] == ["call.ended"]


def test_a_call_that_talks_much_of_itself_stays_small() -> None:
    world = Book()
    record = world.call()
    for number in range(10_000):
        record.note("note")
        record.add_leg(LegRecord(f"leg-{number}", "102"))
    assert len(record.described()["notes"]) == MOST_NOTES
    assert len(record.described()["legs"]) == 64


def test_the_first_word_about_an_end_counts() -> None:
    world = Book()
    record = world.call()
    record.answered()
    world.now += 3723
    record.end(200, by="callee")
    record.end(500, by="server", why="too late")
    assert world.ended(record)["how_ended"] == "102 hung up after 1 h 2 min 3 s"


def test_who_is_lost_has_not_hung_up() -> None:
    world = Book()
    record = world.call()
    record.answered()
    world.now += 60
    record.end(408, by="caller", how="timeout")
    call = world.ended(record)
    assert (call["how_ended"], call["result"]) == ("101 was not reached any more after 1 min", "answered")


def test_a_status_that_nobody_knows_is_told_as_it_came() -> None:
    world = Book()
    record = world.call()
    record.end(499, by="callee", reason="Out Of Coffee")
    call = world.ended(record)
    assert (call["how_ended"], call["result"]) == ("102 refused: 499 Out Of Coffee", "failed")


def test_a_record_that_nobody_ended_is_our_own_mistake() -> None:
    world = Book()
    assert world.ended(world.call())["how_ended"] == "this server made a mistake, and ended the call"


def test_a_call_is_found_by_its_id_and_by_the_call_id_of_a_leg() -> None:
    world = Book()
    record = world.call()
    record.add_leg(LegRecord("caller", "101", call_id="abc@x"))
    assert world.book.find(record.id) is record
    assert world.book.find("abc@x") is record
    assert world.book.find("") is None
    assert world.book.find("abc@y") is None


def test_spans_are_said_as_people_say_them() -> None:
    assert [span(seconds) for seconds in (0, 1, 60, 63.4, 3600, 7265)] == [
        "0 s", "1 s", "1 min", "1 min 3 s", "1 h", "2 h 1 min 5 s"
    ]  # fmt: skip


def test_a_device_is_called_by_its_name() -> None:
    device = DeviceRecord("d1", "101", "Kitchen", "phone", "realm")
    world = Book(One(Subscriber("101", "Anna", devices=(device,))))
    assert world.book.party("101", principal=Principal("101", device="d1")).device == "Kitchen"
    assert world.book.party("101", principal=Principal("101", device="gone")).device == "gone"
    assert world.book.party("101", principal=Principal("101")).device == ""
