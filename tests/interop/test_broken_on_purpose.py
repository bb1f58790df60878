# SPDX-License-Identifier: Apache-2.0
"""Six calls broken on purpose: is what was wrong with each said, on the API and on its page, and with what helps?"""

import datetime
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from interop_baresip import Baresip
from interop_mute_caller import MuteCaller
from interop_office import Office
from interop_process import Program, wait_until
from interop_rig import PASSWORD, Rig
from interop_ringback import RINGBACK
from interop_softphone import Softphone, Softphones

from ringback.server.certificates import local_certificate

#: As the server has them: 0.5, 1, 2 seconds between the answers that nobody acknowledges.
REPEATED = 4
#: Seconds without sound that are worth a verdict.
SILENCE = 10.5


class MutedCall:
    """A call in which nothing is heard from one side. It lasts while other tests run."""

    def __init__(self, office: Office) -> None:
        self.caller = MuteCaller(office.server.sip, f"sip:102@{office.server.domain}")
        self.caller.invite()
        self.caller.answered()
        self.caller.acknowledge()
        self._began = time.monotonic()

    def end(self) -> None:
        """Not before it is worth a verdict."""
        time.sleep(max(0.0, self._began + SILENCE - time.monotonic()))
        self.caller.hang_up()


@pytest.fixture(scope="module")
def phones(office: Office, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Baresip]]:
    """Bob's and Dora's."""
    rig = Rig(tmp_path_factory.mktemp("phones"))
    try:
        yield {user: rig.baresip(office.server, user) for user in ("102", "104")}
    finally:
        rig.stop()


@pytest.fixture(scope="module", autouse=True)
def muted(office: Office, phones: dict[str, Baresip]) -> Iterator[MutedCall]:
    """It is on before the first test begins, so that only the last one waits for the rest of its time."""
    call = MutedCall(office)
    with call.caller:
        yield call


@pytest.fixture(scope="module")
def console(office: Office, pages: Softphones) -> Iterator[Softphone]:
    page = pages.console(office, "/")
    yield page
    page.close()


def ended(office: Office, words: str) -> dict[str, Any]:
    """The record of the one call in which these words occur, when it has been judged."""

    def is_judged() -> dict[str, Any] | None:
        found = office.ask("GET", f"/records?search={words}")["items"]
        assert len(found) < 2, found
        return next((record for record in found if record["verdicts"]), None)

    record = wait_until(is_judged, 10, f"a verdict on {words}")
    assert isinstance(record, dict)
    return record


def judged(office: Office, console: Softphone, key: str, code: str) -> dict[str, Any]:
    """The verdict that the API has, which the page shows with its words and what to do."""
    verdicts = office.ask("GET", f"/explain/{key}")["verdicts"]
    found = next((each for each in verdicts if each["code"] == code), None)
    assert isinstance(found, dict), verdicts
    console.go(f"/calls/{key}")
    shown = f"[data-testid=verdict][data-code={code}]"
    console.find(shown)
    (text,) = console.all(shown)
    for words in (found["title"], found["text"], found["advice"]):
        assert words.replace("`", "") in text.replace("`", "")  # commands are set in another type
    return found


def test_an_answer_whose_contact_the_caller_cannot_reach(
    office: Office, phones: dict[str, Baresip], console: Softphone
) -> None:
    """It would have to acknowledge there: nothing comes, and the answer is repeated."""
    with MuteCaller(office.server.sip, f"sip:104@{office.server.domain}") as caller:
        caller.invite()
        caller.answered()
        for _ in range(REPEATED - 1):
            caller.receive("SIP/2.0 200")
        caller.hang_up()
    phones["104"].wait_event("CALL_CLOSED")
    record = ended(office, caller.call_id)
    assert record["verdicts"][0]["code"] == "RB-5001"
    verdict = judged(office, console, record["id"], "RB-5001")
    assert office.server.sip in verdict["text"]  # the Contact that was not reached
    # the page leads to the messages that show it
    assert console.all("[data-testid=verdict] [data-testid=evidence]")[0].strip().startswith("INVITE")


