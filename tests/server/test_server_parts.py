# SPDX-License-Identifier: Apache-2.0
"""The parts of the server by themselves: tokens, location, back-off, NAT, targets, best response, names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from server_rig import DOMAIN, Rig, on_a_server, with_proxy

from ringback.server.backoff import BackoffPolicy, FailureTable
from ringback.server.best_response import best_response
from ringback.server.binding import Binding
from ringback.server.flow_token import REMEMBERED, FlowTokens, Side
from ringback.server.locality import Locality
from ringback.server.location import Location
from ringback.server.loop_detection import LoopDetector
from ringback.server.nat import contact_with_flow, flow_to_contact, is_reachable
from ringback.server.record_route import split_sent_by
from ringback.server.storage import BindingRecord, MemoryStore
from ringback.server.targets import as_request_uri, serial_groups, targets_of
from ringback.sip.flow import Address, Flow, Transport
from ringback.sip.message.message import Request, Response
from ringback.sip.message.parser import parse_message
from ringback.sip.message.uri import NameAddr, SipUri, TelUri, parse_uri
from ringback.testing import messages

UDP = Flow(Transport.UDP, Address("10.0.0.1", 5060), Address("10.0.0.11", 5060))
TLS = Flow(Transport.TLS, Address("10.0.0.1", 5061), Address("203.0.113.9", 40_000), 77)

hosts = st.one_of(st.ip_addresses(v=4).map(str), st.ip_addresses(v=6).map(str))
flows = st.builds(
    lambda transport, hosts, ports, connection: Flow(
        transport, Address(hosts[0], ports[0]), Address(hosts[1], ports[1]), connection
    ),
    st.sampled_from(list(Transport)),
    st.one_of(
        st.tuples(*[st.ip_addresses(v=4).map(str)] * 2),
        st.tuples(*[st.ip_addresses(v=6).filter(lambda a: a.ipv4_mapped is None).map(str)] * 2),
    ),
    st.tuples(*[st.integers(0, 65_535)] * 2),
    st.integers(0, 2**64 - 1),
)
sides = st.tuples(st.none() | flows, st.sampled_from([b"", b"8 bytes!"]))


# --- flow tokens


@given(sides, sides, st.text(max_size=40), st.text(max_size=20))
def test_a_token_says_what_was_put_in_and_who_sends(
    caller: Side, callee: Side, call_id: str, tag: str
) -> None:
    maker, after_a_restart = FlowTokens(b"secret"), FlowTokens(b"secret")
    token = maker.make(caller, callee, call_id=call_id, caller_tag=tag)
    assert SipUri.parse(f"sip:{token}@example.com").user == token
    for tokens in (maker, after_a_restart):
        forth = tokens.read(token, call_id=call_id, from_tag=tag, to_tag="other")
        assert forth == callee
        back = tokens.read(token, call_id=call_id, from_tag="other" + tag, to_tag=tag)
        assert back == caller


@given(sides, sides, st.integers(0, 300), st.sampled_from("ABCxyz019-_"))
def test_a_token_with_any_change_is_no_token(caller: Side, callee: Side, place: int, other: str) -> None:
    tokens = FlowTokens(b"secret")
    token = tokens.make(caller, callee, call_id="1", caller_tag="a")
    place %= len(token) - 1  # the last character may have bits that mean nothing
    changed = token[:place] + other + token[place + 1 :]
    read = tokens.read(changed, call_id="1", from_tag="a", to_tag="b")
    assert (read is not None) == (changed == token)


@given(st.text(max_size=300))
def test_garbage_is_no_token(text: str) -> None:
    assert FlowTokens(b"secret").read(text, call_id="1", from_tag="a", to_tag="b") is None


def test_a_token_is_bound_to_its_call_its_tags_and_our_secret() -> None:
    tokens = FlowTokens(b"secret")
    token = tokens.make((UDP, b""), (TLS, b""), call_id="1", caller_tag="a")
    assert tokens.read(token, call_id="2", from_tag="a", to_tag="b") is None
    assert tokens.read(token, call_id="1", from_tag="x", to_tag="y") is None
    assert FlowTokens(b"other").read(token, call_id="1", from_tag="a", to_tag="b") is None
    assert FlowTokens(b"secret").read(token, call_id="1", from_tag="a", to_tag="b") is not None


def test_tokens_are_short() -> None:
    token = FlowTokens(b"s").make((UDP, b"8 bytes!"), (TLS, b"8 bytes!"), call_id="1", caller_tag="a")
    assert len(token) < 90


def test_tokens_are_read_the_same_when_they_are_remembered_no_more() -> None:
    tokens = FlowTokens(b"secret")
    made = [
        tokens.make((UDP, b""), (TLS, b""), call_id=str(number), caller_tag="a")
        for number in range(2 * REMEMBERED + 2)
    ]
    for number in (0, 1, REMEMBERED, 2 * REMEMBERED, 2 * REMEMBERED + 1):
        assert tokens.read(made[number], call_id=str(number), from_tag="a", to_tag="b") == (TLS, b"")
        assert tokens.read(made[number], call_id=f"{number} too", from_tag="a", to_tag="b") is None
        assert tokens.read(made[number], call_id=str(number), from_tag="x", to_tag="y") is None


# --- location


def binding(key: str, **parts: object) -> Binding:
    if "contact" not in parts:
        parts["contact"] = NameAddr.parse(f"<{key}>")
    parts = {"user": "101", "expires_at": 100.0, **parts}
    return Binding(key=key, **parts)  # type: ignore[arg-type]


def test_bindings_survive_the_store_with_flow_path_and_instance() -> None:
    store = MemoryStore()
    first = Location(store, wall_clock=lambda: 5000.0)
    kept = binding(
        "sip:101@10.0.0.11", flow=UDP, path=("<sip:edge;lr>",), instance="<urn:uuid:1>", reg_id=2, q=0.5
    )
    first.commit("101", put=[kept], now=40.0)
    second = Location(store, wall_clock=lambda: 5010.0)
    assert second.load(now=1.0) == 1
    (loaded,) = second.bindings("101", now=1.0)
    assert loaded.expires_at == pytest.approx(1.0 + 50.0)
    assert (loaded.flow, loaded.path, loaded.instance, loaded.reg_id, loaded.q) == (
        UDP,
        ("<sip:edge;lr>",),
        "<urn:uuid:1>",
        2,
        0.5,
    )
    assert second.find(kept.handle, now=1.0) == loaded


def test_what_cannot_be_read_from_the_store_is_left_out() -> None:
    store = MemoryStore()
    store.put_binding(BindingRecord(user="101", key="a", contact="<<<", expires_at=9e9))
    store.put_binding(
        BindingRecord(user="101", key="b", contact="<sip:a@b>", transport="PIGEON", expires_at=9e9)
    )
    store.put_binding(BindingRecord(user="101", key="c", contact="<sip:a@b>", transport="", expires_at=9e9))
    location = Location(store, wall_clock=lambda: 0.0)
    assert location.load(now=0.0) == 1


def test_removing_forgets_the_handle_and_the_user() -> None:
    location = Location(MemoryStore(), wall_clock=lambda: 0.0)
    one, two = binding("sip:a@b"), binding("sip:c@d")
    location.commit("101", put=[one, two], now=0.0)
    location.commit("101", remove=["sip:a@b", "never there"], now=0.0)
    assert location.find(one.handle, now=0.0) is None
    assert location.bindings("101", now=0.0) == [two]
    location.forget_user("101")
    assert len(location) == 0


def test_the_wall_clock_moves_no_registration() -> None:
    wall = [1000.0]
    location = Location(MemoryStore(), wall_clock=lambda: wall[0])
    location.commit("101", put=[binding("sip:a@b", expires_at=60.0)], now=0.0)
    wall[0] += 3600
    assert len(location.bindings("101", now=59.0)) == 1
    assert location.expire(now=61.0) == 1


# --- back-off


def test_the_wait_doubles_ends_and_is_forgotten() -> None:
    table = FailureTable(BackoffPolicy(free_per_account=2, first_delay=2, longest_delay=10, memory=100))
    waits = []
    for _ in range(6):
        table.failed("1.2.3.4", "101", now=0.0)
        waits.append(table.wait("1.2.3.4", "101", now=0.0))
    assert waits == [0, 0, 2, 4, 8, 10]
    assert table.wait("1.2.3.4", "102", now=0.0) == 0
    assert table.wait("5.6.7.8", "101", now=0.0) == 0
    assert table.wait("1.2.3.4", "101", now=11.0) == 0
    table.failed("1.2.3.4", "101", now=200.0)
    assert table.wait("1.2.3.4", "101", now=200.0) == 0


def test_a_source_that_tries_many_accounts_waits_too() -> None:
    table = FailureTable(BackoffPolicy(free_per_source=10))
    for number in range(12):
        table.failed("1.2.3.4", str(number), now=0.0)
    assert table.wait("1.2.3.4", "never tried", now=0.0) > 0


def test_neighbours_wait_together() -> None:
    table = FailureTable(BackoffPolicy(free_per_network=10))
    for number in range(12):
        table.failed(f"1.2.3.{number}", str(number), now=0.0)
        table.failed(f"2001:db8:0:{number}::1", str(number), now=0.0)
    assert table.wait("1.2.3.200", "never tried", now=0.0) > 0
    assert table.wait("2001:db8:0:99::1", "never tried", now=0.0) > 0
    assert table.wait("1.2.4.1", "never tried", now=0.0) == 0


def test_an_account_that_everybody_tries_waits_a_little_but_not_for_its_owner() -> None:
    table = FailureTable(BackoffPolicy(free_from_everywhere=10, longest_for_everywhere=5.0))
    table.succeeded("9.9.9.9", "101")
    for number in range(100):
        table.failed(f"1.{number}.3.4", "101", now=0.0)
    assert table.wait("8.8.8.8", "101", now=0.0) == 5.0
    assert table.wait("8.8.8.8", "102", now=0.0) == 0
    assert table.wait("9.9.9.9", "101", now=0.0) == 0


def test_the_table_of_failures_is_bounded() -> None:
    table = FailureTable(BackoffPolicy(table_size=50))
    for number in range(1000):
        table.failed(f"10.0.0.{number}", "101", now=0.0)
    assert len(table) == 50


# --- NAT


def register(contact: str, via: str, *, rport: bool = True) -> Request:
    data = messages.request("REGISTER", "sip:x", via=via, headers=[("Contact", f"<{contact}>")])
    message = parse_message(data if rport else data.replace(b";rport", b""))
    assert isinstance(message, Request)
    return message


@pytest.mark.parametrize(
    ("contact", "via", "rport", "flow", "reached_at"),
    [
        ("sip:a@10.0.0.11:5060", "SIP/2.0/UDP 10.0.0.11:5060", True, UDP, "10.0.0.11:5060"),
        ("sip:a@192.168.1.2", "SIP/2.0/UDP 192.168.1.2", True, UDP, "10.0.0.11:5060"),
        ("sip:a@192.168.1.2:5062", "SIP/2.0/UDP 192.168.1.2:5062", False, UDP, "10.0.0.11:5060"),
        ("sip:a@10.0.0.11:5062", "SIP/2.0/UDP 10.0.0.11:5062", False, UDP, "10.0.0.11:5062"),
        ("sip:a@10.0.0.11:5062", "SIP/2.0/UDP 10.0.0.11:5062", True, UDP, "10.0.0.11:5060"),
        ("sip:a@10.0.0.11:9999", "SIP/2.0/UDP 10.0.0.11:5060", True, UDP, None),
        ("sip:a@10.0.0.55", "SIP/2.0/UDP 10.0.0.11:5060", True, UDP, None),
        ("sip:a@phone.example.com", "SIP/2.0/UDP 10.0.0.11:5060", True, UDP, None),
        ("sip:a@x.invalid;transport=ws", "SIP/2.0/TLS x.invalid", True, TLS, "203.0.113.9:40000"),
        ("sip:a@192.168.1.2:5061", "SIP/2.0/TLS 192.168.1.9:5061", True, TLS, "203.0.113.9:40000"),
        ("sip:a@203.0.113.9:5061", "SIP/2.0/TLS 192.168.1.9:5061", True, TLS, "203.0.113.9:40000"),
    ],
)
def test_how_a_contact_is_reached(
    contact: str, via: str, rport: bool, flow: Flow, reached_at: str | None
) -> None:
    request = register(contact, via, rport=rport)
    found = flow_to_contact(parse_uri(contact), request, flow)
    assert (str(found.remote) if found is not None else None) == reached_at


def test_a_contact_behind_another_proxy_is_reached_by_its_path() -> None:
    request = register("sip:a@10.0.0.11", "SIP/2.0/UDP 10.0.0.11")
    request.headers.prepend("Via", "SIP/2.0/UDP edge.example.com;branch=z9hG4bK1")
    assert flow_to_contact(parse_uri("sip:a@10.0.0.11"), request, UDP) is None


@pytest.mark.parametrize(
    ("host", "source", "reachable"),
    [
        ("192.168.1.1", "198.51.100.1", False),
        ("100.64.3.2", "198.51.100.1", False),
        ("fd00::1", "2001:db8::1", False),
        ("0.0.0.0", "10.0.0.1", False),
        ("224.0.0.5", "10.0.0.1", False),
        ("198.51.100.2", "198.51.100.1", True),
        ("192.168.1.1", "10.0.0.1", True),
        ("phone.example.com", "198.51.100.1", True),
        ("abc.invalid", "198.51.100.1", False),
        ("::ffff:192.168.1.1", "198.51.100.1", False),
    ],
)
def test_which_addresses_are_believed(host: str, source: str, reachable: bool) -> None:
    assert is_reachable(host, source) is reachable


def test_a_redirect_names_the_address_that_works() -> None:
    contact = NameAddr.parse("<sip:a@192.168.1.2:5060>;q=0.5")
    assert str(contact_with_flow(contact, TLS).uri) == "sip:a@203.0.113.9:40000"


# --- targets


def test_targets_are_ordered_by_q_and_phones_with_two_flows_are_one() -> None:
    bindings = [
        binding("sip:a@1.1.1.1", q=0.5),
        binding("i1", contact=NameAddr.parse("<sip:b@1.1.1.2>"), instance="i", reg_id=1),
        binding("i2", contact=NameAddr.parse("<sip:b@1.1.1.3>"), instance="i", reg_id=2),
        binding("sip:c@1.1.1.4"),
    ]
    targets = targets_of(bindings, lambda _: True)
    assert [str(target.uri) for target in targets] == ["sip:b@1.1.1.2", "sip:c@1.1.1.4", "sip:a@1.1.1.1"]
    assert [str(other.uri) for other in targets[0].alternates] == ["sip:b@1.1.1.3"]
    assert [len(group) for group in serial_groups(targets)] == [2, 1]


def test_a_living_flow_of_a_phone_comes_before_a_lost_one() -> None:
    dead = Flow(Transport.WS, Address("10.0.0.1", 80), Address("1.1.1.1", 4000), 5)
    bindings = [
        binding("i1", contact=NameAddr.parse("<sip:b@x.invalid>"), instance="i", reg_id=1, flow=dead),
        binding("i2", contact=NameAddr.parse("<sip:b@y.invalid>"), instance="i", reg_id=2, flow=TLS),
    ]
    (target,) = targets_of(bindings, lambda flow: flow is TLS)
    assert (target.flow, target.is_gone) == (TLS, False)
    assert target.alternates[0].is_gone


def test_headers_and_method_of_a_contact_stay_out_of_the_request_uri() -> None:
    uri = parse_uri("sip:a@b;transport=tcp;method=REGISTER?Route=%3Csip:evil%3E&Subject=x")
    assert str(as_request_uri(uri)) == "sip:a@b;transport=tcp"


def test_a_secure_call_rings_secure_phones_only() -> None:
    async def test(rig: Rig) -> None:
        await rig.phone("102", "10.0.0.12")
        anna = await rig.phone("101", "10.0.0.11")
        await anna.ask("MESSAGE", f"sips:102@{DOMAIN}")
        await anna.peer.expect(480)

    on_a_server(test)


# --- responses


def failures(*statuses: int) -> list[Response]:
    return [Response(status) for status in statuses]


@pytest.mark.parametrize(
    ("statuses", "best"),
    [
        ((486, 603, 200), 603),
        ((500, 486), 486),
        ((404, 302), 302),
        ((408, 486), 486),
        ((486, 408), 486),
        ((404, 407), 407),
        ((486, 401, 407), 401),
        ((503, 500), 500),
        ((503,), 503),
        ((486, 404), 486),
        ((487, 480), 480),
        ((430, 480), 480),
    ],
)
def test_which_failure_is_the_best(statuses: tuple[int, ...], best: int) -> None:
    assert best_response(failures(*statuses)).status == best


def test_merging_challenges_leaves_the_originals_alone() -> None:
    first, second = failures(407, 401)
    first.headers.add("Proxy-Authenticate", 'Digest realm="a"')
    second.headers.add("WWW-Authenticate", 'Digest realm="b"')
    merged = best_response([first, second])
    assert merged.status == 401
    assert merged.headers.get_all("Proxy-Authenticate") == ['Digest realm="a"']
    assert "Proxy-Authenticate" not in second.headers


# --- names and loops


def test_our_names_with_our_ports_are_ours() -> None:
    locality = Locality(["Example.COM"], ["192.0.2.1", "2001:DB8:0::1"])
    for uri, ours in (
        ("sip:a@example.com", True),
        ("sip:a@EXAMPLE.com.", True),
        ("sip:a@192.0.2.1", True),
        ("sip:a@[2001:db8::1]", True),
        ("sip:a@[::ffff:192.0.2.1]", True),
        ("sip:a@example.com:9", False),
        ("sip:a@example.net", False),
        ("tel:+49123", True),
        ("http://example.com", False),
    ):
        assert locality.is_ours(parse_uri(uri)) is ours, uri
        assert locality.names_us(uri) is (ours and uri[:4] == "sip:"), uri
    assert locality.user_of(TelUri.parse("tel:+49-(123).4")) == "+491234"


def test_what_was_not_ours_is_when_a_connection_shows_that_address() -> None:
    locality = Locality(["example.com"])
    for _ in range(2):
        assert not locality.names_us("sip:10.0.0.1;lr")
    locality.learn(TLS)
    for _ in range(2):
        assert locality.names_us("sip:10.0.0.1;lr")
    for number in range(5000):  # somebody asks for many
        assert not locality.names_us(f"sip:10.1.{number % 256}.{number // 256};lr")
    assert locality.names_us("sip:10.0.0.1;lr")


def test_the_loop_hash_depends_on_what_routes_and_on_our_key() -> None:
    def request(**parts: object) -> Request:
        message = parse_message(messages.request("INVITE", "sip:a@b", call_id="1", **parts))  # type: ignore[arg-type]
        assert isinstance(message, Request)
        return message

    loops = LoopDetector(b"secret")
    one = loops.hash_of(request())
    assert loops.hash_of(request(headers=[("Max-Forwards-X", "1")])) == one
    assert loops.hash_of(request(), ["sip:x;lr"]) != one
    assert loops.hash_of(request(cseq=2)) != one
    assert loops.hash_of(request().with_target("sip:c@b")) != one
    assert LoopDetector(b"other").hash_of(request()) != one
    looped = request(branch=f"z9hG4bKabc.{one}")
    assert loops.is_loop(looped, one)
    assert not loops.is_loop(request(), one)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("10.0.0.1:5060", "10.0.0.1", 5060),
        ("example.com", "example.com", None),
        ("[2001:db8::1]:5061", "2001:db8::1", 5061),
        ("[2001:db8::1]", "2001:db8::1", None),
    ],
)
def test_sent_by_is_taken_apart(text: str, host: str, port: int | None) -> None:
    assert split_sent_by(text) == (host, port)


def test_a_stopped_server_can_be_started_again_and_reports_its_state() -> None:
    async def test(rig: Rig) -> None:
        await rig.phone("101", "10.0.0.11")
        await rig.restart()
        status = rig.server.status()
        assert status["registrations"] == 1
        assert {endpoint.transport for endpoint in rig.server.endpoints} == {
            Transport.UDP,
            Transport.TCP,
            Transport.WS,
        }

    on_a_server(test, settings=with_proxy())
