# SPDX-License-Identifier: Apache-2.0
"""Real phones behind real NATs: two homes with the same private addresses, a neighbour of the server, an attacker.

Here the calls are tested without their sound, which is in `test_sound_between_nats.py`.
"""

import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from interop_attacker import Spray
from interop_baresip import Baresip
from interop_network import INSIDE, NAT_A, NAT_B, NEIGHBOUR, PORTS, PORTS_AFTERWARDS, SERVER, SmallInternet
from interop_process import wait_until
from interop_rig import PASSWORD, Rig
from interop_ringback import Ringback
from interop_sound import loudness, seconds_of_tone

ANNA_HZ, BOB_HZ, ATTACKER_HZ = 440.0, 700.0, 2345.0
MEDIA_PORTS = range(10_000, 10_100)
CONFIG = f"""\
[registrar]
minimum_expires = 2
[media]
first_port = {MEDIA_PORTS.start}
last_port = {MEDIA_PORTS.stop - 1}
[nat]
keepalive = """


@pytest.fixture(scope="module")
def internet() -> Iterator[SmallInternet]:
    made = SmallInternet()
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def office(internet: SmallInternet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ringback]:
    """A server with a public address. It keeps no mapping alive until a test wants it."""
    server = Ringback(tmp_path_factory.mktemp("office"), place=internet.server, config=f"{CONFIG}0\n")
    try:
        for number in ("101", "102", "103"):
            server.add_user(number, password=PASSWORD)
        yield server
    finally:
        server.stop()


@pytest.fixture
def short_memory(internet: SmallInternet) -> Iterator[int]:
    """Bob's NAT forgets a UDP mapping after so many seconds."""
    internet.nat_b.forget_udp_after(3)
    yield 3
    internet.nat_b.forget_udp_after(120)


def keep_alive(office: Ringback, seconds: float) -> None:
    office.config.write_text(f"{CONFIG}{seconds}\n")
    office.run("reload")


def anna_at_home(rig: Rig, office: Ringback, internet: SmallInternet, **settings: Any) -> Baresip:
    return rig.baresip(office, "101", place=internet.phone_a, frequency=ANNA_HZ, **settings)


def bob_at_home(rig: Rig, office: Ringback, internet: SmallInternet, **settings: Any) -> Baresip:
    return rig.baresip(office, "102", place=internet.phone_b, frequency=BOB_HZ, **settings)


def neighbour(rig: Rig, office: Ringback, internet: SmallInternet, **settings: Any) -> Baresip:
    return rig.baresip(office, "103", place=internet.neighbour, **settings)


def bindings(office: Ringback, number: str) -> list[dict[str, Any]]:
    known = json.loads(office.run("registrations", "--json"))
    return [binding for binding in known if binding["user"] == number]


def only_binding(office: Ringback, number: str) -> dict[str, Any]:
    (binding,) = bindings(office, number)
    return binding


def source_of(office: Ringback, number: str) -> tuple[str, int]:
    host, port = only_binding(office, number)["source"].rsplit(":", 1)
    return host, int(port)


def call(caller: Baresip, callee: Baresip, office: Ringback) -> None:
    """Until both phones say that it stands."""
    caller.command("dial", f"sip:{callee.user}@{office.domain}")
    caller.wait_event("CALL_ESTABLISHED")
    callee.wait_event("CALL_ESTABLISHED")


def hang_up(one: Baresip, other: Baresip) -> None:
    one.command("hangup")
    other.wait_event("CALL_CLOSED", 5)
    wait_until(lambda: "200 OK" in one.program.output.rpartition("BYE sip:")[2], 5, "the answer to BYE")


def test_the_binding_shows_the_address_outside(rig: Rig, office: Ringback, internet: SmallInternet) -> None:
    anna_at_home(rig, office, internet)
    bob_at_home(rig, office, internet, transport="tcp")
    for number, nat, transport in (("101", NAT_A, "UDP"), ("102", NAT_B, "TCP")):
        binding = only_binding(office, number)
        host, port = source_of(office, number)
        assert (host, binding["transport"]) == (nat, transport)
        assert port in PORTS
        assert f"@{INSIDE}:" in binding["contact"]
    assert NAT_A in office.run("registrations")


def test_stun_on_the_sip_port_tells_the_address_outside(office: Ringback, internet: SmallInternet) -> None:
    """What phones with outbound ask for to keep their mapping (RFC 5626 section 4.4.2)."""
    cookie = b"\x21\x12\xa4\x42"
    with internet.phone_a.udp_socket() as phone:
        phone.settimeout(2)
        host, _, port = office.sip.rpartition(":")
        phone.sendto(b"\0\1\0\0" + cookie + bytes(12), (host, int(port)))
        answer = phone.recv(100)
    assert answer[:8] == b"\1\1\0\x0c" + cookie
    address = bytes(a ^ b for a, b in zip(answer[-4:], cookie, strict=True))
    assert socket.inet_ntoa(address) == NAT_A


def test_the_echo_finds_its_way_through_the_nat(rig: Rig, office: Ringback, internet: SmallInternet) -> None:
    anna = anna_at_home(rig, office, internet)
    anna.command("dial", f"sip:*43@{office.domain}")
    anna.wait_event("CALL_ESTABLISHED")
    time.sleep(2.5)
    anna.command("hangup")
    assert seconds_of_tone(anna.heard(), ANNA_HZ) > 1.5


