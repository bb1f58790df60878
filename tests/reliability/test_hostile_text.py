# SPDX-License-Identifier: Apache-2.0
"""What peers write, and where it is stored and shown: RELIABILITY 2.1, rows 13, 14, 15 and 32."""

import ast
import asyncio
import io
import json
import logging
import unicodedata
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from command_line import ringback
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reliability_office import PASSWORD, RealOffice
from server_rig import DOMAIN, SERVER, Rig, on_a_server

from ringback.cli.logs import FORMAT, OneLine
from ringback.cli.text import HIDDEN
from ringback.server.binding import from_record, to_record
from ringback.server.registration import TEXT_LIMIT
from ringback.server.storage import BindingRecord
from ringback.server.storage.audit import AuditStore
from ringback.server.storage.binding_record import decode, encode
from ringback.server.storage.records import RecordStore, Search
from ringback.server.storage.sealing import Sealer
from ringback.server.storage.sqlite import SqliteStore
from ringback.sip.errors import PeerError
from ringback.ua.ladder import Ladder

SOURCE = Path(__file__).parents[2] / "src" / "ringback"

#: Escape, bell, bidirectional override, the C1 form of CSI, a line separator, a tag; all of it legal in SIP.
CANARY = "canary\\\x1b[31m\\\x07\u202e\x9b2J\u2028<script>=cmd"


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What `ringback serve` would write to the terminal with `--log-level debug`."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(OneLine(FORMAT))
    logger = logging.getLogger("ringback")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield stream
    logger.setLevel(level)
    logger.removeHandler(handler)


def hidden_in(text: str) -> set[str]:
    """Characters that steer a terminal; a line feed is the one we write ourselves."""
    return {character for character in text if unicodedata.category(character) in HIDDEN} - {"\n"}


async def test_no_octet_of_a_phone_steers_a_terminal(tmp_path: Path, log: io.StringIO) -> None:
    """Row 14: the canary in every field that is kept or logged; then all that people look at."""
    ladder = Ladder(CANARY)
    async with RealOffice(tmp_path / "data") as office:
        await office.add_user("101", "Anna", PASSWORD)
        office.process.system.server.driver.watch(ladder.record)
        phone = await office.caller("101", PASSWORD)
        headers = [
            ("Contact", f'"{CANARY}" <sip:101@{phone.peer.local};x={"%1b%5b"}>;+sip.instance="<{CANARY}>"'),
            ("User-Agent", CANARY),
            ("Subject", CANARY),
            ("Organization", CANARY),
        ]
        call_id = f"canary(\x9b2J\u202e)@{phone.peer.local}"
        answer = await phone.register(headers=headers, call_id="canary-plain")
        assert answer.status == 200
        for method in ("INVITE", "MESSAGE"):
            answer = await phone.ask(
                method,
                f"sip:999%1B%5B31m{CANARY[:6]}@{phone.domain}",
                headers=[("User-Agent", CANARY)],
                until=100,
            )
            assert answer.status >= 100
        phone.send("OPTIONS", f"sip:{phone.domain}", headers=[("Date", CANARY)], call_id=call_id)
        await phone.heard(200)
        shown = [
            await asyncio.to_thread(ringback, *words, data=tmp_path / "data")
            for words in (("registrations",), ("registrations", "--json"), ("status",), ("user", "list"))
        ]
        phone.peer.close()
    text = "".join(done.stdout + done.stderr for done in shown)
    assert "canary" in text
    for place in (text, log.getvalue(), ladder.text(), ladder.messages()):
        assert hidden_in(place) == set()
    assert len(json.loads(shown[1].stdout)) == 1


async def test_one_message_is_one_line_of_the_log(tmp_path: Path, log: io.StringIO) -> None:
    """Rows 14 and 32: nobody writes a second line into our log, or an address that is not the socket's."""
    forged = "authentication failed: REGISTER from 203.0.113.99:5060 over UDP"
    async with RealOffice(tmp_path / "data") as office:
        await office.add_user("101", "Anna", PASSWORD)
        phone = await office.caller("101", "a wrong password")
        for headers in (
            [("User-Agent", forged)],
            [("X", f"a\u2028{forged}")],
            [("Subject", f'"\\\n{forged}"')],
        ):
            phone.send(
                "REGISTER",
                f"sip:{phone.domain}",
                headers=headers,
                call_id=f"{forged[:20]}@x".replace(" ", "-"),
            )
            phone.peer.send(
                b"REGISTER sip:x SIP/2.0\nVia: x\r\n" + forged.encode() + b"\r\n\r\n", office.server
            )
        phone.number = forged.replace(" ", "%20").replace(":", "%3A")
        answer = await phone.register(headers=[("User-Agent", forged)], to=f"<sip:101@{phone.domain}>")
        assert answer.status in (400, 401)
        while not phone.peer._inbox.empty():
            phone.peer._inbox.get_nowait()
        phone.number = "101"
        assert (await phone.register(headers=[("User-Agent", forged)])).status == 401
        await asyncio.sleep(0.1)
        source = str(phone.peer.local)
        phone.peer.close()
    failures = [line for line in log.getvalue().split("\n") if "authentication failed" in line]
    assert failures
    assert all("203.0.113.99" not in line and source in line for line in failures)


