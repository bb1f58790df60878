# SPDX-License-Identifier: Apache-2.0
"""Is the right message served, delayed or refused, and does every one of them end somewhere?"""

from collections import Counter
from dataclasses import asdict

from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.server.overload.gate import CALM, MOST_URGENT, OverloadGate, OverloadPolicy
from ringback.sip.flow import Address, Flow, Transport
from ringback.sip.message.message import Response
from ringback.sip.message.parser import parse_message
from ringback.testing import messages

Message = tuple[bytes, Flow]

#: When `overloaded` begins.
LATER = 3.0


def flow(number: int = 9) -> Flow:
    return Flow(Transport.UDP, Address("10.0.0.1", 5060), Address(f"10.0.0.{number}", 5060))


def gate(**policy: object) -> OverloadGate:
    return OverloadGate(
        OverloadPolicy(**policy),  # type: ignore[arg-type]
        secret=b"s" * 16,
        wall_clock=lambda: 0.0,
    )


def invite(number: int, target: str = "sip:bob@example.com") -> bytes:
    return messages.request("INVITE", target, branch=f"z9hG4bK{number}", call_id=f"{number}@test")


def part_of_call(method: str, number: int, tag: str = "") -> bytes:
    to = f"<sip:bob@example.com>{';tag=' + tag if tag else ''}"
    return messages.request(method, "sip:bob@example.com", branch=f"z9hG4bK{number}", to=to)


def calls(count: int, source: int = 9, first: int = 0) -> list[Message]:
    return [(invite(number), flow(source)) for number in range(first, first + count)]


def slice_of_work(one: OverloadGate, now: float) -> list[Message]:
    """What the driver takes, works on in no time, and comes back."""
    taken = one.take(now)
    one.sort([], now)
    return taken


def served(one: OverloadGate, now: float) -> list[Message]:
    """All that the gate lets through at this instant."""
    found = []
    while batch := slice_of_work(one, now):
        found += batch
    return found


def statuses(one: OverloadGate) -> list[tuple[int, str]]:
    found = [parse_message(data) for data, _flow in one.answers()]
    return [(answer.status, answer.cseq.method) for answer in found if isinstance(answer, Response)]


def overloaded(**policy: object) -> OverloadGate:
    """A gate in the middle of it, with nothing waiting."""
    one = gate(**policy)
    now = 0.0
    while not one.is_overloaded:
        one.sort(calls(64, source=200, first=100_000 + round(1000 * now)), now)
        one.take(now)  # which takes until the next round
        now += 0.05
        assert now < 2.5, "sixteen slices of work, and still something waits that is older than 0.4 s"
    one.sort([], now=LATER)
    one.answers()
    assert not len(one._lanes)
    assert one.is_overloaded
    return one


def test_what_is_underway_overtakes_new_calls():
    one = gate()
    bye, call = (part_of_call("BYE", 1, tag="b"), flow()), (invite(2), flow())
    one.sort([call, bye], now=0.0)
    assert served(one, now=0.0) == [bye, call]


def test_messages_of_one_dialog_keep_their_order():
    one = gate()
    sent = [
        (part_of_call(method, number, tag="b"), flow())
        for number, method in enumerate(("ACK", "INFO", "BYE"))
    ]
    one.sort(sent, now=0.0)
    assert served(one, now=0.0) == sent


def test_a_repetition_of_what_waits_is_dropped():
    one = gate()
    one.sort([*calls(1), *calls(1), *calls(1, source=10)], now=0.0)
    assert len(served(one, now=0.0)) == 2, "another source is another request"
    assert one.counters.repeated == 1


def test_a_call_that_waited_too_long_is_refused_and_its_repetitions_and_ack_are_no_work():
    one = gate()
    one.sort(calls(1), now=0.0)
    one.sort([], now=1.1)
    assert statuses(one) == [(503, "INVITE")]
    one.sort([*calls(1), (part_of_call("ACK", 0, tag="x"), flow())], now=1.2)
    assert statuses(one) == [(503, "INVITE")], "the same answer for the same request"
    assert served(one, now=1.2) == []
    assert one.counters.absorbed_acks == 1


