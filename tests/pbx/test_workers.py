# SPDX-License-Identifier: Apache-2.0
"""One server, two worker processes: phones on different workers, and a worker that dies in the middle of calls."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from worker_phones import SDP, WirePhone, value, worker_of_tag

from ringback.net.sockets import RealNetwork
from ringback.pbx.accounts import mint_device, new_user
from ringback.pbx.conference import homes_of
from ringback.pbx.process import ServerProcess
from ringback.pbx.workers import Workers
from ringback.server.cluster import ports
from ringback.server.config_file import Loaded, load_settings

pytestmark = pytest.mark.asyncio(loop_scope="module")

PORTS = {"sip_port": 0, "tls_port": 0, "http_port": 0, "https_port": 0}


class Office:
    """The server and its phones."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.phones: list[WirePhone] = []
        self.process: ServerProcess
        self.workers: Workers
        self.made = 100
        self.anna = self.bob = ""

        self.flags: dict[str, object] = {
            "data": str(folder / "data"), "host": ("127.0.0.1",), "workers": 2, **PORTS
        }  # fmt: skip

    def load(self) -> Loaded:
        return load_settings(self.flags, {"RINGBACK_CONFERENCE__ROOMS": "300,301"})

    async def open(self) -> None:
        self.process = await ServerProcess.start(self.load, RealNetwork())
        assert isinstance(self.process.system, Workers)
        self.workers = self.process.system
        await self.new_users()

    async def new_users(self) -> None:
        """Anna and Bob."""
        self.made += 2
        self.anna, self.bob = str(self.made), str(self.made + 1)
        for number in (self.anna, self.bob):
            self.give_password(number, "secret")
        await self.workers.users_changed()

    def give_password(self, number: str, password: str) -> None:
        user = new_user(number, f"User {number}", password=password, realm="127.0.0.1")
        self.process.installation.store.put_user(user)

    def hang_up(self) -> None:
        for phone in self.phones:
            phone.close()
        self.phones.clear()

    async def close(self) -> None:
        self.hang_up()
        await self.process.close()

    @property
    def port(self) -> int:
        return int(self.process.addresses()["udp"].rpartition(":")[2])

    async def phone(self, worker: int, number: str, word: str = "UDP") -> WirePhone:
        phone = await WirePhone.at_worker(worker, self.port, number, word=word)
        self.phones.append(phone)
        return phone

    async def register(self, *phones: WirePhone) -> None:
        """Until all workers know it, which takes them some milliseconds."""
        for phone in phones:
            assert (await phone.register()).startswith("SIP/2.0 200")
        expected = {phone.contact for phone in phones}
        async with asyncio.timeout(5):
            while not expected <= {contact for _, contact in self.contacts} or any(
                worker["server"]["registrations"] < self.workers.registered
                for worker in (await self.status())["workers"]
            ):
                await asyncio.sleep(0.01)

    @property
    def processes(self) -> list[int]:
        return [place.process or 0 for place in self.workers.places]

    @property
    def contacts(self) -> list[tuple[str, str]]:
        return [(each["user"], each["contact"]) for each in self.workers.registrations()]

    async def status(self) -> dict[str, Any]:
        return await self.workers.status()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Office]:
    """Started once: each test has users of its own."""
    office = Office(tmp_path_factory.mktemp("office"))
    await office.open()
    yield office
    await office.close()


@pytest_asyncio.fixture(loop_scope="module")
async def office(running: Office) -> AsyncIterator[Office]:
    await running.new_users()
    yield running
    running.hang_up()


async def eventually(condition: Callable[[], object], seconds: float = 10.0) -> float:
    """How long it took until it came true."""
    begun = time.monotonic()
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)
    return time.monotonic() - begun


