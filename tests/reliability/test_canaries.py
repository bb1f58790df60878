# SPDX-License-Identifier: Apache-2.0
"""Where do secrets come out? Nowhere: RELIABILITY sections 6.1 and 6.2, for everything that exists."""

import asyncio
import io
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import ringback, ringback_program
from reliability_office import DOMAIN, RealOffice
from server_rig import DOMAIN as RIG_DOMAIN
from server_rig import Rig, final, on_a_server

from ringback.cli.logs import FORMAT, OneLine
from ringback.media.tones import steady
from ringback.pbx.accounts import new_user
from ringback.pbx.demo import DemoUser
from ringback.pbx.phone_settings import PhoneSettings, ServerAddress
from ringback.server.subscribers import Subscriber
from ringback.server.trace import Tracing
from ringback.sip.digest import ALGORITHMS, ha1
from ringback.sip.digest_client import DigestClient
from ringback.sip.flow import Address, Flow, Transport
from ringback.ua.errors import AuthenticationFailed
from ringback.ua.ladder import Ladder
from ringback.ua.phone import Phone

PASSWORD = "canary-password-4711"
OTHER_PASSWORD = "canary-password-0815"
TEXT = "canary-text-of-a-message"
PIN = "48151623"

FLOW = Flow(Transport.UDP, Address("10.0.0.1", 5060), Address("10.0.0.2", 5060))

#: What proves who somebody is, as it stands in a message.
PROOF = re.compile(rb'(?:response|cnonce)="([^"]+)"')


def derived(password: str, user: str, realm: str) -> set[str]:
    """The password and all that is as good as it."""
    families = {algorithm.family for algorithm in ALGORITHMS.values()}
    return {password, *(ha1(user, realm, password, family) for family in families)}


class Wire:
    """Keeps the proofs that really crossed the wire."""

    def __init__(self) -> None:
        self.proofs: set[str] = set()
        self.messages = 0

    def watch(self, _sent: bool, data: bytes, _flow: Flow, _now: float) -> None:
        self.messages += 1
        if b"uthorization:" in data:
            self.proofs |= {found.decode() for found in PROOF.findall(data)}


