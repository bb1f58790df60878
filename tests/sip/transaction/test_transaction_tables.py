# SPDX-License-Identifier: Apache-2.0
from collections.abc import Mapping
from enum import IntEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transaction_bench import TCP, UDP, Bench, make_request

from ringback.sip.flow import Flow
from ringback.sip.message.message import Response
from ringback.sip.transaction import client, server
from ringback.sip.transaction.client import ClientTransaction
from ringback.sip.transaction.server import ServerTransaction

Table = Mapping[tuple[IntEnum, IntEnum], tuple[IntEnum, tuple[Any, ...]]]

TABLES: dict[str, Table] = {
    "client INVITE": client.INVITE_TRANSITIONS,
    "client non-INVITE": client.NON_INVITE_TRANSITIONS,
    "server INVITE": server.INVITE_TRANSITIONS,
    "server non-INVITE": server.NON_INVITE_TRANSITIONS,
}


def states_of(table: Table) -> set[IntEnum]:
    return {state for state, _ in table} | {state for state, _ in table.values()}


@pytest.mark.parametrize("name", TABLES)
def test_every_state_can_reach_terminated(name: str) -> None:
    table = TABLES[name]
    reach = {state for state in states_of(table) if state.name == "TERMINATED"}
    while more := {state for (state, _), (after, _) in table.items() if after in reach} - reach:
        reach |= more
    assert reach == states_of(table)


@pytest.mark.parametrize("name", TABLES)
def test_every_state_can_be_reached_and_nothing_leaves_terminated(name: str) -> None:
    table = TABLES[name]
    first = {"client": client.State.NEW, "server INVITE": server.State.PROCEEDING}
    start = first["client"] if name.startswith("client") else first.get(name, server.State.TRYING)
    reach: set[IntEnum] = {start}
    while more := {after for (state, _), (after, _) in table.items() if state in reach} - reach:
        reach |= more
    assert reach == states_of(table)
    assert not [state for state, _ in table if state.name == "TERMINATED"]


def test_the_two_tables_of_a_side_cover_all_states_and_inputs() -> None:
    for module in (client, server):
        tables = (module.INVITE_TRANSITIONS, module.NON_INVITE_TRANSITIONS)
        assert set().union(*(states_of(table) for table in tables)) == set(module.State)
        assert {what for table in tables for _, what in table} == set(module.Input)


steps = st.lists(
    st.tuples(
        st.sampled_from(["response", "repeat", "ack", "fail", "cancel", "leave"]),
        st.sampled_from([100, 180, 183, 199, 200, 202, 302, 404, 408, 486, 503, 600]),
        st.sampled_from([0.0, 0.1, 0.5, 3.0, 20.0, 40.0]),
    ),
    max_size=20,
)


@given(steps, st.sampled_from(["INVITE", "OPTIONS"]), st.sampled_from([UDP, TCP]))
def test_no_sequence_of_inputs_breaks_a_client_transaction(
    plan: list[tuple[str, int, float]], method: str, flow: Flow
) -> None:
    bench = Bench()
    transaction = ClientTransaction(make_request(method), bench, flow=flow)
    transaction.start(0.0)
    everyone = [transaction]
    for what, status, wait in plan:
        if what == "response":
            tag = None if status == 100 else "bob"
            transaction.receive(Response.to(transaction.request, status, to_tag=tag), bench.now)
        elif what == "fail":
            transaction.fail("broken", bench.now)
        elif what == "cancel" and transaction.state is client.State.PROCEEDING and method == "INVITE":
            transaction.limit_wait_after_cancel(bench.now)
        elif what == "leave":
            everyone.append(transaction.leave_behind())
            transaction.start(bench.now)
        bench.run(bench.now + wait)
    for each in everyone:
        if each.state is client.State.PROCEEDING and method == "INVITE":
            each.limit_wait_after_cancel(bench.now)
    bench.run(bench.now + 65)
    assert all(each.has_ended for each in everyone)
    assert len(bench.deadlines) == 0
    finals = [event for event in bench.events if event[0] not in "1" and event[0] != "2"]
    assert len(finals) <= len(everyone)


@given(steps, st.sampled_from(["INVITE", "OPTIONS"]), st.sampled_from([UDP, TCP]))
def test_no_sequence_of_inputs_breaks_a_server_transaction(
    plan: list[tuple[str, int, float]], method: str, flow: Flow
) -> None:
    bench = Bench()
    transaction = ServerTransaction(make_request(method), flow, (), bench, "tag")
    transaction.start(0.0)
    for what, status, wait in plan:
        if what == "response":
            tag = None if status == 100 else "bob"
            transaction.respond(Response.to(transaction.request, status, to_tag=tag), bench.now)
        elif what == "fail":
            transaction.fail("broken", bench.now)
        elif what == "ack":
            transaction.feed(server.Input.ACK, bench.now)
        else:
            transaction.feed(server.Input.REQUEST, bench.now)
        bench.run(bench.now + wait)
    transaction.respond(Response.to(transaction.request, 500, to_tag="bob"), bench.now)
    bench.run(bench.now + 65)
    assert transaction.has_ended
    assert len(bench.ends) == 1
    assert len(bench.deadlines) == 0
