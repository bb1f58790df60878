# SPDX-License-Identifier: Apache-2.0
"""Registrations and connections reach every worker's memory, in whatever order they were made."""

import asyncio
import random
import socket
import time
from collections.abc import AsyncIterator, Callable

import pytest

from ringback.net.handover import Handover, inbox_pair
from ringback.net.neighbours import Neighbours, first_connection
from ringback.server.binding import Binding
from ringback.server.cluster.feed import Feed
from ringback.server.cluster.link import Answer, Link, LinkLost
from ringback.server.cluster.reader import Reader
from ringback.server.cluster.sharing import Sharing
from ringback.server.cluster.state import BINDING, CONNECTION, Change, binding_key
from ringback.server.cluster.worker_store import WorkerStore
from ringback.server.location import Location
from ringback.sip.errors import RingbackError
from ringback.sip.flow import Address, Flow, Transport

HERE = Address("192.0.2.1", 5060)


class Place:
    """The supervisor's end of one worker."""

    def __init__(self, number: int, feed: Feed) -> None:
        self.number, self.feed = number, feed
        self.reader: Reader | None = None
        self.is_lost = False

    def change_received(self, data: bytes) -> None:
        assert self.reader is not None
        self.reader.take(data)

    def taken(self, count: int) -> None:
        raise AssertionError("only workers are told")

    def writable(self) -> None:
        if self.reader is not None:
            self.reader.wake()

    def link_lost(self) -> None:
        self.is_lost = True


