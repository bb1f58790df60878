# SPDX-License-Identifier: Apache-2.0
"""The verbs for calls, asked of a server of two workers: one list, one book, and each order obeyed once."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from worker_phones import SDP, WirePhone

from ringback.net.sockets import RealNetwork
from ringback.pbx.accounts import new_user
from ringback.pbx.process import ServerProcess
from ringback.server.config_file import Loaded, load_settings
from ringback.server.first_start import open_records
from ringback.sip.errors import RingbackError

pytestmark = pytest.mark.asyncio(loop_scope="module")

PORTS = {"sip_port": 0, "tls_port": 0, "http_port": 0, "https_port": 0}


class Office:
    """A server with two workers, and two phones on different ones."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.process: ServerProcess
        self.anna: WirePhone
        self.bob: WirePhone

    def load(self) -> Loaded:
        flags = {"data": str(self.data), "host": ("127.0.0.1",), "workers": 2, **PORTS}
        return load_settings(flags, {"RINGBACK_WEB__CONSOLE": "false"})

    async def open(self) -> None:
        self.process = await ServerProcess.start(self.load, RealNetwork())
        for number, name in (("101", "Anna"), ("102", "Bob")):
            self.process.installation.store.put_user(
                new_user(number, name, password="secret", realm="127.0.0.1")
            )
        await self.process.system.users_changed()
        port = int(self.process.addresses()["udp"].rpartition(":")[2])
        self.anna = await WirePhone.at_worker(0, port, "101")
        self.bob = await WirePhone.at_worker(1, port, "102")
        for phone in (self.anna, self.bob):
            assert (await phone.register()).startswith("SIP/2.0 200")
        await self.until(lambda: self.process.system.registered == 2)

    async def ask(self, verb: str, **arguments: object) -> dict[str, Any]:
        return await self.process.system.ask(verb, arguments)

    async def calls(self) -> list[dict[str, Any]]:
        return list((await self.ask("calls"))["calls"])

    async def until(self, is_true: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not is_true():
                await asyncio.sleep(0.02)

    async def until_nobody_calls(self) -> None:
        async with asyncio.timeout(10):
            while await self.calls():
                await asyncio.sleep(0.05)

    async def established(self, caller: WirePhone, callee: WirePhone) -> str:
        await caller.invite(callee.number)
        invite = await callee.expect("INVITE")
        callee.send(callee.response("200 OK", invite, tag="callee", body=SDP))
        answer = await caller.expect("SIP/2.0 200")
        caller.send(caller.in_dialog("ACK", answer, cseq=int(answer.partition("\r\nCSeq: ")[2].split()[0])))
        await callee.expect("ACK")
        return answer

    async def close(self) -> None:
        self.anna.close()
        self.bob.close()
        await self.process.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def office(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Office]:
    office = Office(tmp_path_factory.mktemp("office"))
    await office.open()
    yield office
    await office.close()


async def test_calls_of_all_workers_are_in_one_list_and_in_one_book(office: Office) -> None:
    await office.established(office.anna, office.bob)
    await office.established(office.bob, office.anna)
    found = await office.calls()
    assert {(each["caller"]["number"], each["callee"]["number"]) for each in found} == {
        ("101", "102"),
        ("102", "101"),
    }
    assert found[0]["began_at"] >= found[1]["began_at"]
    one = await office.ask("call", id=found[0]["id"])
    assert one["found"]
    assert one["call"]["call_ids"] == found[0]["call_ids"]
    assert (await office.ask("call", id=one["call"]["call_ids"][1]))["call"]["id"] == found[0]["id"]
    for each in found:
        assert await office.ask("call-hangup", id=each["id"]) == {"found": True}
    for phone in (office.anna, office.bob, office.anna, office.bob):
        phone.send(phone.response("200 OK", await phone.expect("BYE")))
    await office.until_nobody_calls()
    assert await office.ask("call-hangup", id=found[0]["id"]) == {"found": False}

    def written() -> list[dict[str, Any]]:
        with closing(open_records(office.data)) as records:
            return records.search()[0]

    await office.until(lambda: len(written()) == 2)
    assert {record["id"] for record in written()} == {each["id"] for each in found}
    assert {record["ended_by"] for record in written()} == {"server"}


async def test_a_call_is_placed_once_and_not_by_every_worker(office: Office) -> None:
    placed = await office.ask("call-place", **{"from": "101", "to": "102"})
    invite = await office.anna.expect("INVITE")
    assert [each["id"] for each in await office.calls()] == [placed["id"]]
    office.anna.send(office.anna.response("486 Busy Here", invite, tag="busy"))
    await office.anna.expect("ACK")
    await office.until_nobody_calls()


async def test_a_question_that_makes_no_sense_is_answered_in_words(office: Office) -> None:
    for verb, arguments, words in (
        ("call", {}, "id is missing"),
        ("call", {"id": 5}, "id is missing"),
        ("call-place", {"from": "101"}, "to is missing"),
        ("call-place", {"from": "999", "to": "101"}, "999 has no phone"),
        ("call-place", {"from": "101", "to": "sip:"}, "no number and no address"),
    ):
        with pytest.raises(RingbackError, match=words):
            await office.ask(verb, **arguments)  # type: ignore[arg-type]
    assert await office.ask("call", id="nonsense") == {"found": False}
    assert (await office.ask("calls", limit="many"))["calls"] == []
    await office.established(office.anna, office.bob)
    (call,) = await office.calls()
    for path in ("../secret", "/etc/passwd", "a\x00b", "nothing"):
        with pytest.raises(RingbackError, match="there is no prompt"):
            await office.ask("call-play", id=call["id"], path=path)
    with pytest.raises(RingbackError, match="999 cannot be called"):
        await office.ask("call-transfer", id=call["id"], to="999")
    with pytest.raises(RingbackError, match="is not being recorded"):
        await office.ask("call-record", id=call["id"], on=False)
    await office.ask("call-hangup", id=call["id"])
    await office.until_nobody_calls()


async def test_calls_that_are_on_when_the_workers_stop_are_in_the_book(tmp_path: Path) -> None:
    office = Office(tmp_path)
    await office.open()
    await office.established(office.anna, office.bob)
    await office.close()
    with closing(open_records(office.data)) as records:
        (record,) = records.search()[0]
    assert record["how_ended"].startswith("this server was stopped")
