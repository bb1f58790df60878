# SPDX-License-Identifier: Apache-2.0
"""Two phones behind two NATs hear each other through the server, while a third machine sprays its media ports.

RELIABILITY row 39: nothing reaches the third machine, and nothing of what it sends is heard.
"""

import json
import time
from collections.abc import Iterator

import pytest
from interop_attacker import Spray
from interop_baresip import Baresip
from interop_network import SERVER, SmallInternet
from interop_our_phone import OurPhone
from interop_rig import PASSWORD, Rig
from interop_ringback import Ringback
from interop_sound import loudness, seconds_of_tone

ANNA_HZ, BOB_HZ, CAROL_HZ, ATTACKER_HZ = 440.0, 700.0, 950.0, 2345.0
MEDIA_PORTS = range(10_000, 10_100)
CONFIG = f"""\
[media]
first_port = {MEDIA_PORTS.start}
last_port = {MEDIA_PORTS.stop - 1}
"""


@pytest.fixture(scope="module")
def internet() -> Iterator[SmallInternet]:
    made = SmallInternet()
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def office(internet: SmallInternet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ringback]:
    """A server with a public address."""
    server = Ringback(tmp_path_factory.mktemp("office"), place=internet.server, config=CONFIG)
    try:
        for number in ("101", "102", "103"):
            server.add_user(number, password=PASSWORD)
        yield server
    finally:
        server.stop()


def call(caller: Baresip, callee: Baresip, office: Ringback) -> None:
    caller.command("dial", f"sip:{callee.user}@{office.domain}")
    caller.wait_event("CALL_ESTABLISHED")
    callee.wait_event("CALL_ESTABLISHED")


def hang_up(one: Baresip, other: Baresip) -> None:
    one.command("hangup")
    other.wait_event("CALL_CLOSED", 5)


def why(office: Ringback) -> str:
    """Why the only call comes through the server."""
    (running,) = json.loads(office.run("status", "--json"))["server"]["calls"]
    return str(running["anchored"])


@pytest.mark.parametrize("encryption", ["", "srtp-mand"])
def test_two_phones_behind_two_nats_hear_each_other_and_no_attacker(
    rig: Rig, office: Ringback, internet: SmallInternet, encryption: str
) -> None:
    """The attacker was there first, when the server did not yet know where the phones' sound comes from."""
    anna = rig.baresip(office, "101", place=internet.phone_a, frequency=ANNA_HZ, encryption=encryption)
    bob = rig.baresip(office, "102", place=internet.phone_b, frequency=BOB_HZ)
    with Spray(internet.attacker, SERVER, MEDIA_PORTS, ATTACKER_HZ) as attacker:
        call(anna, bob, office)
        time.sleep(3)
        reason = why(office)
        hang_up(anna, bob)
    assert reason
    assert attacker.sent > 50 * len(MEDIA_PORTS)
    assert attacker.received == 0
    for heard, tone in ((anna.heard(), BOB_HZ), (bob.heard(), ANNA_HZ)):
        assert seconds_of_tone(heard, tone) > 1.5
        assert not any(loudness(heard, ATTACKER_HZ, window=0.02, share=0.2))


def test_a_phone_behind_a_nat_and_one_with_a_public_address_hear_each_other(
    rig: Rig, office: Ringback, internet: SmallInternet
) -> None:
    carol = rig.baresip(office, "103", place=internet.neighbour, frequency=CAROL_HZ)
    bob = rig.baresip(office, "102", place=internet.phone_b, frequency=BOB_HZ)
    for caller, callee in ((carol, bob), (bob, carol)):
        call(caller, callee, office)
        time.sleep(2)
        assert "102 is behind a NAT" in why(office)
        hang_up(callee, caller)
        assert seconds_of_tone(bob.heard(), CAROL_HZ) > 1.0
        assert seconds_of_tone(carol.heard(), BOB_HZ) > 1.0


def test_hold_and_resume_behind_two_nats(rig: Rig, office: Ringback, internet: SmallInternet) -> None:
    bob = rig.baresip(office, "102", place=internet.phone_b, frequency=BOB_HZ)
    anna = OurPhone(rig, office, "101", "102", frequency=ANNA_HZ, place=internet.phone_a)
    bob.wait_event("CALL_ESTABLISHED")
    time.sleep(1)
    bob.command("hold")
    time.sleep(1.5)
    bob.command("resume")
    time.sleep(2)
    bob.command("hangup")
    assert anna.seconds_of(BOB_HZ) > 2.0
    assert len(loudness(anna.recording, BOB_HZ)) / 10 - anna.seconds_of(BOB_HZ) > 1.0