class Member:
    """A worker without its server."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.link: Link | None = None
        self.sharing = Sharing(self._send, wall_clock=time.time)
        self.location = Location(WorkerStore(self.sharing), wall_clock=time.time)
        self.inbox = inbox_pair()
        self.neighbours = Neighbours(number, Handover(self.inbox[0], {}), announce=self.sharing.announce)
        self.is_lost = False

    async def start(self) -> None:
        await self.sharing.complete.wait()
        self.sharing.attach(self.location, self.neighbours, restore=lambda flow: flow)
        self.location.load(now=self.now)
        self.sharing.follow()

    @property
    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def put(
        self, user: str, key: str, call_id: str = "", *, flow: Flow | None = None, expires: float = 300
    ) -> None:
        flow = flow or Flow(Transport.UDP, HERE, Address("192.0.2.9", 4000))
        binding = Binding(user, key, f"<{key}>", self.now + expires, call_id=call_id, flow=flow)
        self.location.commit(user, put=[binding], now=self.now)

    def remove(self, user: str, key: str) -> None:
        self.location.commit(user, remove=[key], now=self.now)

    @property
    def known(self) -> dict[tuple[str, str], str]:
        return {(binding.user, binding.key): binding.call_id for binding in self.location}

    def _send(self, data: bytes) -> None:
        assert self.link is not None
        self.link.send_change(data)

    def change_received(self, data: bytes) -> None:
        self.sharing.hear(data)

    def taken(self, count: int) -> None:
        self.sharing.confirmed(count)

    def writable(self) -> None:
        pass

    def link_lost(self) -> None:
        self.is_lost = True


class Cluster:
    """A feed and its members, joined by real sockets."""

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self.places: list[Place] = []
        self.members: list[Member] = []
        feed.told = self._wake

    def _wake(self) -> None:
        for place in self.places:
            place.writable()

    async def join(self) -> Member:
        number = len(self.members)
        place, member = Place(number, self.feed), Member(number)
        ours, theirs = socket.socketpair()
        link = await Link.open(ours, place, {})
        member.link = await Link.open(theirs, member, {"double": _double, "fail": _fail, "break": _break})
        place.reader = Reader(self.feed, number, link)
        place.reader.wake()
        self.places.append(place)
        self.members.append(member)
        await member.start()
        return member

    async def close(self) -> None:
        for member in self.members:
            assert member.link is not None
            member.link.close()
            for end in member.inbox:
                end.close()
        await until(lambda: all(side.is_lost for side in (*self.places, *self.members)))


async def _double(arguments: Answer) -> Answer:
    return {"result": arguments["value"] * 2}


async def _fail(_: Answer) -> Answer:
    raise RingbackError("not today")


async def _break(_: Answer) -> Answer:
    raise ZeroDivisionError


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0)


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    cluster = Cluster(Feed())
    yield cluster
    await cluster.close()


async def test_a_registration_reaches_the_others_and_goes_again(cluster: Cluster) -> None:
    anna, bob = await cluster.join(), await cluster.join()
    bound: list[str] = []
    bob.location.on_bound.append(lambda binding: bound.append(binding.key))
    anna.put("101", "sip:101@h", "call-1")
    await until(lambda: bob.known)
    (binding,) = bob.location.bindings("101", now=bob.now)
    assert binding.contact_text == "<sip:101@h>"
    assert binding.flow == Flow(Transport.UDP, HERE, Address("192.0.2.9", 4000))
    assert 299 < binding.expires_at - bob.now <= 300
    assert bound == ["sip:101@h"]
    bob.remove("101", "sip:101@h")
    await until(lambda: not anna.known)


async def test_who_joins_later_hears_what_there_is(cluster: Cluster) -> None:
    anna = await cluster.join()
    connection = Flow(Transport.TCP, HERE, Address("192.0.2.9", 4000), first_connection(0, 1))
    anna.put("101", "sip:101@h", flow=connection)
    anna.neighbours.trusted(connection)
    anna.put("102", "sip:102@h")
    await until(lambda: cluster.feed.revision == 3)
    bob = await cluster.join()
    assert bob.known.keys() == anna.known.keys()
    (binding,) = bob.location.bindings("101", now=bob.now)
    assert binding.flow == connection
    assert bob.neighbours.is_alive(connection)
    anna.neighbours.ended(connection)
    await until(lambda: not bob.neighbours.is_alive(connection))


async def test_of_two_changes_the_later_one_counts_everywhere(cluster: Cluster) -> None:
    """Both workers write at once: what the feed puts last is what all know in the end."""
    members = [await cluster.join() for _ in range(3)]
    for turn in range(20):
        for member in random.Random(turn).sample(members, 3):
            member.put("101", "sip:101@h", f"{turn} of {member.number}")
    await until(lambda: cluster.feed.revision == 60)
    await until(lambda: members[0].known == members[1].known == members[2].known)
    ((_, value),) = cluster.feed.items(BINDING)
    assert members[0].known["101", "sip:101@h"].encode() in value


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("kept", [4, 10_000])
async def test_all_end_with_the_same_registrations(seed: int, kept: int) -> None:
    """Also those who read so slowly that they are told all values again."""
    chance = random.Random(seed)
    cluster = Cluster(Feed(kept=kept))
    members = [await cluster.join() for _ in range(3)]
    for turn in range(150):
        member, key = chance.choice(members), chance.choice("abcde")
        if chance.random() < 0.6:
            member.put("101", f"sip:{key}@h", str(turn))
        else:
            member.remove("101", f"sip:{key}@h")
        if chance.random() < 0.1:
            await asyncio.sleep(0)
    await until(lambda: cluster.feed.revision == 150)
    stored = {key for key, _ in cluster.feed.items(BINDING)}
    await until(lambda: members[0].known == members[1].known == members[2].known)
    assert {binding_key(*key) for key in members[0].known} == stored
    await cluster.close()


async def test_what_expires_is_forgotten_by_each_for_itself(cluster: Cluster) -> None:
    anna, bob = await cluster.join(), await cluster.join()
    anna.put("101", "sip:101@h", expires=60)
    await until(lambda: bob.known)
    assert bob.location.expire(now=bob.now + 61) == 1
    assert not bob.known
    anna.put("101", "sip:101@h", "again")
    await until(lambda: bob.known)
    assert anna.known == bob.known
    assert cluster.feed.revision == 2


async def test_a_value_that_cannot_be_read_is_passed_over(cluster: Cluster) -> None:
    anna = await cluster.join()
    cluster.feed.apply(Change(binding_key("101", "sip:101@h"), bytes(17) + b"no JSON"))
    cluster.feed.apply(Change(f"{CONNECTION}\0007", None))
    cluster.feed.apply(Change("of a newer version", b"?"))
    cluster.feed.apply(Change(binding_key("102", "x"), None))
    anna.put("102", "sip:102@h")
    bob = await cluster.join()
    await until(lambda: bob.known)
    assert list(bob.known) == list(anna.known) == [("102", "sip:102@h")]


async def test_questions_get_their_answers(cluster: Cluster) -> None:
    await cluster.join()
    reader = cluster.places[0].reader
    assert reader is not None
    link = reader.link
    answers = await asyncio.gather(*(link.ask("double", {"value": value}) for value in range(50)))
    assert [answer["result"] for answer in answers] == [2 * value for value in range(50)]
    with pytest.raises(RingbackError, match="not today"):
        await link.ask("fail", {})
    with pytest.raises(RingbackError, match="ZeroDivisionError"):
        await link.ask("break", {})


async def test_a_question_to_a_process_that_is_gone_raises(cluster: Cluster) -> None:
    member = await cluster.join()
    reader = cluster.places[0].reader
    assert reader is not None
    assert member.link is not None
    asked = asyncio.ensure_future(reader.link.ask("double", {"value": 1}))
    await asyncio.sleep(0)
    member.link.close()
    with pytest.raises(LinkLost):
        await asked
    with pytest.raises(LinkLost):
        await reader.link.ask("double", {"value": 1})
