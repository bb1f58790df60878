# SPDX-License-Identifier: Apache-2.0
"""A call of a browser phone with baresip, seen afterwards: its ladder, its sound, its downloads; and a caller whose name
is meant to do harm, wherever it is shown.
"""

import csv
import io
import re
import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from interop_mute_caller import MuteCaller
from interop_office import Office
from interop_process import wait_until
from interop_rig import Rig
from interop_softphone import Softphone, Softphones

MARKUP = "<img src=x onerror=document.title=1>"
#: Markup, a formula of a spreadsheet, a direction that turns texts round, and what moves a terminal's cursor.
HOSTILE = f"=1+1{MARKUP}\u202egpj.\u200b\x1b[2J"
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2066-\u2069]")


@pytest.fixture(scope="module")
def console(office: Office, pages: Softphones) -> Iterator[Softphone]:
    page = pages.console(office, "/")
    yield page
    page.close()
    assert pages.do("errors") == []


@pytest.fixture(scope="module")
def talk(office: Office, pages: Softphones, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Anna's browser has called Bob's baresip, and held it for a moment; the id of the call."""
    phones = Rig(tmp_path_factory.mktemp("talk"))
    try:
        bob = phones.baresip(office.server, "102")
        anna = pages.open(office, "101")
        anna.call("102")
        anna.talking()
        anna.hears()
        anna.press("h")
        anna.find("[aria-pressed=true], [data-held=true]")
        anna.press("h")
        anna.hears()
        anna.press("x")
        bob.wait_event("CALL_CLOSED")
        anna.close()
    finally:
        phones.stop()
    return str(record_of(office, "101")["id"])


def record_of(office: Office, words: str) -> dict[str, Any]:
    """The newest call that has ended in which these words occur."""

    def is_kept() -> object:
        return office.ask("GET", f"/records?search={words}")["items"]

    kept = wait_until(is_kept, 10, f"a record of {words}")
    assert isinstance(kept, list)
    found = kept[0]
    assert isinstance(found, dict)
    return found


def arrows_of(console: Softphone) -> list[tuple[str, str, str]]:
    """From, to, and the first word of what was said."""
    console.find("[data-testid=arrow]")
    names = ("data-from", "data-to", "data-label")
    each = zip(*(console.all("[data-testid=arrow]", name) for name in names), strict=True)
    return [(begin, end, label.split(" ")[0]) for begin, end, label in each]


def test_the_ladder_has_the_arrows_of_both_sides_in_their_order(console: Softphone, talk: str) -> None:
    console.go(f"/calls/{talk}")
    arrows = arrows_of(console)
    (caller, server, _), callee = arrows[0], arrows[-1][0]
    begun = f"{caller}>INVITE {server}>407 {caller}>ACK {caller}>INVITE {server}>100 {server}>180 {server}>200 {caller}>ACK"
    change = f"{caller}>INVITE {server}>200 {caller}>ACK"
    over = f"{caller}>BYE {server}>200"
    assert said_between(arrows, caller, server) == f"{begun} {change} {change} {over}"
    begun = f"{server}>INVITE {callee}>180 {callee}>200 {server}>ACK"
    change = f"{server}>INVITE {callee}>200 {server}>ACK"
    over = f"{server}>BYE {callee}>200"
    assert said_between(arrows, server, callee) == f"{begun} {change} {change} {over}"
    # what happens on one side comes of what happened on the other
    for cause, effect in (("INVITE", "INVITE"), ("BYE", "BYE")):
        assert arrows.index((caller, server, cause)) < arrows.index((server, callee, effect))
    assert arrows.index((callee, server, "200")) < arrows.index((server, caller, "200"))
    notes = console.all("[data-testid=arrow][data-note]", "data-note")
    assert any("hold" in note for note in notes), notes


def said_between(arrows: list[tuple[str, str, str]], one: str, other: str) -> str:
    return " ".join(f"{begin}>{label}" for begin, end, label in arrows if {begin, end} == {one, other})


def test_the_sound_of_both_sides_stands_between_the_messages(console: Softphone, talk: str) -> None:
    console.go(f"/calls/{talk}")
    console.find("[data-testid=lane]")
    lanes = console.all("[data-testid=lane]")
    assert len(lanes) == 2, lanes
    assert all(re.search(r"PCM[AU].* lost", lane) for lane in lanes), lanes


def test_a_message_is_shown_whole_but_for_its_secrets(console: Softphone, talk: str) -> None:
    console.go(f"/calls/{talk}")
    console.find("[data-testid=arrow]")
    console.do("click", selector="[data-testid=arrow] >> nth=3")
    console.find("[data-testid=message-text]")
    (text,) = console.all("[data-testid=message-text]")
    assert text.startswith("INVITE sip:102@")
    assert "a=fingerprint" in text
    assert "Proxy-Authorization: (hidden)" in text
    assert console.do("check") == []


def test_the_pcap_has_the_messages_of_both_sides(console: Softphone, talk: str, tmp_path: Path) -> None:
    console.go(f"/calls/{talk}")
    file = tmp_path / "call.pcap"
    name = console.do("download", role="link", name="pcap", file=str(file))
    assert name == f"call-{talk}.pcap"
    console.find("[data-testid=arrow]")
    packets = list(packets_of(file.read_bytes()))
    said = [packet for packet in packets if b"SIP/2.0" in packet]  # and some that open a TCP connection
    assert len(said) == len(arrows_of(console))
    assert {packet[0] >> 4 for packet in packets} == {4}
    assert sum(b"INVITE sip:102" in packet for packet in packets) == 7  # one of them without a password
    if shutil.which("tshark") is not None:
        read = subprocess.run(["tshark", "-r", str(file), "-T", "fields", "-e", "sip.Method", "-e", "sip.Status-Code"],
            capture_output=True, text=True, timeout=30, check=True)  # fmt: skip
        assert read.stdout.split().count("BYE") == 2, read.stdout


def packets_of(content: bytes) -> Iterator[bytes]:
    """Of a capture in the format of libpcap, written on this machine or another."""
    order = "<" if content[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    place = 24
    while place < len(content):
        kept, length = struct.unpack_from(f"{order}II", content, place + 8)
        assert kept == length
        yield content[place + 16 : place + 16 + kept]
        place += 16 + kept
    assert place == len(content)


def test_the_page_to_send_needs_nothing_else(console: Softphone, talk: str, tmp_path: Path) -> None:
    console.go(f"/calls/{talk}")
    file = tmp_path / "call.html"
    assert console.do("download", role="link", name="HTML page", file=str(file)) == f"call-{talk}.html"
    text = file.read_text()
    assert not re.search(
        r"<script|<link|<iframe|@import|url\(|\b(src|href)=[\"']?[^#\"']", text, re.IGNORECASE
    )
    page = console.browser.at(file.as_uri(), "", "saved")
    page.find("svg")
    page.see("Bob Costa")
    assert page.do("check") == []
    page.close()


@pytest.fixture(scope="module")
def hostile(office: Office, console: Softphone, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """It rings, it is in the list of those that are on, and Bob declines; the record."""
    phones = Rig(tmp_path_factory.mktemp("hostile"))
    try:
        bob = phones.baresip(office.server, "102", answer="manual")
        uri = f"sip:102@{office.server.domain}"
        with MuteCaller(office.server.sip, uri, display=HOSTILE.replace("\x1b", "\\\x1b")) as caller:
            caller.invite()
            caller.receive("SIP/2.0 180")
            console.go("/calls")
            console.find(f"ul[aria-label='Calls now'] li:has-text('{MARKUP}')")
            bob.command("hangup")
            console.see("Nobody is on the phone.")
    finally:
        phones.stop()
    return record_of(office, caller.call_id)


def harmless(console: Softphone) -> None:
    """Nothing that the name said has become part of the page."""
    assert console.all("img[src=x]") == []
    assert "1" not in console.all("title")
    assert not CONTROLS.search(console.do("text", selector="main"))


def test_a_hostile_name_is_text_in_the_lists(console: Softphone, hostile: dict[str, Any]) -> None:
    assert MARKUP in hostile["caller"]["name"]
    console.go("/calls")
    console.find(f"table[aria-label='Calls before'] tr:has-text('{MARKUP}')")
    harmless(console)


def test_a_hostile_name_is_text_on_the_page_of_its_call(console: Softphone, hostile: dict[str, Any]) -> None:
    console.go(f"/calls/{hostile['id']}")
    console.find("[data-testid=arrow]")
    assert MARKUP in console.do("text", selector="h1")
    assert console.all(".heads .label")[0] == "visitor"
    harmless(console)
    console.do("click", selector="[data-testid=arrow]")
    console.find("[data-testid=message-text]")
    assert MARKUP in console.all("[data-testid=message-text]")[0]
    harmless(console)


def test_a_hostile_name_is_no_formula_of_a_spreadsheet(office: Office, hostile: dict[str, Any]) -> None:
    rows = list(csv.reader(io.StringIO(office.download("/records.csv").decode("utf-8-sig"))))
    (cell,) = [cell for row in rows for cell in row if MARKUP in cell]
    assert cell.lstrip("'") != cell
    assert not any(cell.startswith(("=", "@")) for row in rows for cell in row)


def test_a_hostile_name_is_text_in_downloads(
    office: Office, console: Softphone, hostile: dict[str, Any], tmp_path: Path
) -> None:
    file = tmp_path / "call.html"
    file.write_bytes(office.download(f"/records/{hostile['id']}/page.html"))
    page = console.browser.at(file.as_uri(), "", "saved")
    page.find("svg")
    assert any(MARKUP in text for text in page.all("h1, h2, p, text"))
    assert page.all("img") == []
    page.close()


@pytest.mark.parametrize("command", ["calls --before", "calls show {id}", "explain {call_id}", "ladder {call_id}", "trace --plain {call_id}", "trace --plain"])  # fmt: skip
def test_a_hostile_name_is_text_on_a_terminal(office: Office, hostile: dict[str, Any], command: str) -> None:
    words = command.format(id=hostile["id"], call_id=hostile["call_ids"][0]).split()
    said = office.server.run(*words)
    assert not CONTROLS.search(said), CONTROLS.findall(said)
    assert MARKUP in said or hostile["call_ids"][0] in said