def test_a_wrong_password(office: Office, rig: Rig, console: Softphone) -> None:
    """It never becomes a call, so it is known by its Call-ID only. This phone does not register, else it would have
    been locked out before it dials.
    """
    server = office.server
    phone = rig.keep(
        Baresip(
            rig.folder / "wrong",
            user="105",
            password="guessed",
            domain=server.domain,
            server=server.sip,
            expires=0,
        )
    )
    phone.command("dial", f"sip:104@{office.server.domain}")
    phone.wait_event("CALL_CLOSED")
    calls = office.ask("GET", "/traces/calls?from=105")["items"]
    (refused,) = [each for each in calls if each["method"] == "INVITE"]
    verdict = judged(office, console, refused["call_id"], "RB-3001")
    assert "105" in verdict["text"]


def test_codecs_that_do_not_meet(office: Office, rig: Rig, console: Softphone) -> None:
    """GSM is what this server cannot translate."""
    phone = rig.baresip(office.server, "103", codec="gsm")
    phone.command("dial", f"sip:104@{office.server.domain}")
    phone.wait_event("CALL_CLOSED")
    record = ended(office, "103")
    assert (record["status"], record["result"]) == (488, "failed")
    verdict = judged(office, console, record["id"], "RB-1005")
    assert "GSM" in verdict["text"]
    assert "refused with 488" in verdict["text"]


def test_another_server_whose_certificate_has_expired(office: Office, rig: Rig, console: Softphone) -> None:
    with ExpiredServer(office.server.folder) as other:
        caller = [
            *RINGBACK,
            "call",
            f"sip:desk@{other.address};transport=tls",
            "--as",
            f"103@{office.server.domain}",
        ]
        phone = Program(
            [*caller, "--password", PASSWORD, "--server", office.server.sip],
            office.server.folder / "call.log",
        )
        rig.keep(phone)
        assert phone.wait(20) != 0
        record = ended(office, "desk")
    verdict = judged(office, console, record["id"], "RB-4010")
    assert other.address in verdict["text"]


def test_a_destination_that_is_forbidden(
    office: Office, phones: dict[str, Baresip], console: Softphone
) -> None:
    allow_calls_out(office, False)
    try:
        phones["104"].command("dial", "sip:premium@example.com")
        phones["104"].wait_event("CALL_CLOSED")
    finally:
        allow_calls_out(office, True)
    record = ended(office, "premium")
    assert (record["status"], record["result"]) == (403, "refused")
    verdict = judged(office, console, record["id"], "RB-2002")
    assert "proxy.users_may_call_out" in verdict["advice"]


def test_sound_that_does_not_get_through(office: Office, muted: MutedCall, console: Softphone) -> None:
    muted.end()
    record = ended(office, muted.caller.call_id)
    verdict = judged(office, console, record["id"], "RB-1002")
    assert "102 is heard" in verdict["text"] or "Bob Costa is heard" in verdict["text"]


def allow_calls_out(office: Office, value: bool) -> None:
    """As the console's page of settings does: it holds at once."""
    version = office.ask("GET", "/settings")["version"]
    changes = {"proxy.users_may_call_out": value}
    changed = office.ask("PATCH", "/settings", {"changes": changes, "version": version})
    assert changed["needs_restart"] == []


class ExpiredServer:
    """Takes TLS connections, and shows a certificate whose time was over long ago."""

    def __init__(self, folder: Path) -> None:
        now = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=3 * 365)
        files = local_certificate(folder, ("127.0.0.1",), now=now)
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(files.certificate, files.key)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> "ExpiredServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return  # closed
            try:
                self._tls.wrap_socket(connection, server_side=True).close()
            except OSError:
                connection.close()
