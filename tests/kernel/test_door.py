# SPDX-License-Identifier: Apache-2.0
"""Is the right message sent away, with a good answer, and do both kernels agree on it to the last octet?"""

import random
import socket
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel_messages import compiled, heads, kernels, messages, needs_both, reference
from test_bent_octets import bent
from test_datagram_batch import FAMILIES, all_of, bound, name

from ringback.sip.flow import Address, Flow, Transport
from ringback.sip.message.message import Response
from ringback.sip.message.parser import check_response, parse_message
from ringback.testing import messages as made

SECRET = bytes(range(16))
HERE = Address("10.0.0.1", 5060)
ENDS = tuple(b"Retry-After: %d\r\nContent-Length: 0\r\n\r\n" % seconds for seconds in range(5, 31))
LAST_END = b"Content-Length: 0\r\n\r\n"
CALL, KNOWN_CALL, REFRESH, OTHER = range(4)
LANES = bytes((CALL, KNOWN_CALL, KNOWN_CALL, OTHER, OTHER, REFRESH, OTHER, OTHER, OTHER))
TRUNK, PHONE = "10.0.0.7", Address("10.0.0.8", 5060)
HOSTS = ("10.0.0.9", TRUNK, PHONE.host, "2001:db8::1")


def flow(host: str = "10.0.0.9", transport: Transport = Transport.UDP) -> Flow:
    return Flow(transport, HERE, Address(host, 5060), int(transport is not Transport.UDP))


def request(method: str, number: int, **options: object) -> bytes:
    via = options.pop("via", "SIP/2.0/UDP 10.0.0.9:5060")
    return made.request(method, "sip:bob@example.com", via=str(via), branch=f"z9hG4bK{number}", **options)  # type: ignore[arg-type]