def test_an_ack_to_somebody_elses_answer_goes_through():
    one = overloaded()
    ack = part_of_call("ACK", 0, tag="x"), flow()
    one.sort([ack], now=LATER)
    assert served(one, now=LATER) == [ack]


def test_a_call_that_is_given_up_while_it_waits_is_answered_and_never_served():
    one = gate()
    one.sort([*calls(1), (part_of_call("CANCEL", 0), flow())], now=0.0)
    assert served(one, now=0.0) == []
    assert sorted(statuses(one)) == [(200, "CANCEL"), (487, "INVITE")]
    one.sort([(part_of_call("ACK", 0, tag="x"), flow())], now=0.1)
    assert one.counters.absorbed_acks == one.counters.cancelled == 1


def test_a_cancel_of_what_was_served_goes_through():
    one = gate()
    one.sort(calls(1), now=0.0)
    served(one, now=0.0)
    cancel = part_of_call("CANCEL", 0), flow()
    one.sort([cancel], now=0.0)
    assert served(one, now=0.0) == [cancel]


def test_under_overload_the_newest_call_goes_first():
    one = overloaded()
    old, new = calls(2)
    one.sort([old, new], now=LATER)
    assert served(one, now=LATER) == [new, old]


def test_what_could_not_begin_in_time_is_refused_at_once_but_nobody_is_shut_out():
    one = overloaded()
    one.sort(calls(1000), now=LATER)
    assert len(statuses(one)) >= 900
    late = calls(1, source=77, first=5000)
    one.sort(late, now=LATER)
    assert statuses(one) == []
    assert late[0] in served(one, now=LATER)


def test_it_is_over_after_a_calm_second():
    one = overloaded()
    one.sort([], now=LATER + 0.5)
    assert one.is_overloaded
    one.sort([], now=LATER + CALM)
    assert not one.is_overloaded
    for later in (10.0, 20.0):
        one.sort([], now=later)
        one.take(later)
    assert one.is_open, "and nothing is looked at any more"


def test_calls_for_help_are_served_first_but_one_source_has_only_so_many():
    one = overloaded()
    help_calls = [(invite(number, "urn:service:sos"), flow(5)) for number in range(MOST_URGENT)]
    one.sort([*calls(20), *help_calls], now=LATER)
    assert slice_of_work(one, LATER)[:MOST_URGENT] == help_calls
    flood = [(invite(1000 + number, "urn:service:sos"), flow(6)) for number in range(200)]
    one.sort(flood, now=LATER + 0.1)
    one.sort([(invite(9999, "sip:112@example.com"), flow(7))], now=LATER + 0.1)
    first = slice_of_work(one, LATER + 0.1)[: MOST_URGENT + 1]
    assert flow(7) in [source for _data, source in first]
    assert Counter(source for _data, source in first)[flow(6)] == MOST_URGENT


def test_health_checks_are_answered_under_overload():
    one = overloaded()
    check = messages.request("OPTIONS", "sip:example.com"), flow(5)
    one.sort([*calls(100), check], now=LATER)
    assert slice_of_work(one, LATER)[0] == check


