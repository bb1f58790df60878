# SPDX-License-Identifier: Apache-2.0
"""What happens to bytes before a transaction sees them, and where responses go."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stack_bench import OTHER, PEER, TCP, UDP, UDP_2, StackBench, incoming

from ringback.sip.events import PeerMisbehaved, RequestReceived
from ringback.sip.flow import Address, Flow
from ringback.sip.message.message import Request, Response


def top_via(message: Request | Response) -> str:
    return str(message.top_via)


def reply(bench: StackBench, data: bytes, flow: Flow = UDP) -> tuple[Response, Flow]:
    """The answer 486 to a request, and where it went."""
    bench.receive(data, flow)
    (event,) = bench.take(RequestReceived)
    bench.respond(event.transaction, 486)
    message = bench.messages()[-1]
    assert isinstance(message, Response)
    return message, bench.sent[-1][2]


@pytest.mark.parametrize(
    ("sent_by", "parameters", "remote"),
    [
        ("192.0.2.2", "", Address("192.0.2.2", 5060)),
        ("192.0.2.2:5070", "", Address("192.0.2.2", 5070)),
        ("10.0.0.9:5070", "", Address("192.0.2.2", 5070)),
        ("host.example.com", "", Address("192.0.2.2", 5060)),
        ("10.0.0.9:5070", ";rport", Address("192.0.2.2", 40000)),
        ("10.0.0.9", ";rport=9", Address("192.0.2.2", 40000)),
        ("10.0.0.9", ";received=203.0.113.1", Address("192.0.2.2", 5060)),
        ("192.0.2.2", ";maddr=224.0.1.75", Address("224.0.1.75", 5060)),
        ("192.0.2.2:5070", ";maddr=name.example.com", Address("192.0.2.2", 5070)),
    ],
)
def test_responses_on_udp_go_where_the_via_and_the_source_say(
    sent_by: str, parameters: str, remote: Address
) -> None:
    flow = Flow(UDP.transport, UDP.local, Address("192.0.2.2", 40000))
    _, used = reply(StackBench(), incoming(sent_by=sent_by, via_parameters=parameters), flow)
    assert used.remote == remote
    assert used.local == flow.local


def test_responses_on_a_connection_go_back_on_it() -> None:
    _, used = reply(StackBench(), incoming(transport="TCP", sent_by="10.0.0.9:5070"), TCP)
    assert used == TCP


@pytest.mark.parametrize(
    ("sent_by", "parameters", "stamped"),
    [
        ("192.0.2.2", "", "192.0.2.2;branch=z9hG4bKone"),
        ("192.0.2.2", ";rport", "192.0.2.2;branch=z9hG4bKone;rport=5060;received=192.0.2.2"),
        ("10.1.1.1", "", "10.1.1.1;branch=z9hG4bKone;received=192.0.2.2"),
        ("10.1.1.1", ";received=8.8.8.8", "10.1.1.1;branch=z9hG4bKone;received=192.0.2.2"),
        ("192.0.2.2", ";received=8.8.8.8", "192.0.2.2;branch=z9hG4bKone"),
    ],
)
def test_the_top_via_is_stamped_with_the_source(sent_by: str, parameters: str, stamped: str) -> None:
    lower = "Via: SIP/2.0/UDP 10.9.9.9;branch=z9hG4bKlower;received=10.9.9.8"
    bench = StackBench()
    response, _ = reply(bench, incoming(sent_by=sent_by, via_parameters=parameters, lines=(lower,)))
    assert top_via(response) == f"SIP/2.0/UDP {stamped}"
    assert str(response.vias[1]) == lower.removeprefix("Via: ")


def test_a_malformed_request_is_answered_without_state() -> None:
    bench = StackBench()
    (response,) = bench.receive(incoming().replace(b"CSeq: 1 INVITE", b"CSeq: 1 BYE"))
    assert isinstance(response, Response)
    assert response.status == 400
    assert response.to.tag
    (event,) = bench.take(PeerMisbehaved)
    assert (event.status, event.flow) == (400, UDP)
    assert bench.is_quiet()
    assert bench.stack.statistics.malformed_requests == 1


def test_the_ack_to_the_refusal_of_a_malformed_request_is_absorbed() -> None:
    bench = StackBench()
    data = incoming(lines=("Max-Forwards: 71",))
    (response,) = bench.receive(data)
    tag = response.to.tag or ""
    assert bench.receive(incoming("ACK", to_tag=tag)) == []
    assert bench.kinds() == ["PeerMisbehaved"]


def test_a_malformed_ack_is_not_answered() -> None:
    bench = StackBench()
    assert bench.receive(incoming("ACK").replace(b"CSeq: 1 ACK", b"CSeq: x ACK")) == []
    assert bench.kinds() == ["PeerMisbehaved"]


def test_a_malformed_response_is_dropped_and_counted() -> None:
    bench = StackBench()
    data = b"SIP/2.0 200 OK\r\nVia: nonsense\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
    assert bench.receive(data) == []
    assert bench.stack.statistics.malformed_responses == 1
    assert bench.kinds() == ["PeerMisbehaved"]


def test_bytes_that_are_no_message_are_dropped_and_counted() -> None:
    bench = StackBench()
    assert bench.receive(b"\x16\x03\x01\x00\xa5 hello") == []
    assert bench.stack.statistics.unreadable == 1


def test_a_request_whose_via_cannot_be_read_is_answered_where_it_came_from() -> None:
    bench = StackBench()
    bench.receive(incoming().replace(b"SIP/2.0/UDP 192.0.2.2", b"SIP/2.0/UDP :::"), UDP_2)
    assert [flow.remote for _, _, flow in bench.sent] == [OTHER]
    assert bench.words() == ["400"]


@pytest.mark.parametrize("method", ["INVITE", "ACK", "CANCEL", "BYE", "OPTIONS"])
@pytest.mark.parametrize("missing", ["Via", "From", "To", "Call-ID", "CSeq", "Max-Forwards", "Contact"])
def test_a_missing_header_field_never_raises_and_leaves_no_state(method: str, missing: str) -> None:
    bench = StackBench(keep_requests=False)
    lines = incoming(method).split(b"\r\n")
    bench.receive(b"\r\n".join(line for line in lines if not line.startswith(missing.encode() + b":")))
    assert bench.is_quiet()
    assert len(bench.sent) <= 1


@given(st.data())
def test_no_bytes_make_the_stack_raise(data: st.DataObject) -> None:
    bench = StackBench()
    good = incoming(
        data.draw(st.sampled_from(["INVITE", "ACK", "CANCEL", "OPTIONS"])), lines=("Route: <sip:a;lr>",)
    )
    place = data.draw(st.integers(0, len(good)))
    length = data.draw(st.integers(0, 12))
    noise = data.draw(
        st.binary(max_size=12) | st.sampled_from([b"\r\n", b";", b",", b"<", b'"', b"=", b"\0"])
    )
    bench.receive(good[:place] + noise + good[place + length :])
    bench.receive(noise)
    bench.run(70.0)
    assert all(flow.remote.host in (PEER.host, "224.0.1.75") for _, _, flow in bench.sent)