@pytest.fixture
def everything_logged() -> Iterator[io.StringIO]:
    """All loggers of the process, ours and others', at the level that shows most."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(OneLine(FORMAT))
    root = logging.getLogger()
    levels = {
        logger: logger.level for logger in (root, logging.getLogger("ringback"), logging.getLogger("asyncio"))
    }
    root.addHandler(handler)
    for logger in levels:
        logger.setLevel(logging.DEBUG)
    yield stream
    root.removeHandler(handler)
    for logger, level in levels.items():
        logger.setLevel(level)


def phone(office: RealOffice, number: str, password: str, *watchers: object) -> Phone:
    made = Phone(f"sip:{number}@{DOMAIN}", password, server=str(office.server), host="127.0.0.1")
    for watcher in watchers:
        made.watch(watcher)  # type: ignore[arg-type]
    return made


async def busy_day(office: RealOffice, wire: Wire, ladders: list[Ladder]) -> None:
    """Registrations, a call with keys and a text, a wrong password, a new password."""
    taps = [wire.watch, *(ladder.record for ladder in ladders)]
    office.process.system.server.driver.watch(ladders[0].record)
    anna, bob = phone(office, "101", PASSWORD, *taps), phone(office, "102", OTHER_PASSWORD, *taps)

    @bob.on_call
    async def answer(call):  # type: ignore[no-untyped-def]
        await call.answer()
        await call.wait_ended()

    @bob.on_message
    async def read(message):  # type: ignore[no-untyped-def]
        pass

    async with anna, bob:
        async with anna.dial("102") as call:
            await call.play(steady(440, 100))
            await call.send_dtmf(PIN)
        await anna.message("102", TEXT)
        await anna.ping("102")
    with pytest.raises(AuthenticationFailed):
        async with phone(office, "102", PASSWORD, *taps):
            pass
    await office.add_user("101", "Anna", PASSWORD + "-new")


def found(secrets: set[str], text: str) -> set[str]:
    return {secret for secret in secrets if secret.lower() in text.lower()}


async def test_no_secret_comes_out_anywhere(tmp_path: Path, everything_logged: io.StringIO) -> None:
    """Section 6: passwords, digests, proofs, keys pressed and texts: 0 in logs, ladder, trace, files and commands."""
    data = tmp_path / "data"
    trace = tmp_path / "calls.trace"
    wire, ladders, tracing = Wire(), [Ladder("server"), Ladder("phones")], Tracing()
    async with RealOffice(data) as office:
        await tracing.switch(trace)
        tracing.watch(office.process.system.server.driver)
        realm = office.process.installation.identity.realm
        await office.add_user("101", "Anna", PASSWORD)
        await office.add_user("102", "Bob", OTHER_PASSWORD)
        await busy_day(office, wire, ladders)
        shown = [
            await asyncio.to_thread(ringback, *words, data=data)
            for words in (
                ("user", "list"), ("user", "list", "--json"), ("registrations", "--json"), ("status", "--json"),
                ("config", "show"), ("reload",),
            )
        ]  # fmt: skip
        shown.append(
            await asyncio.to_thread(
                ringback_program, "register", "--as", f"102@{DOMAIN}", "--server", str(office.server), "--password",
                OTHER_PASSWORD, "--bind", "127.0.0.1", "--ladder", "--trace",
            )
        )  # fmt: skip
    assert shown[-1].returncode == 0, shown[-1].stderr
    assert "Authorization: (hidden)" in shown[-1].stdout
    assert wire.messages > 20
    assert len(wire.proofs) >= 8
    secrets = derived(PASSWORD, "101", realm) | derived(OTHER_PASSWORD, "102", realm) | wire.proofs
    commands = "".join(done.stdout + done.stderr for done in shown)
    await tracing.close()
    drawn = "".join(ladder.text() + ladder.messages() for ladder in ladders) + trace.read_text()
    assert trace.read_text().count("\n") > 20
    log = everything_logged.getvalue()
    assert "102" in commands
    assert "REGISTER" in drawn
    assert log.count("\n") >= 5
    assert found(secrets | {PIN}, drawn) == set()
    assert found(secrets | {PIN, TEXT}, log + commands) == set()
    files = [file for file in data.rglob("*") if file.is_file()]
    assert any(file.name == "ringback.db" for file in files)
    for file in files:
        assert found(secrets | {PIN, TEXT}, file.read_bytes().decode("latin-1")) == set(), file


def test_a_bent_proof_is_in_no_answer_and_in_no_log(everything_logged: io.StringIO) -> None:
    """Section 6.1: what is wrong with a message is said without what stands in it."""

    async def test(rig: Rig) -> None:
        anna = await rig.device("101", "10.0.0.11")
        for number, line in enumerate(
            (
                f"Digest {PASSWORD}",
                f'Digest username="101", response="{PASSWORD}',
                f'Digest response="{PASSWORD}", response="{PASSWORD}"',
                f"Basic {PASSWORD}",
                f'Digest realm="{RIG_DOMAIN}", username="{PASSWORD}", nonce="x", uri="sip:x", response="y"',
                f'Digest realm="{RIG_DOMAIN}", username="101", nonce="{PASSWORD}", uri="{PASSWORD}", response="{PASSWORD}"',
                f"{PASSWORD}",
            )
        ):
            for name in ("Authorization", "Proxy-Authorization"):
                anna.send(
                    "REGISTER",
                    f"sip:{RIG_DOMAIN}",
                    to=f"<{anna.address}>",
                    headers=[(name, line)],
                    call_id=f"x{number}{name[0]}",
                )
                answer = await final(anna.peer)
                assert answer.status in (400, 401)
                assert PASSWORD.encode() not in anna.peer.heard[-1]

    on_a_server(test)
    assert PASSWORD not in everything_logged.getvalue()


def test_a_failure_of_ours_shows_no_secret(everything_logged: io.StringIO, nothing_is_our_fault: Any) -> None:
    """Section 6.1: a traceback with credentials in scope, from inside of the services."""

    class Faulty:
        def find(self, user: str) -> Subscriber | None:
            raise RuntimeError(f"no answer for {user}")

    async def test(rig: Rig) -> None:
        anna = await rig.device("101", "10.0.0.11")
        sent = anna.send("REGISTER", f"sip:{RIG_DOMAIN}", to=f"<{anna.address}>")
        challenge = await anna.peer.expect(401)
        rig.server.services.authentication._subscribers = Faulty()
        data = anna.resend_with_credentials(sent, challenge, password=PASSWORD)
        assert (await final(anna.peer)).status == 500
        (proof,) = set(PROOF.findall(data)) - {b"0a4f113b"}
        log = everything_logged.getvalue()
        assert "Traceback" in log
        nothing_is_our_fault.lines.clear()  # this one was made on purpose
        assert found({proof.decode(), PASSWORD, *derived(PASSWORD, "101", RIG_DOMAIN)}, log) == set()

    on_a_server(test)


def test_no_object_shows_its_secret(tmp_path: Path) -> None:
    """Section 6.1: whoever prints an account, a user or a phone while looking for a bug prints no password."""
    stored = new_user("101", "Anna", password=PASSWORD, realm="r")
    office = RealOffice(tmp_path / "data")
    objects = [
        stored,
        Subscriber("101", "Anna", dict(stored.ha1s)),
        DigestClient("101", PASSWORD),
        DigestClient("101", ha1s=dict(stored.ha1s)),
        PhoneSettings("101", "Anna", PASSWORD, ServerAddress("x", {})),
        DemoUser("101", "Anna", PASSWORD),
        Phone(f"sip:101@{DOMAIN}", PASSWORD),
    ]
    for each in objects:
        assert found(derived(PASSWORD, "101", "r"), f"{each!r} {each}") == set(), type(each)

    async def identity() -> str:
        async with office:
            secret = office.process.installation.identity.secret
            shown = repr(office.process.installation) + repr(office.process.installation.identity)
            assert repr(secret)[2:-1] not in shown
            return shown

    assert asyncio.run(identity())


def test_what_is_hidden_in_a_ladder_was_still_there() -> None:
    """Section 6.2: odd spellings and folds hide nothing from the one who hides, and the name stays."""
    ladder = Ladder()
    data = b'REGISTER sip:x SIP/2.0\r\nAuthorization : Digest response="%b"\r\n and="%b"\r\n\r\n'
    ladder.record(True, data % (PASSWORD.encode(), PASSWORD.encode()), FLOW, 0.0)
    assert PASSWORD not in ladder.messages()
    assert "Authorization" in ladder.messages()