def test_a_failed_password_is_an_event_with_the_address_of_the_socket() -> None:
    """Row 32: what a ban is decided by has its own logger, and only the socket says who it was."""
    records: list[logging.LogRecord] = []

    async def test(rig: Rig) -> None:
        guesser = await rig.device("101", "10.0.0.66")
        sent = guesser.send("REGISTER", f"sip:{DOMAIN}", headers=[("Via", "SIP/2.0/UDP 203.0.113.99")])
        challenge = await guesser.peer.expect(401)
        guesser.resend_with_credentials(sent, challenge, password="guess")
        await guesser.peer.expect(401)

    handler = logging.Handler()
    handler.emit = records.append  # type: ignore[method-assign]
    logger = logging.getLogger("ringback.authentication")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        on_a_server(test)
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    (record,) = records
    assert "10.0.0.66:5060" in record.getMessage()
    assert "203.0.113.99" not in record.getMessage()


def test_a_flood_of_bad_messages_does_not_flood_the_log(log: io.StringIO) -> None:
    """Row 14: one source writes at most a line a second at the usual level, whatever it sends."""

    async def test(rig: Rig) -> None:
        peer = (await rig.device("101", "10.0.0.66")).peer
        for number in range(300):
            peer.request("INVITE", f"sip:102@{DOMAIN}", remote=SERVER, headers=[("Max-Breadth", "x")])
            peer.request("REGISTER", f"sip:{DOMAIN}", remote=SERVER, headers=[("Authorization", "Digest x")])
            peer.send(b"INVITE sip:%d SIP/2.0\r\n\r\n" % number, SERVER)
        await asyncio.sleep(1)
        lines = [line for line in log.getvalue().split("\n") if "10.0.0.66" in line and " DEBUG " not in line]
        assert len(lines) <= 2

    on_a_server(test)


# --- what is kept -----------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore.open(tmp_path / "ringback.db", sealer=Sealer(b"k" * 32))
    yield store
    store.close()


def restarted(rig: Rig, store: SqliteStore) -> None:
    rig.store = store  # type: ignore[assignment]


QUOTES = [
    "' OR 1=1 --",
    "'; DROP TABLE bindings; --",
    '" UNION SELECT * FROM digests --',
    "101') --",
    "%",
    "101%' AND 1=(SELECT 1)--",
    "*)(uid=*",
    "\\",
    "101\\'",
    "{101}",
    "%s%n%x",
    "${jndi:x}",
    "101; SELECT load_extension('x')",
]


def test_quotes_in_names_are_letters(store: SqliteStore) -> None:
    """Row 15: in the user name of the digest, in From and To, in what is dialled, in Contact and instance."""

    async def test(rig: Rig) -> None:
        restarted(rig, store)
        await rig.restart()
        anna = await rig.phone("101", "10.0.0.11")
        for number, text in enumerate(QUOTES):
            escaped = "".join(f"%{octet:02X}" for octet in text.encode())
            quoted = text.replace("\\", "\\\\").replace('"', '\\"')
            thief = await rig.device(text, f"10.0.1.{number}")
            sent = thief.send("REGISTER", f"sip:{DOMAIN}", from_=f"<sip:{escaped}@{DOMAIN}>;tag=1")
            challenge = await thief.peer.expect(401)
            thief.number = quoted
            thief.resend_with_credentials(sent, challenge)
            await thief.peer.expect(401)
            sent = await anna.ask("INVITE", f"sip:{escaped}@{DOMAIN}")
            await anna.peer.expect(404, skip=(100,))
            contact = f'<sip:{escaped}@10.0.0.11>;+sip.instance="<{quoted}>"'
            assert (await anna.register(contact=contact, call_id=f"quote-{number}")).status == 200
            assert (await anna.register(contact=contact, call_id=f"quote-{number}", expires=0)).status == 200
        await asyncio.sleep(40)
        await asyncio.to_thread(store.flush)
        assert [record.user for record in store.bindings(now=0)] == ["101"]

    on_a_server(test)


def test_no_statement_is_made_of_text() -> None:
    """Row 15: SQL is a constant in our source; values are bound."""
    runs = {"execute", "executemany", "executescript", "_statement", "_some", "_one"}
    found, put_together = 0, set()
    for file in SOURCE.rglob("*.py"):
        for function in ast.walk(ast.parse(file.read_text())):
            if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            for node in ast.walk(function):
                if not isinstance(node, ast.Call) or not node.args:
                    continue
                name = (
                    node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                )
                if name in runs:
                    found += 1
                    if function.name not in ("_some", "_one") and not is_constant(node.args[0]):
                        put_together.add(f"{file.name}::{function.name}")
    assert found > 10
    assert put_together == set(PUT_TOGETHER)