@pytest.mark.parametrize("transports", [("udp", "udp"), ("tcp", "tcp"), ("udp", "tcp")])
def test_phones_behind_two_nats_call_each_other_and_either_hangs_up(
    rig: Rig, office: Ringback, internet: SmallInternet, transports: tuple[str, str]
) -> None:
    anna = anna_at_home(rig, office, internet, transport=transports[0])
    bob = bob_at_home(rig, office, internet, transport=transports[1])
    for caller, callee in ((anna, bob), (bob, anna)):
        call(caller, callee, office)
        hang_up(caller, callee)
        call(caller, callee, office)
        hang_up(callee, caller)


def test_a_call_between_two_nats_can_be_cancelled_and_declined(
    rig: Rig, office: Ringback, internet: SmallInternet
) -> None:
    anna = anna_at_home(rig, office, internet)
    bob = bob_at_home(rig, office, internet, answer="manual")
    for gives_up, hears in ((anna, bob), (bob, anna)):
        anna.command("dial", f"sip:102@{office.domain}")
        bob.wait_event("CALL_INCOMING")
        anna.wait_event("CALL_RINGING")
        gives_up.command("hangup")
        hears.wait_event("CALL_CLOSED", 5)


def test_a_phone_with_a_public_address_calls_one_behind_nat_and_is_called(
    rig: Rig, office: Ringback, internet: SmallInternet
) -> None:
    carol = neighbour(rig, office, internet)
    bob = bob_at_home(rig, office, internet)
    assert source_of(office, "103") == (NEIGHBOUR, carol.port)
    for caller, callee in ((carol, bob), (bob, carol)):
        call(caller, callee, office)
        hang_up(callee, caller)


def test_a_mapping_that_nobody_keeps_is_gone_until_the_phone_registers_again(
    rig: Rig, office: Ringback, internet: SmallInternet, short_memory: int
) -> None:
    carol = neighbour(rig, office, internet)
    bob = bob_at_home(rig, office, internet, answer="manual", expires=short_memory + 4)
    before = only_binding(office, "102")["registered_at"]
    time.sleep(short_memory + 1)
    carol.command("dial", f"sip:102@{office.domain}")
    time.sleep(1)
    assert "INVITE sip:" not in bob.program.output
    carol.command("hangup")
    # the NAT may well choose the same port once more
    wait_until(lambda: only_binding(office, "102")["registered_at"] > before, 5, "another registration")
    carol.command("dial", f"sip:102@{office.domain}")
    bob.wait_event("CALL_INCOMING", 1)


def test_a_phone_can_hang_up_though_its_mapping_is_gone(
    rig: Rig, office: Ringback, internet: SmallInternet, short_memory: int
) -> None:
    """The other way the BYE would be lost, until the phone has registered again: hence the keep-alive."""
    carol = neighbour(rig, office, internet)
    bob = bob_at_home(rig, office, internet)
    call(carol, bob, office)
    time.sleep(short_memory + 1)
    hang_up(bob, carol)


def test_registering_often_keeps_the_mapping(
    rig: Rig, office: Ringback, internet: SmallInternet, short_memory: int
) -> None:
    carol = neighbour(rig, office, internet)
    bob = bob_at_home(rig, office, internet, answer="manual", expires=2)
    before = source_of(office, "102")
    time.sleep(2 * short_memory)
    assert source_of(office, "102") == before
    carol.command("dial", f"sip:102@{office.domain}")
    bob.wait_event("CALL_INCOMING", 1)


def test_the_servers_questions_keep_the_mapping(
    rig: Rig, office: Ringback, internet: SmallInternet, short_memory: int
) -> None:
    keep_alive(office, 1)
    carol = neighbour(rig, office, internet)
    bob = bob_at_home(rig, office, internet)
    call(carol, bob, office)
    time.sleep(2 * short_memory)
    hang_up(carol, bob)
    call(carol, bob, office)
    assert "OPTIONS sip:" in bob.program.output
    assert "OPTIONS sip:" not in carol.program.output
    keep_alive(office, 0)


def test_the_newest_address_wins_when_the_nat_changes_it(
    rig: Rig, office: Ringback, internet: SmallInternet
) -> None:
    carol = neighbour(rig, office, internet)
    bob = bob_at_home(rig, office, internet, expires=4)
    call(carol, bob, office)
    assert source_of(office, "102")[1] in PORTS
    internet.nat_b.rebind(PORTS_AFTERWARDS)
    wait_until(
        lambda: source_of(office, "102")[1] in PORTS_AFTERWARDS, 8, "a registration by the new address"
    )
    hang_up(carol, bob)
    call(carol, bob, office)
    hang_up(bob, carol)
    assert source_of(office, "102")[0] == NAT_B


def test_an_attacker_who_sprays_the_media_ports_is_neither_heard_nor_answered(
    rig: Rig, office: Ringback, internet: SmallInternet
) -> None:
    """RELIABILITY row 39. The attacker was there first, when the server did not yet know the phone's address."""
    anna = anna_at_home(rig, office, internet)
    with Spray(internet.attacker, SERVER, MEDIA_PORTS, ATTACKER_HZ) as attacker:
        anna.command("dial", f"sip:*43@{office.domain}")
        anna.wait_event("CALL_ESTABLISHED")
        time.sleep(3)
        anna.command("hangup")
    heard = anna.heard()
    assert attacker.sent > 50 * len(MEDIA_PORTS)
    assert attacker.received == 0
    assert seconds_of_tone(heard, ANNA_HZ) > 1.5
    assert not any(loudness(heard, ATTACKER_HZ, window=0.02, share=0.2))
