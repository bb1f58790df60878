# SPDX-License-Identifier: Apache-2.0
"""The verbs of the trace, asked of a phone system that just had a call; and the answers of several processes."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from reliability_office import DOMAIN, Office, RealOffice, offer

from ringback.cli import ladder, status
from ringback.pbx.trace_verbs import ROWS
from ringback.server.control import ControlError, ask
from ringback.sip.errors import RingbackError
from ringback.testing import Network, run


def after_a_call(*questions: tuple[str, Mapping[str, Any]], **trace: Any) -> list[dict[str, Any]]:
    """101 calls a number nobody has; then the questions are asked."""

    async def main() -> list[dict[str, Any]]:
        async with Office(Network(seed=1), trace=trace) as office:
            anna = await office.caller()
            await anna.register()
            refused = await anna.ask(
                "INVITE", f"sip:999@{DOMAIN}", call_id="to-nobody", body=offer("10.0.0.11")
            )
            anna.acknowledge(refused)
            await asyncio.sleep(1)
            return [await office.system.ask(verb, arguments) for verb, arguments in questions]

    return run(main())


def test_the_messages_of_a_call_and_the_list_of_calls() -> None:
    trace, calls = after_a_call(("trace", {"call_id": "to-nobody"}), ("trace-calls", {"to": "999"}))
    said = [message.get("method", message.get("status")) for message in trace["messages"]]
    assert [each for each in said if each not in (100, 183)] == ["INVITE", 407, "ACK", "INVITE", 404, "ACK"]
    text = "".join(message["text"] for message in trace["messages"])
    assert "Proxy-Authorization: (hidden)" in text
    assert "response=" not in text
    assert [(call["call_id"], call["method"], call["status"]) for call in calls["calls"]] == [
        ("to-nobody", "INVITE", 404)
    ]


def test_a_live_view_hears_what_is_new_and_only_once() -> None:
    async def main() -> None:
        async with Office(Network(seed=1)) as office:
            anna = await office.caller()
            begun = await office.system.ask("trace-since", {})
            assert begun["messages"] == []
            await anna.register()
            first = await office.system.ask("trace-since", {"cursor": begun["cursor"], "limit": 3})
            rest = await office.system.ask("trace-since", {"cursor": first["cursor"]})
            last = await office.system.ask("trace-since", {"cursor": rest["cursor"]})
            seen = [one.get("method", one.get("status")) for one in (*first["messages"], *rest["messages"])]
            assert seen == ["REGISTER", 401, "REGISTER", 200]
            assert (len(first["messages"]), last["messages"]) == (3, [])

    run(main())


def test_the_trace_is_switched_while_the_server_runs_and_says_what_is_wrong() -> None:
    off, status, trace = after_a_call(
        ("trace-switch", {"enabled": False, "users": ["101"]}),
        ("trace-status", {}),
        ("trace", {}),
        sampling=1.0,
    )
    assert (off["enabled"], off["users"]) == (False, ["101"])
    assert status["enabled"] is False
    assert len(trace["messages"]) == status["messages"] > 0, "what was kept stays"
    (silent,) = after_a_call(("trace", {}), enabled=False)
    assert silent["messages"] == []
    for wrong in ({"sampling": 7}, {"sampling": "x"}, {"domains": "a"}, {"enabled": "maybe"}):
        with pytest.raises(RingbackError, match=next(iter(wrong))):
            after_a_call(("trace-switch", wrong))


@pytest.mark.parametrize("cursor", ["x", 7, {"x": "y"}, [1]])
def test_a_cursor_that_makes_no_sense_is_told_or_begins_anew(cursor: object) -> None:
    if isinstance(cursor, dict):
        (answer,) = after_a_call(("trace-since", {"cursor": cursor}))
        assert answer["messages"]
        return
    with pytest.raises(RingbackError, match="cursor is what the last answer gave"):
        after_a_call(("trace-since", {"cursor": cursor}))


def test_the_answers_of_several_processes_become_one() -> None:
    one, other = (
        after_a_call(("trace", {}), ("trace-calls", {}), ("trace-since", {}), ("trace-status", {}))
        for _ in "ab"
    )
    trace, calls, since, status = (
        ROWS[verb].merge([one[place], other[place]])
        for place, verb in enumerate(("trace", "trace-calls", "trace-since", "trace-status"))
    )
    assert len(trace["messages"]) == 2 * len(one[0]["messages"])
    times = [message["at"] for message in trace["messages"]]
    assert times == sorted(times)
    assert [call["call_id"] for call in calls["calls"]].count("to-nobody") == 1
    assert len(since["cursor"]) == 2
    assert status["messages"] == 2 * one[3]["messages"]
    few = ROWS["trace"].merge([{**one[0], "limit": 3}, {**other[0], "limit": 3}])
    assert len(few["messages"]) == 3
    assert few["left_out"] == 2 * len(one[0]["messages"]) - 3


async def test_a_running_server_keeps_messages_over_a_restart_and_answers_commands(tmp_path: Path) -> None:
    for round_ in range(2):
        async with RealOffice(tmp_path / "data") as office:
            await office.add_user("101", "Anna", "secret")
            anna = await office.caller("101", "secret")
            assert (await anna.register(call_id=f"register-{round_}")).status == 200
            answer = await asyncio.to_thread(ask, tmp_path / "data", "trace", call_id="register-0")
            assert [one.get("method", one.get("status")) for one in answer["messages"]] == [
                "REGISTER", 401, "REGISTER", 200
            ]  # fmt: skip
            with pytest.raises(ControlError, match="limit is a number"):
                await asyncio.to_thread(ask, tmp_path / "data", "trace", limit="many")
            anna.peer.close()
    files = sorted((tmp_path / "data" / "trace").iterdir())
    assert [file.name for file in files] == ["0-00000001.sip", "0-00000002.sip"]
    assert not any(b"response=" in file.read_bytes() for file in files)


async def test_the_ladder_of_a_call_is_drawn_from_the_running_server(tmp_path: Path) -> None:
    async def drawn(*words: str) -> str:
        arguments = [*words, "--data", str(tmp_path / "data")]
        done = await asyncio.to_thread(CliRunner().invoke, ladder.command, arguments)
        return done.output if done.exit_code == 0 else str(done.exception)

    async with RealOffice(tmp_path / "data") as office:
        await office.add_user("101", "Anna", "secret")
        anna = await office.caller("101", "secret")
        refused = await anna.ask("INVITE", f"sip:999@{DOMAIN}", call_id="to-nobody", body=offer("127.0.0.1"))
        anna.acknowledge(refused)
        whole = await drawn("to-nob")
        assert "Call-ID  to-nobody" in whole
        assert "Result   404" in whole
        assert whole == await drawn("--last")
        assert "Proxy-Authorization: (hidden)" in await drawn("to-nobody", "--messages")
        assert "there is no message with the Call-ID 'c99' in the server" in await drawn("c99")
        told = await asyncio.to_thread(CliRunner().invoke, status.command, ["--data", str(tmp_path / "data")])
        assert "kept in 0.0 MB of 64 MB; files: " in told.output
        anna.peer.close()
    assert "no server is running on" in await drawn("to-nobody")