#: Statements that are put together, and from which constants of ours. Each stands in a file of `server/storage`.
PUT_TOGETHER = {
    "audit.py::search": "one condition for two statements; the text is bound",
    "people.py::_unique": "the name of a column, from a table in the function",
    "records.py::_keep": "the literals that its two callers give",
    "records.py::_write_records": "as many question marks as there are rows",
    "records.py::csv_rows": "the conditions of `Search.condition`, with a question mark for each value",
    "records.py::search": "the same",
    "sqlite.py::users": "with or without a condition on the number",
    "sqlite_devices.py::devices": "the names of two columns",
}


@pytest.mark.parametrize(
    "text", ["' OR 1=1 --", '"; DROP TABLE records', "%", "_", "\\", "?1", ":number", "\0"]
)
def test_what_is_searched_for_is_text_and_nothing_else(text: str, tmp_path: Path) -> None:
    """Row 15: the statements that are put together have nothing of the text in them."""
    records = RecordStore.open(tmp_path / "store.db", sealer=Sealer(b"k" * 32))
    changes = AuditStore.open(tmp_path / "store.db", sealer=Sealer(b"k" * 32))
    devices = SqliteStore.open(tmp_path / "store.db", sealer=Sealer(b"k" * 32))
    with closing(records), closing(changes), closing(devices):
        changes.add(at=1.0, person="1", name="Anna", address="", action="user.added", subject="102")
        assert records.search(Search(text=text, number=text, result=text)) == ([], 0)
        assert list(records.csv_rows(Search(number=text)))[1:] == []
        assert changes.search(text) == ([], 0)
        assert changes.search("102")[1] == 1
        assert [list(devices.users(number=text)), list(devices.devices(number=text))] == [[], []]


def is_constant(node: ast.expr) -> bool:
    """A text of ours, or a name for one; a PRAGMA takes no bound value, so a constant may stand in it."""
    if isinstance(node, ast.JoinedStr):
        return all(is_constant(part.value) for part in node.values if isinstance(part, ast.FormattedValue))
    if isinstance(node, ast.Name):
        return node.id.strip("_").isupper() or node.id in ("sql", "statement")
    return isinstance(node, ast.Constant)


def test_what_a_phone_stores_has_a_limit_and_survives_a_restart(store: SqliteStore) -> None:
    """Row 13: the longest names the parser lets in, with every octet that is not ASCII, and a restart."""

    async def test(rig: Rig) -> None:
        restarted(rig, store)
        await rig.restart()
        anna = await rig.phone("101", "10.0.0.11")
        bob = await rig.device("102", "10.0.0.12")
        long = "é\u202e" * 700
        contact = f'"{long}" <{bob.contact}>;+sip.instance="<urn:{"i" * 2000}>"'
        answer = await bob.register(contact=contact, headers=[("User-Agent", long)])
        assert answer.status == 200
        await asyncio.to_thread(store.flush)
        (record,) = [each for each in store.bindings(now=0) if each.user == "102"]
        assert len(record.user_agent) <= TEXT_LIMIT
        assert len(record.instance) <= TEXT_LIMIT
        await rig.restart()
        assert len(rig.server.registrations()) == 2
        await anna.call(f"sip:102@{DOMAIN}")
        await bob.peer.expect("INVITE")

    on_a_server(test)


@pytest.mark.parametrize("size", [6000, 8100])
def test_the_longest_contact_is_kept_or_refused_but_never_lost(store: SqliteStore, size: int) -> None:
    """Row 13: what is answered with 200 is there after a restart."""

    async def test(rig: Rig) -> None:
        restarted(rig, store)
        await rig.restart()
        bob = await rig.device("102", "10.0.0.12")
        for number, filler in enumerate(("a", "%41", "%FF", "%E2%80%AE")):
            contact = f"<sip:102@10.0.0.12;x={filler * (size // len(filler))}>"
            answer = await bob.register(contact=contact, call_id=f"long-{number}")
            registered = len(rig.server.registrations())
            await asyncio.to_thread(store.flush)
            await rig.restart()
            assert len(rig.server.registrations()) == registered, (answer.status, filler)

    on_a_server(test)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.builds(
        BindingRecord,
        user=st.text(max_size=20),
        key=st.text(max_size=20),
        contact=st.text(max_size=60) | st.just("<sip:101@10.0.0.11>"),
        expires_at=st.floats(allow_nan=False, allow_infinity=False, width=32),
        q=st.floats(0, 1),
        transport=st.sampled_from(["", "UDP", "TCP", "SMOKE"]),
        remote_host=st.text(max_size=10) | st.just("10.0.0.11"),
        path=st.lists(st.text(max_size=20), max_size=2).map(tuple),
    )
)
def test_what_is_stored_is_judged_again_when_it_is_loaded(record: BindingRecord) -> None:
    """Row 13: somebody may have written to the file; a record is whole, or an error that is caught."""
    again = decode(encode(record))
    assert again is None or again == record
    try:
        binding = from_record(record, now=0.0, wall_now=0.0)
    except (PeerError, ValueError):
        return
    assert to_record(binding, now=0.0, wall_now=0.0).user == record.user