@dataclass
class Desk:
    """A door, and whoever decides behind it: there is room for `room` requests of each host in each lane."""

    kernel: ModuleType
    room: int = 0
    limit: int = 1000
    asked: list[tuple[object, ...]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.refused: list[set[int]] = [set(), set()]
        self.door = self.kernel.Door(SECRET, self.refused, [{PHONE}, set()], self.limit, 4)
        self.door.rule(
            lanes=LANES,
            numbers=frozenset({b"112"}),
            trunks=frozenset({TRUNK}),
            ends=ENDS,
            last_end=LAST_END,
        )
        self.taken: dict[tuple[int, str], int] = {}

    def place(self, message: Any, lane: int, key: int) -> bool:
        place = lane, message[1].remote.host
        has_room = self.taken.get(place, 0) < self.room
        self.asked.append(("place", message, lane, has_room))
        if has_room:
            self.taken[place] = self.taken.get(place, 0) + 1
            if key:
                self.door.waiting[key] = message
        return has_room

    def sort(self, batch: list[Any]) -> tuple[list[Any], list[Any]]:
        found: tuple[list[Any], list[Any]] = self.door.sort(batch, self.place, self.other, self.odd)
        return found

    def other(self, message: Any, key: int) -> None:
        self.asked.append(("other", message, key in self.door.waiting))

    def odd(self, message: Any) -> None:
        self.asked.append(("odd", message))

    def state(self) -> tuple[object, ...]:
        """All that can be seen of it."""
        door = self.door
        counts = door.seen, door.absorbed, door.repeated, door.refusals, door.unreadable
        return counts, self.asked, door.waiting, door.refused, door.full, door.is_shut


def response(data: bytes) -> Response:
    found = parse_message(data)
    assert isinstance(found, Response)
    check_response(found)
    assert found.status == 503
    return found


@kernels
def test_the_keyed_hash_is_siphash(kernel: ModuleType):
    assert kernel.keyed_hash(SECRET, b"") == 0x726FDB47DD0E0E31
    assert kernel.keyed_hash(SECRET, bytes(range(15))) == 0xA129CA6149BE45E5
    with pytest.raises(ValueError, match="16 octets"):
        kernel.keyed_hash(SECRET[:15], b"")


@kernels
def test_who_finds_no_room_gets_a_good_refusal_and_is_remembered(kernel: ModuleType):
    desk = Desk(kernel, room=1)
    batch = [(request("INVITE", number), flow()) for number in range(3)]

    underway, answers = desk.sort(batch)

    assert underway == []
    assert [asked[0] for asked in desk.asked] == ["place", "place"], "the third one was not even asked about"
    first, second = (response(data) for data, _ in answers)
    assert (first.top_via.branch, second.top_via.branch) == ("z9hG4bK1", "z9hG4bK2")
    assert first.to.tag not in (None, second.to.tag)
    assert 5 <= int(first.headers["Retry-After"]) <= 30
    assert [one for _, one in answers] == [flow()] * 2
    assert desk.door.is_shut


@kernels
def test_the_ack_to_a_refusal_and_repetitions_of_all_kinds_end_here(kernel: ModuleType):
    desk = Desk(kernel, room=1)
    batch = [(request("INVITE", number), flow()) for number in range(2)]
    _, refusals = desk.sort(batch)
    acks = [(request("ACK", number, to="<sip:bob@example.com>;tag=x"), flow()) for number in range(2)]

    underway, answers = desk.sort([*batch, *acks])

    assert answers == refusals
    assert underway == acks[:1], "the call that waits has not been answered by us"
    assert (desk.door.repeated, desk.door.absorbed) == (1, 1)
    assert desk.sort([(batch[1][0], flow("10.0.0.10"))])[1] == [], "another source is another request"


@kernels
@pytest.mark.parametrize(
    ("method", "host", "lane"),
    [
        ("INVITE", "10.0.0.9", CALL),
        ("INVITE", TRUNK, KNOWN_CALL),
        ("INVITE", PHONE.host, KNOWN_CALL),
        ("REGISTER", "10.0.0.9", OTHER),
        ("REGISTER", TRUNK, OTHER),
        ("REGISTER", PHONE.host, REFRESH),
        ("SUBSCRIBE", PHONE.host, OTHER),
        ("OPTIONS", PHONE.host, OTHER),
        ("UNHEARD-OF", TRUNK, OTHER),
    ],
)
def test_each_request_is_placed_in_the_lane_of_the_table(
    kernel: ModuleType, method: str, host: str, lane: int
):
    desk = Desk(kernel)
    desk.sort([(request(method, 1, headers=[("Authorization", "Digest x")]), flow(host))])
    assert desk.asked[0][2] == lane


@kernels
@pytest.mark.parametrize(
    "target",
    [
        "sip:112@example.com",
        "urn:service:sos",
        "SIP:bob@example.com",
        "sip:a;b@c",
        "tel:1",
        "sip:" + "x" * 65,
    ],
)
def test_a_call_that_may_be_an_emergency_is_never_sent_away(kernel: ModuleType, target: str):
    desk = Desk(kernel)
    call = made.request("INVITE", target, branch="z9hG4bK1"), flow()
    assert desk.sort([call, call]) == ([], [])
    assert desk.asked == [("other", call, False)] * 2


@kernels
def test_what_continues_something_is_underway_and_noise_is_counted(kernel: ModuleType):
    desk = Desk(kernel)
    tagged = {"to": "<sip:bob@example.com>;tag=b"}
    batch = [
        (request("INVITE", 1, **tagged), flow()),
        (request("PRACK", 2), flow()),
        (request("BYE", 3), flow()),
        (request("CANCEL", 4), flow()),
        (made.response(request("INVITE", 5), 200), flow()),
    ]
    assert desk.sort([*batch, (b"hello", flow())]) == (batch, [])
    assert (desk.door.unreadable, desk.door.seen) == (1, 6)
    assert not desk.door.is_shut


@kernels
def test_a_cancel_of_what_waits_is_left_to_policy(kernel: ModuleType):
    desk = Desk(kernel, room=1)
    cancel = request("CANCEL", 1), flow()
    assert desk.sort([(request("INVITE", 1), flow()), cancel]) == ([], [])
    assert desk.asked[1] == ("other", cancel, True)


@kernels
def test_trunks_and_what_came_through_a_proxy_get_no_time_to_wait(kernel: ModuleType):
    desk = Desk(kernel)
    two = request("INVITE", 1, headers=[("Via", "SIP/2.0/UDP 10.0.0.20;branch=z9hG4bKdef")])
    one_line = request("INVITE", 2).replace(b"K2;rport", b"K2;rport, SIP/2.0/UDP 10.0.0.20;branch=z9hG4bKdef")
    _, answers = desk.sort([(two, flow()), (one_line, flow()), (request("INVITE", 3), flow(TRUNK))])
    assert [response(data).headers.get("Retry-After") for data, _ in answers] == [None] * 3
    assert [len(response(data).vias) for data, _ in answers] == [2, 2, 1]


@kernels
def test_what_is_not_plain_is_refused_by_others_but_remembered(kernel: ModuleType):
    desk = Desk(kernel)
    odd = [
        request("INVITE", 1).replace(b";rport", b";rport;oc"),
        request("INVITE", 2, via="SIP/2.0/UDP 10.0.0.9:5070").replace(b";rport", b""),
        request("INVITE", 3).replace(b"Max-Forwards:", b"Max-Forwards :"),
    ]
    batch = [(data, flow()) for data in odd]
    assert desk.sort(batch) == ([], [])
    assert [asked[1] for asked in desk.asked if asked[0] == "odd"] == batch
    assert len(desk.refused[0]) == 3


@kernels
def test_on_a_connection_no_port_is_wrong(kernel: ModuleType):
    desk, way = Desk(kernel), flow(transport=Transport.TCP)
    data = request("INVITE", 1, via="SIP/2.0/TCP 10.0.0.9:5070").replace(b";rport", b"")
    ((_, back),) = desk.sort([(data, way)])[1]
    assert back is way


@kernels
def test_many_can_be_refused_at_once(kernel: ModuleType):
    desk = Desk(kernel)
    batch = [(request("MESSAGE", number), flow()) for number in range(5)]
    answers = desk.door.refuse([*batch, (b"hello", flow())], desk.odd)
    assert [response(data).top_via.branch for data, _ in answers] == [f"z9hG4bK{n}" for n in range(5)]
    assert desk.asked == [("odd", (b"hello", flow()))]
    assert len(desk.refused[0]) == 5


@kernels
def test_a_request_without_a_branch_is_not_taken_for_another(kernel: ModuleType):
    desk = Desk(kernel, room=2)
    batch = [(request("MESSAGE", 1).replace(b";branch=z9hG4bK1", b""), flow()) for _ in range(3)]
    assert len(desk.sort(batch)[1]) == 1
    assert desk.refused == [set(), set()]
    assert desk.door.waiting == {}


@kernels
def test_what_is_remembered_is_bounded(kernel: ModuleType):
    desk = Desk(kernel, limit=10)
    for number in range(100):
        desk.sort([(request("INVITE", number), flow())])
    assert [len(part) for part in desk.refused] == [10, 10]
    assert desk.door.refused is desk.refused


@kernels
@FAMILIES
def test_at_the_socket_those_without_a_chance_are_answered_and_the_others_handed_on(
    kernel: ModuleType, host: str
):
    with bound(host) as phone, bound(host) as server:
        desk = Desk(kernel)
        desk.door.full[CALL].add(host)
        written = f"[{host}]" if ":" in host else host
        via = f"SIP/2.0/UDP {written}:{name(phone)[1]}"
        sent = [request("INVITE", number, via=via) for number in range(100)]
        bye, noise = request("BYE", 1, via=via), b"\r\n\r\n"
        batch = kernel.DatagramBatch(phone)
        batch.send([(data, name(server)) for data in (*sent, bye, noise)])

        handed_on, came, answered = [], 0, 0
        while came < 102:
            found, count, sent_back = desk.door.receive(kernel.DatagramBatch(server))
            handed_on += found
            came, answered = came + count, answered + sent_back

        assert handed_on == [(bye, name(phone)), (noise, name(phone))]
        assert answered == desk.door.refusals == desk.door.seen == 100
        refusals = all_of(batch, phone, 100)
        branches = {response(data).top_via.branch for data, remote in refusals if remote == name(server)}
        assert branches == {f"z9hG4bK{number}" for number in range(100)}
        acks = [request("ACK", number, via=via, to="<sip:b@c>;tag=x") for number in range(100)]
        batch.send([(data, name(server)) for data in acks])
        while came < 202:
            found, count, _ = desk.door.receive(kernel.DatagramBatch(server))
            assert found == []
            came += count
        assert desk.door.absorbed == 100


@kernels
def test_without_rport_the_answer_goes_to_the_port_in_the_via(kernel: ModuleType):
    with bound("127.0.0.1") as phone, bound("127.0.0.1") as sender, bound("127.0.0.1") as server:
        desk = Desk(kernel)
        desk.door.full[CALL].add("127.0.0.1")
        data = request("INVITE", 1, via=f"SIP/2.0/UDP 127.0.0.1:{name(phone)[1]}").replace(b";rport", b"")
        sender.sendto(data, name(server))
        assert desk.door.receive(kernel.DatagramBatch(server)) == ([], 1, 1)
        ((answer, _),) = all_of(kernel.DatagramBatch(phone), phone, 1)
        assert response(answer).top_via.branch == "z9hG4bK1"


@kernels
def test_a_door_that_is_open_hands_everything_on(kernel: ModuleType):
    with bound("127.0.0.1") as phone, bound("127.0.0.1") as server:
        desk = Desk(kernel)
        call = request("INVITE", 1)
        phone.sendto(call, name(server))
        phone.sendto(b"hello", name(server))
        found = desk.door.receive(kernel.DatagramBatch(server))
        assert found == ([(call, name(phone)), (b"hello", name(phone))], 2, 0)
        assert desk.door.seen == 0
        assert desk.door.receive(kernel.DatagramBatch(server)) == ([], 0, 0)


@kernels
def test_a_socket_that_is_closed_raises(kernel: ModuleType):
    desk = Desk(kernel)
    desk.door.full[CALL].add("127.0.0.1")
    with bound("127.0.0.1") as sock:
        batch = kernel.DatagramBatch(sock)
    with pytest.raises(OSError, match="Bad file descriptor"):
        desk.door.receive(batch)


@kernels
def test_a_door_wants_its_measures(kernel: ModuleType):
    with pytest.raises(ValueError, match="16 octets"):
        kernel.Door(b"short", [set(), set()], [set(), set()], 1, 4)
    with pytest.raises(ValueError, match="take turns"):
        kernel.Door(SECRET, [set()], [set(), set()], 1, 4)
    for lanes, ends in ((bytes(8), (b"",)), (bytes((4,)) * 9, (b"",)), (bytes(9), ())):
        with pytest.raises(ValueError, match="nine lanes"):
            Desk(kernel).door.rule(
                lanes=lanes, numbers=frozenset(), trunks=frozenset(), ends=ends, last_end=b""
            )


def assert_same_desks(batches: list[list[tuple[bytes, Flow]]], room: int, full: list[str]) -> None:
    """Both kernels, asked the same, do the same."""
    assert compiled is not None
    desks = [Desk(each, room=room, limit=5) for each in (compiled, reference)]
    for desk in desks:
        for host in full:
            desk.door.full[CALL].add(host)
            desk.door.full[OTHER].add(host)
    for batch in batches:
        one, other = (desk.sort(batch) for desk in desks)
        assert one == other
        assert desks[0].state() == desks[1].state()
    flat = [message for batch in batches for message in batch]
    one, other = (desk.door.refuse(flat, desk.odd) for desk in desks)
    assert one == other
    assert desks[0].state() == desks[1].state()


WAYS = st.builds(flow, st.sampled_from(HOSTS), st.sampled_from([Transport.UDP, Transport.UDP, Transport.TCP]))
FULL = st.lists(st.sampled_from(HOSTS), max_size=3)


@needs_both
@given(st.lists(st.lists(st.tuples(heads(), WAYS), max_size=4), max_size=3), st.integers(0, 2), FULL)
def test_both_kernels_send_the_same_away(batches: list[Any], room: int, full: list[str]):
    assert_same_desks(batches, room, full)


@needs_both
@given(st.lists(st.tuples(messages(), WAYS), max_size=4), st.integers(0, 1), FULL)
def test_both_kernels_send_the_same_away_of_anything(batch: list[Any], room: int, full: list[str]):
    assert_same_desks([batch, batch], room, full)


METHODS = st.sampled_from(["INVITE", "ACK", "CANCEL", "BYE", "REGISTER", "OPTIONS", "MESSAGE", "PRACK", "X"])
TARGETS = st.sampled_from(
    ["sip:bob@b", "sips:bob@b", "sip:112@b", "sip:b", "tel:112", "sip:112;a@b", "sipx:a", "sip:" + "1" * 64]
)
TAGS = st.sampled_from(["", ";tag=a"])
REQUESTS = st.builds(
    lambda method, target, number, tag, headers: made.request(
        method, target, branch=f"z9hG4bK{number}", to=f"<sip:b@c>{tag}", headers=headers
    ),
    METHODS,
    TARGETS,
    st.integers(0, 3),
    TAGS,
    st.sampled_from([[], [("Authorization", "Digest x")], [("Via", "SIP/2.0/UDP b;branch=z9hG4bKz")]]),
)


@needs_both
@given(st.lists(st.lists(st.tuples(REQUESTS, WAYS), max_size=8), max_size=3), st.integers(0, 3), FULL)
def test_both_kernels_remember_the_same(batches: list[Any], room: int, full: list[str]):
    assert_same_desks(batches, room, full)


@needs_both
@pytest.mark.parametrize("seed", range(3))
def test_both_kernels_send_the_same_away_of_bent_octets(seed: int):
    chance = random.Random(seed)
    for _ in range(300):
        batch = [
            (bent(chance).replace(b";tag=a6c85cf", b"", 1), flow(chance.choice(HOSTS))) for _ in range(3)
        ]
        assert_same_desks([batch], chance.randrange(2), [HOSTS[0]])


@needs_both
def test_both_kernels_do_the_same_at_a_socket():
    chance = random.Random(7)
    assert compiled is not None
    heard = []
    data = [bent(chance) for _ in range(300)] + [request("INVITE", n) for n in range(300)]
    chance.shuffle(data)
    for kernel in (compiled, reference):
        with bound("127.0.0.1", room=1 << 22) as phone, bound("127.0.0.1", room=1 << 22) as server:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
            desk = Desk(kernel)
            desk.door.full[CALL].add("127.0.0.1")
            desk.door.full[OTHER].add("127.0.0.1")
            handed_on: list[bytes] = []
            for start in range(0, len(data), 50):
                some = data[start : start + 50]
                for one in some:
                    phone.sendto(one, name(server))
                came = 0
                while came < len(some):
                    found, count, _ = desk.door.receive(kernel.DatagramBatch(server))
                    handed_on += [each for each, _ in found]
                    came += count
            door = desk.door
            heard.append((handed_on, door.seen, door.refusals, door.absorbed, door.refused))
    assert heard[0] == heard[1]
    assert heard[0][2] >= 300