async def eventually_true(office: Office, condition: Callable[[dict[str, Any]], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition(await office.status()):
            await asyncio.sleep(0.02)


async def established(caller: WirePhone, callee: WirePhone) -> tuple[str, str]:
    """A call that is answered: the INVITE as the callee got it, and the 200 as the caller did."""
    await caller.invite(callee.number)
    invite = await callee.expect("INVITE")
    callee.send(callee.response("180 Ringing", invite, tag="callee"))
    await caller.expect("SIP/2.0 180")
    callee.send(callee.response("200 OK", invite, tag="callee", body=SDP))
    answer = await caller.expect("SIP/2.0 200")
    caller.send(caller.in_dialog("ACK", answer, cseq=int(value(answer, "CSeq").split(" ")[0])))
    await callee.expect("ACK")
    return invite, answer


async def hung_up(caller: WirePhone, callee: WirePhone, answer: str) -> None:
    caller.send(caller.in_dialog("BYE", answer))
    callee.send(callee.response("200 OK", await callee.expect("BYE")))
    await caller.expect("SIP/2.0 200")


@pytest.mark.parametrize("word", ["UDP", "TCP"])
async def test_phones_on_different_workers_call_each_other(office: Office, word: str) -> None:
    anna, bob = await office.phone(0, office.anna, word), await office.phone(1, office.bob, word)
    await office.register(anna, bob)
    for caller, callee in ((anna, bob), (bob, anna)):
        _, answer = await established(caller, callee)
        await hung_up(caller, callee, answer)
    server = (await office.status())["server"]
    assert server["registrations"] == len(office.contacts)
    assert server["lost_between_workers"] == 0
    if word == "TCP":
        assert server["given_to_other_workers"] > 0
        assert server["connections_of_other_workers"] == 2


async def test_a_worker_that_is_killed_is_replaced_and_its_calls_go_on(office: Office) -> None:
    """What its phones send meanwhile waits for the replacement; the other worker notices nothing."""
    anna, bob = await office.phone(0, office.anna), await office.phone(1, office.bob)
    await office.register(anna, bob)
    registered, before = office.contacts, office.processes
    invite, _ = await established(anna, bob)
    os.kill(before[1], signal.SIGKILL)
    await eventually(lambda: not office.workers.places[1].is_serving)
    bob.send(bob.in_dialog_of_callee("BYE", invite, tag="callee"))
    anna.send(anna.response("200 OK", await anna.expect("BYE")))
    await bob.expect("SIP/2.0 200")
    assert await bob.ask_worker() == 1
    assert office.processes[0] == before[0]
    assert office.processes[1] not in (before[1], 0)
    assert office.contacts == registered
    _, answer = await established(bob, anna)
    await hung_up(bob, anna, answer)


async def test_a_killed_worker_is_replaced_within_a_second_and_takes_its_connections_along(
    office: Office,
) -> None:
    anna, bob = await office.phone(0, office.anna, "TCP"), await office.phone(1, office.bob, "TCP")
    await office.register(anna, bob)
    before = office.processes
    begun = time.process_time()
    os.kill(before[1], signal.SIGKILL)
    await bob.is_lost.wait()
    await eventually(lambda: office.workers.places[1].is_serving and office.processes[1] != before[1])
    assert not anna.is_lost.is_set()
    assert await anna.ask_worker() == 0
    await anna.invite(office.bob)
    assert await anna.expect_failure()  # his connection is gone, and nobody listens where it came from
    bob = await office.phone(1, office.bob, "TCP")
    await office.register(bob)
    _, answer = await established(anna, bob)
    await hung_up(anna, bob, answer)
    assert time.process_time() - begun < 5


async def test_a_request_in_a_call_with_the_server_itself_finds_its_worker(office: Office) -> None:
    """*43 is answered by the worker that got the INVITE; the BYE comes by another one."""
    anna, elsewhere = await office.phone(0, office.anna), await office.phone(1, office.anna)
    await anna.invite("*43")
    answer = await anna.expect("SIP/2.0 200")
    assert worker_of_tag(answer) == 0
    anna.send(anna.in_dialog("ACK", answer, cseq=int(value(answer, "CSeq").split(" ")[0])))
    elsewhere.send(elsewhere.in_dialog("BYE", answer, cseq=9))
    assert worker_of_tag(await elsewhere.expect("SIP/2.0 200")) == 0
    await eventually_true(office, lambda status: status["server"]["applications"] == 0)


@pytest.mark.parametrize("number", ["300", "301"])
@pytest.mark.parametrize("word", ["UDP", "TCP"])
async def test_those_who_dial_a_room_meet_in_one_worker(office: Office, number: str, word: str) -> None:
    """Wherever their calls come in: the room is in one process."""
    phones = [await office.phone(0, office.anna, word), await office.phone(1, office.bob, word)]
    workers = []
    for phone in phones:
        await phone.invite(number)
        answer = await phone.expect("SIP/2.0 200")
        workers.append(worker_of_tag(answer))
        phone.send(phone.in_dialog("ACK", answer, cseq=int(value(answer, "CSeq").split(" ")[0])))
        phone.send(phone.in_dialog("BYE", answer, cseq=9))
        assert "BYE" in value(await phone.expect("SIP/2.0 200"), "CSeq")
    assert workers == [homes_of([number], 2)[number]] * 2


async def test_credentials_that_were_heard_cannot_be_replayed_to_another_worker(office: Office) -> None:
    """Which counts of a nonce were used is known where it was made: anywhere else it is stale."""
    anna, thief = await office.phone(0, office.anna), await office.phone(1, office.anna)
    challenge = await anna.challenge("REGISTER")
    register = anna.request(
        "REGISTER",
        "sip:127.0.0.1",
        to=anna.address,
        more=[anna.credentials(challenge, "REGISTER", "sip:127.0.0.1"), "Expires: 300"],
    )
    anna.send(register)
    assert (await anna.expect("SIP/2.0")).startswith("SIP/2.0 200")
    thief.send(register.replace(anna.here, thief.here).replace("branch=z9hG4bK", "branch=z9hG4bKx"))
    refused = await thief.expect("SIP/2.0")
    assert refused.startswith("SIP/2.0 401")
    assert "stale=true" in refused
    assert worker_of_tag(refused) == 1


async def test_a_cancel_by_a_new_connection_finds_its_invite(office: Office) -> None:
    anna, bob = await office.phone(0, office.anna, "TCP"), await office.phone(1, office.bob)
    await office.register(anna, bob)
    invite = await anna.invite(office.bob)
    bob.send(bob.response("180 Ringing", await bob.expect("INVITE"), tag="callee"))
    await anna.expect("SIP/2.0 180")
    again = await office.phone(1, office.anna, "TCP")
    again.send(cancel_of(invite))
    await again.expect("SIP/2.0 200")
    cancel = await bob.expect("CANCEL")
    bob.send(bob.response("200 OK", cancel, tag="callee"))
    again.send(cancel_of(invite).replace("branch=z9hG4bK", "branch=z9hG4bKx"))
    await again.expect("SIP/2.0 481")


def cancel_of(invite: str) -> str:
    kept = [
        line
        for line in invite.partition("\r\n\r\n")[0].split("\r\n")[1:]
        if line.partition(":")[0] in ("Via", "Max-Forwards", "From", "To", "Call-ID")
    ]
    number = value(invite, "CSeq").split(" ")[0]
    lines = [f"CANCEL {invite.split(' ')[1]} SIP/2.0", *kept, f"CSeq: {number} CANCEL", "Content-Length: 0"]
    return "\r\n".join(lines) + "\r\n\r\n"


async def test_a_user_who_gets_a_new_password_is_forgotten_by_all_workers(office: Office) -> None:
    anna, bob = await office.phone(0, office.anna), await office.phone(1, office.bob)
    await office.register(anna, bob)
    office.give_password(office.bob, "another one")
    await office.workers.users_changed()
    users = {contact[0] for contact in office.contacts}
    assert office.anna in users
    assert office.bob not in users
    await anna.invite(office.bob)
    assert (await anna.expect("SIP/2.0 4")).startswith("SIP/2.0 480")
    bob.password = "another one"
    assert (await bob.register()).startswith("SIP/2.0 200")


async def test_a_device_that_is_revoked_is_forgotten_by_all_workers_and_its_user_stays(
    office: Office,
) -> None:
    store = office.process.installation.store
    device, password = mint_device(store, office.bob, name="Desk", kind="phone", realm="127.0.0.1")
    await office.workers.devices_changed()
    anna, bob, desk = [
        await office.phone(*each) for each in ((0, office.anna), (0, office.bob), (1, office.bob))
    ]
    desk.password = password
    await office.register(anna, bob, desk)
    rows = [each for each in office.workers.registrations() if each["user"] == office.bob]
    assert {each["contact"]: each["device"] for each in rows} == {bob.contact: "", desk.contact: device.id}
    store.remove_device(device.id)
    await office.workers.devices_changed()
    assert (office.bob, bob.contact) in office.contacts
    assert (office.bob, desk.contact) not in office.contacts
    assert (await desk.register()).startswith("SIP/2.0 401")
    assert (await bob.register()).startswith("SIP/2.0 200")


async def test_settings_are_read_again_by_all_workers(office: Office) -> None:
    phones = [await office.phone(0, office.anna), await office.phone(1, office.bob)]
    office.flags["config"] = str(office.folder / "new.toml")
    (office.folder / "new.toml").write_text("[registrar]\nmaximum_expires = 100\ndefault_expires = 100\n")
    await office.process.reload()
    for phone in phones:
        assert "expires=100" in await phone.register(expires=3000)


async def test_responses_find_their_worker_where_the_system_cannot_steer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ports, "attach", lambda _: False)
    office = Office(tmp_path)
    await office.open()
    try:
        anna, bob = await office.phone(0, office.anna), await office.phone(1, office.bob)
        await office.register(anna, bob)
        _, answer = await established(anna, bob)
        await hung_up(anna, bob, answer)
        assert (await office.status())["server"]["given_to_other_workers"] >= 3  # 180, 200, the 200 to BYE
        processes = office.processes
    finally:
        await office.close()
    assert not any(map(is_running, processes))


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True