def test_one_source_at_ten_times_its_share_waits_for_itself():
    one = overloaded()
    refused, admitted, sent = Counter[str](), Counter[str](), Counter[str]()
    number, now = 0, LATER
    for tick in range(
        2000
    ):  # 1 ms each; the server does one call a tick; source 1 sends 10, ten others 0.05 each
        now += 0.001
        batch = [(invite(number + place), flow(1)) for place in range(10)]
        if tick % 2 == 0:
            batch.append((invite(number + 10), flow(10 + tick // 2 % 10)))
        sent.update(source.remote.host for _data, source in batch)
        number += 11
        one.sort(batch, now)
        refused.update(source.remote.host for _data, source in one.answers())
        if one._lanes.oldest_refusable() is not None:
            taken = one._lanes.take_refusable(newest=one.is_overloaded)
            assert taken is not None
            one._waiting.pop(taken.key, None)
            one._controller.grants(now)
            admitted[taken.source] += 1
    polite = [f"10.0.0.{source}" for source in range(10, 20)]
    assert sum(refused[host] for host in polite) <= 0.005 * sum(sent[host] for host in polite)
    assert admitted["10.0.0.1"] > 900, "and the rest of the room is for it"


def test_a_source_of_in_dialog_messages_without_end_does_not_fill_the_memory():
    one = gate()
    flood = [(part_of_call("INFO", number, tag="b"), flow(1)) for number in range(10_000)]
    one.sort(flood, now=0.0)
    other = part_of_call("BYE", 1, tag="b"), flow(2)
    one.sort([other], now=0.0)
    assert one.counters.dropped > 5000
    assert other in one.take(0.0)[:2]


def test_what_is_no_sip_is_dropped():
    one = gate()
    one.sort([(b"hello", flow())], now=0.0)
    assert served(one, now=0.0) == []
    assert one.counters.dropped == 1


def test_a_late_timer_makes_it_watch_for_a_second():
    one = gate()
    one.late(0.01, now=5.0)
    assert one.is_open
    one.late(0.2, now=5.0)
    assert not one.is_open
    assert one.take(5.5) == []
    assert not one.is_open
    assert one.take(6.1) == []
    assert one.is_open


def test_a_change_of_settings_keeps_who_waits_and_who_is_known():
    one = gate()
    one.trust(flow(8), now=0.0)
    one.sort(calls(1), now=0.0)
    one.change(OverloadPolicy(retry_after=(7, 7)))
    one.sort([*calls(1, source=8)], now=0.0)
    assert one.take(0.0)[0][1] == flow(8)
    one.sort(calls(1, first=5), now=0.0)
    one.sort([], now=2.0)
    refusal = parse_message(one.answers()[0][0])
    assert refusal.headers["Retry-After"] == "7"


METHODS = st.sampled_from(["INVITE", "ACK", "CANCEL", "BYE", "REGISTER", "OPTIONS", "MESSAGE"])
ARRIVALS = st.lists(
    st.tuples(
        st.floats(0.0, 0.3),
        st.lists(st.tuples(METHODS, st.integers(0, 5), st.booleans(), st.integers(1, 3)), max_size=8),
        st.booleans(),
    ),
    max_size=25,
)


@settings(max_examples=200)
@given(ARRIVALS)
def test_every_message_ends_in_exactly_one_way_and_nothing_underway_is_refused(arrivals: list[object]):
    one, now, came = gate(), 0.0, 0
    taken: list[Message] = []
    answered: list[bytes] = []
    for pause, batch, serves in arrivals:  # type: ignore[misc]
        now += pause
        sent = [
            (part_of_call(method, number, "b" * tagged), flow(source))
            for method, number, tagged, source in batch
        ]
        came += len(sent)
        one.sort(sent, now)
        taken += one.take(now) if serves else []
        answered += [data for data, _flow in one.answers()]
    taken += served(one, now)
    answered += [data for data, _flow in one.answers()]
    count = one.counters
    assert one.pause() is None
    assert came == len(taken) + count.refused + count.repeated + count.absorbed_acks + 2 * count.cancelled
    assert len(answered) == count.refused + 2 * count.cancelled
    refusals = [data for data in answered if data.startswith(b"SIP/2.0 503")]
    assert len(refusals) == count.refused
    assert all(b";tag=b\r\n" not in data for data in refusals), "what had a To tag was in a dialog"
    assert all(asdict(count)[name] >= 0 for name in asdict(count))
