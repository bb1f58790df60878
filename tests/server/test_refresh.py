# SPDX-License-Identifier: Apache-2.0
"""The quick way for plain refreshes comes to the same as the careful one, or steps aside."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.kernel import scan
from ringback.server.binding import Binding
from ringback.server.nat import flow_to_contact
from ringback.server.refresh import refresh_time
from ringback.server.registration import RegistrarPolicy, RegistrationError, Update, plan_update
from ringback.sip.errors import PeerError
from ringback.sip.flow import Address, Flow, Transport
from ringback.sip.message.message import Request

OURS = Address("10.0.0.1", 5060)
POLICY = RegistrarPolicy()
NOW, WALL = 1000.0, 1.7e9

flows = st.builds(
    lambda transport, host, port: Flow(
        transport, OURS, Address(host, port), 0 if transport is Transport.UDP else 7
    ),
    st.sampled_from([Transport.UDP, Transport.TCP]),
    st.sampled_from(["10.0.0.11", "203.0.113.9", "198.51.100.3"]),
    st.sampled_from([5060, 5062, 40_000]),
)
places = st.sampled_from(
    ["10.0.0.11:5060", "10.0.0.11", "10.0.0.11:5062", "203.0.113.9:40000", "phone.invalid", "PHONE.example"]
)
contacts = st.builds(
    lambda name, user, place, uri_parameter, parameters: (
        f"{name}<sip:{user}{place}{uri_parameter}>{parameters}"
    ),
    st.sampled_from(["", '"Anna" ', "Anna "]),
    st.sampled_from(["101@", "102@", ""]),
    places,
    st.sampled_from(["", ";transport=tcp", ";ob"]),
    st.sampled_from(
        ["", ';+sip.instance="<urn:uuid:1>"', ';+sip.instance="<urn:uuid:1>";reg-id=1', ";q=0.5"]
    ),
)
suffixes = st.sampled_from(
    [*[""] * 5, *[";expires=600"] * 4, ";expires=0", ";expires=5", ";expires=x", ";Expires=60"]
)
line_lists = st.lists(
    st.sampled_from(
        [
            "Expires: 600", "Expires: 30", "Expires: 99999", "User-Agent: Phone/1", "Supported: outbound, path",
            "Path: <sip:edge.example;lr>", "Call-Info: x", "user-agent: other",
        ]
    ),
    max_size=3, unique=True,
)  # fmt: skip


def register(contact: str, via: str, lines: list[str], *, call_id: str, cseq: int, flow: Flow) -> bytes:
    head = [
        "REGISTER sip:example.com SIP/2.0", f"Via: SIP/2.0/{flow.transport.value} {via};branch=z9hG4bK1",
        "From: <sip:101@example.com>;tag=1", "To: <sip:101@example.com>", f"Call-ID: {call_id}",
        f"CSeq: {cseq} REGISTER", f"Contact: {contact}", *lines, "Content-Length: 0", "", "",
    ]  # fmt: skip
    return "\r\n".join(head).encode()


def request_of(data: bytes, flow: Flow) -> Request | None:
    head = scan(data, flow.remote.host, flow.remote.port)
    return None if head is None else Request.read(head)


def careful(request: Request, existing: list[Binding], flow: Flow) -> Update:
    return plan_update(
        request, "101", existing, policy=POLICY, now=NOW, wall_now=WALL,
        flow_for=lambda contact, request: flow_to_contact(contact.uri, request, flow),
    )  # fmt: skip


def facts(binding: Binding) -> dict[str, object]:
    return {name: getattr(binding, name) for name in (*Binding.__slots__, "contact_text")}


@given(
    contacts, suffixes, suffixes, places, st.sampled_from([True, True, False]), st.sampled_from(["", ";rport"]), flows, st.none() | st.none() | flows,
    line_lists, line_lists, st.sampled_from(["a", "b"]), st.sampled_from([2, 2, 1]), st.sampled_from([0, 0, 0, 1]),
)  # fmt: skip
def test_the_quick_way_is_the_careful_way(
    contact: str, first_suffix: str, suffix: str, place: str, is_honest: bool, rport: str, before: Flow,
    moved: Flow | None, first_lines: list[str], lines: list[str], call_id: str, cseq: int, other: int,
) -> None:  # fmt: skip
    after = moved or before
    via = (contact.partition("@")[2].partition(";")[0].partition(">")[0] if is_honest else place) or place
    first = request_of(
        register(contact + first_suffix, via + rport, first_lines, call_id="a", cseq=1, flow=before), before
    )
    again = contact if not other else "<sip:103@10.0.0.11>"
    second = request_of(
        register(again + suffix, via + rport, lines, call_id=call_id, cseq=cseq, flow=after), after
    )
    if first is None or second is None:
        return
    try:
        (old,) = careful(first, [], before).put
    except (PeerError, ValueError):
        return
    assert second.head is not None
    seconds = refresh_time(second.head, after, old, POLICY)
    if seconds:
        update = careful(second, [old], after)
        old.renew(NOW + seconds, second.call_id, second.cseq_number, WALL)
        assert update == Update(put=update.put)
        assert [facts(binding) for binding in update.put] == [facts(old)]


def plain(contact: str = "<sip:101@10.0.0.11:5060>", *, cseq: int = 2) -> tuple[bytes, Flow]:
    flow = Flow(Transport.UDP, OURS, Address("10.0.0.11", 5060))
    return register(contact, "10.0.0.11:5060", ["Expires: 600"], call_id="a", cseq=cseq, flow=flow), flow


def quick(data: bytes, flow: Flow, old: Binding) -> int:
    head = scan(data, *flow.remote)
    assert head is not None
    return refresh_time(head, flow, old, POLICY)


def test_a_plain_refresh_takes_the_quick_way() -> None:
    data, flow = plain(cseq=1)
    first = request_of(data, flow)
    assert first is not None
    (old,) = careful(first, [], flow).put
    assert quick(*plain(), old) == 600
    assert quick(*plain("<sip:101@10.0.0.11:5060>;expires=300"), old) == 300
    assert quick(*plain("<sip:101@10.0.0.11:5060>;expires=99999"), old) == POLICY.maximum_expires


def test_a_phone_that_is_reached_another_way_or_has_another_program_is_looked_at_with_care() -> None:
    data, flow = plain(cseq=1)
    first = request_of(data, flow)
    assert first is not None
    (old,) = careful(first, [], flow).put
    again, _ = plain()
    assert quick(again, Flow(Transport.UDP, Address("10.0.0.2", 5060), flow.remote), old) == 0
    assert quick(again.replace(b"Content-Length", b"User-Agent: New/2\r\nContent-Length"), flow, old) == 0
    old.q = 0.5
    assert quick(again, flow, old) == 0


def test_what_would_be_refused_is_left_to_the_careful_way() -> None:
    data, flow = plain(cseq=2)
    first = request_of(data, flow)
    assert first is not None
    (old,) = careful(first, [], flow).put
    assert quick(data, flow, old) == 0  # the CSeq did not rise
    assert quick(*plain("<sip:101@10.0.0.11:5060>;expires=5", cseq=3), old) == 0
    with pytest.raises(RegistrationError, match="CSeq Out Of Order"):
        careful(first, [old], flow)
