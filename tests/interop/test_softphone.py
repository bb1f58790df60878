# SPDX-License-Identifier: Apache-2.0
"""The softphone at /phone and the guest phone at /call/NAME: pressed in Chromium, against the whole server."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from interop_office import Office
from interop_process import wait_until
from interop_ringback import Ringback
from interop_softphone import Softphone, Softphones

import ringback.web

STATIC = Path(ringback.web.__file__).parent / "static"
Open = Callable[..., Softphone]
REFUSE = """() => {
  navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('no', 'NotAllowedError'));
}"""
KEPT = """async () => {
  const paths = [];
  for (const name of await caches.keys()) {
    for (const request of await (await caches.open(name)).keys()) paths.push(new URL(request.url).pathname);
  }
  return paths;
}"""
WORKER = "() => navigator.serviceWorker.controller !== null"
NARROW = {"viewport": {"width": 390, "height": 780}, "colorScheme": "dark"}


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """Anna (101), Bob (102) and Carol (103), and a page where guests call Bob."""
    if not (STATIC / "phone.html").exists():
        pytest.skip("the pages are not built: make frontend")
    server = Ringback(tmp_path_factory.mktemp("office"), console=True)
    try:
        made = Office(server)
        assert [made.add(name) for name in ("Anna Berg", "Bob Costa", "Carol Dietz")] == ["101", "102", "103"]
        made.ask("POST", "/guest-pages", {"name": "sales", "number": "102", "title": "Our sales desk"})
        yield made
    finally:
        server.stop()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Softphones]:
    running = Softphones(tmp_path_factory.mktemp("pages") / "browser")
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture
def phones(office: Office, browser: Softphones) -> Iterator[Open]:
    """Opens softphones and closes them; nothing a page did may have been an error."""
    opened: list[Softphone] = []

    def open_phone(number: str, **look: Any) -> Softphone:
        opened.append(browser.open(office, number, **look))
        return opened[-1]

    yield open_phone
    for phone in opened:
        phone.close()
    assert browser.do("errors") == []


def begin_call(caller: Softphone, callee: Softphone) -> None:
    caller.call(callee.name)
    callee.answer()
    caller.talking()
    callee.talking()


def test_contacts_show_who_is_there(phones: Open) -> None:
    anna = phones("101")
    anna.press("c")
    anna.see("103 · No phone on")
    carol = phones("103")
    anna.see("103 · Online")
    carol.call("*43")
    carol.talking()
    anna.see("103 · In a call")
    carol.press("x")
    anna.see("103 · Online")


def test_two_softphones_talk_hold_and_mute(phones: Open) -> None:
    anna, bob = phones("101"), phones("102")
    begin_call(anna, bob)
    anna.hears()
    bob.hears()
    anna.press("h")
    bob.see("put you on hold")
    bob.hears_nothing()
    anna.press("h")
    bob.hears()
    anna.press("m")
    bob.hears_nothing()
    anna.press("m")
    bob.hears()
    bob.press("x")
    anna.free()


def test_both_show_their_pictures(phones: Open) -> None:
    anna, bob = phones("101"), phones("102")
    begin_call(anna, bob)
    anna.press("v")
    bob.sees_pictures()
    bob.press("v")
    anna.sees_pictures()
    anna.press("x")
    bob.free()


def each_shows_the_other(bob: Softphone, carol: Softphone) -> None:
    """Not the one who transferred the call."""
    bob.do("see", role="region", name="Call with Carol")
    carol.do("see", role="region", name="Call with Bob")


def test_a_blind_transfer_leaves_two_who_hear_each_other_within_seconds(phones: Open) -> None:
    anna, bob, carol = phones("101"), phones("102"), phones("103")
    begin_call(bob, anna)
    anna.press("t")
    anna.write("To whom", "Carol")
    anna.click("Transfer now")
    carol.answer()
    anna.free()
    bob.hears(5)
    carol.hears(5)
    each_shows_the_other(bob, carol)
    bob.press("x")
    carol.free()


def test_an_attended_transfer_leaves_two_who_hear_each_other_within_seconds(phones: Open) -> None:
    anna, bob, carol = phones("101"), phones("102"), phones("103")
    begin_call(bob, anna)
    anna.press("t")
    anna.write("To whom", "103")
    anna.click("Ask first")
    carol.answer()
    carol.talking()
    carol.hears()
    bob.see("put you on hold")
    anna.click("Connect them")
    anna.free()
    bob.hears(5)
    carol.hears(5)
    each_shows_the_other(bob, carol)
    carol.press("x")
    bob.free()


def test_a_second_call_waits_and_they_are_switched(phones: Open) -> None:
    anna, bob, carol = phones("101"), phones("102"), phones("103")
    begin_call(anna, bob)
    carol.call("102")
    bob.see("Second call")
    bob.press("a")
    carol.hears()
    anna.see("put you on hold")
    anna.hears_nothing()
    bob.press("s")
    anna.hears()
    carol.hears_nothing()
    bob.press("x")
    anna.free()


def test_a_call_survives_a_lost_connection_to_the_server(phones: Open) -> None:
    anna, bob = phones("101"), phones("102")
    begin_call(anna, bob)
    anna.hears()
    before = [anna.measure()["ufrag"], bob.measure()["ufrag"]]
    anna.do("cut")
    anna.see("No connection")
    anna.see("Ready", exact=True)
    # new addresses on both sides: ICE began anew (RFC 8445 2.4), and the server knows the new connection
    wait_until(lambda: before[0] != anna.measure()["ufrag"], 10, "new ICE credentials at Anna")
    wait_until(lambda: before[1] != bob.measure()["ufrag"], 10, "new ICE credentials at Bob")
    anna.hears()
    bob.hears()
    bob.press("x")
    anna.free()


def test_why_a_call_failed_is_said_in_words(phones: Open) -> None:
    anna, bob = phones("101"), phones("102")
    anna.call("999")
    anna.see("There is no such number.")
    anna.call("102")
    bob.see_button("Decline")
    bob.press("x")
    anna.see("Busy.")
    anna.call("103")
    anna.see("Not reachable: no phone of theirs is on.")


def test_messages_arrive_or_say_why_not(phones: Open) -> None:
    anna, bob = phones("101"), phones("102")
    anna.press("c")
    anna.click("Write to Bob Costa")
    anna.write("Message to", "<b>Lunch?</b>")
    anna.press("Enter")
    bob.press("w")
    bob.click("Anna Berg")
    bob.see("<b>Lunch?</b>", exact=True)
    anna.press("Escape")
    anna.click("Contacts")
    anna.click("Write to Carol Dietz")
    anna.write("Message to", "And you?")
    anna.press("Enter")
    anna.see("Not delivered. Not reachable")


def test_keys_reach_an_application(phones: Open) -> None:
    """The echo test plays back what it hears, the tones of keys too; here it must not break the call."""
    anna = phones("101")
    anna.call("*43")
    anna.talking()
    anna.press("5")
    anna.press("#")
    anna.hears()
    anna.press("x")
    anna.free()


def test_a_guest_calls_the_one_number_of_a_page(phones: Open, office: Office, browser: Softphones) -> None:
    bob = phones("102")
    guest = browser.visit(office, "/call/sales")
    guest.see("Our sales desk")
    guest.click("Call now")
    bob.answer()
    guest.talking()
    guest.hears()
    bob.hears()
    assert guest.do("check") == []
    bob.press("x")
    guest.see("The call has ended.")
    guest.close()
    stranger = browser.visit(office, "/call/nowhere")
    stranger.see("Nobody takes calls here")
    stranger.close()


def test_a_microphone_that_was_refused_is_explained(phones: Open) -> None:
    anna = phones("101", permissions=[])
    anna.do("evaluate", script=REFUSE)
    anna.call("102")
    anna.see("The browser may not use the microphone.")


def test_a_stranger_is_asked_to_sign_in(office: Office, browser: Softphones) -> None:
    stranger = browser.visit(office, "/phone")
    stranger.see("Sign in to use the phone.")
    assert stranger.do("check") == []
    stranger.do("click", role="link", name="Sign in")
    stranger.write("Password", "wrong")
    stranger.close()


@pytest.mark.parametrize("look", [{}, NARROW], ids=["wide and light", "narrow and dark"])
def test_axe_finds_nothing_wrong(phones: Open, look: dict[str, Any]) -> None:
    anna, bob = phones("101", **look), phones("102", **look)
    found = {}
    for name in ("Keypad", "Contacts", "Recent", "Messages", "Settings"):
        anna.click(name, exact=True)
        found[name] = anna.do("check")
    anna.press("?")
    found["help"] = anna.do("check")
    anna.press("Escape")
    anna.click("Keypad", exact=True)
    anna.call("102")
    bob.see_button("Answer")
    found["incoming"], found["outgoing"] = bob.do("check"), anna.do("check")
    bob.press("a")
    anna.talking()
    found["call"] = anna.do("check")
    anna.press("t")
    found["transfer"] = anna.do("check")
    anna.press("Escape")
    anna.press("x")
    assert {name: problems for name, problems in found.items() if problems} == {}


def test_the_worker_of_the_app_keeps_no_answer_of_the_server(phones: Open) -> None:
    anna = phones("101")
    wait_until(lambda: anna.do("evaluate", script=WORKER), 15, "the service worker")
    anna.do("reload")
    anna.see("Ready", exact=True)
    kept = anna.do("evaluate", script=KEPT)
    assert "/phone" in kept
    assert all(path == "/phone" or path.startswith("/assets/") for path in kept), kept
