# SPDX-License-Identifier: Apache-2.0
"""The way through a NAT is kept open: RFC 4787 REQ-6. Phones here register with an address of their own network."""

import asyncio

from server_rig import DOMAIN, SERVER, Device, Rig, on_a_server, with_proxy

from ringback.server.binding import Binding
from ringback.server.config import NatSettings, Settings
from ringback.server.keep_alive import BURST, PAUSE, SLICE, KeepAlive
from ringback.sip.flow import Address, Flow, Transport
from ringback.sip.message.message import Request
from ringback.sip.message.parser import check_request, parse_message

INSIDE = "<sip:102@192.168.1.10:5060>"
NAT = "203.0.113.11"


def with_keepalive(seconds: float) -> Settings:
    return with_proxy().model_copy(update={"nat": NatSettings(keepalive=seconds)})


def signs_asked(phone: Device) -> list[Request]:
    """The OPTIONS it heard so far."""
    messages = [parse_message(data) for data in phone.peer.heard]
    return [each for each in messages if isinstance(each, Request) and each.method == "OPTIONS"]


def test_a_phone_behind_nat_is_asked_each_25_seconds_where_its_packets_come_from() -> None:
    async def test(rig: Rig) -> None:
        bob = await rig.phone("102", NAT, port=40_001, contact=INSIDE)
        for expected in (0, 1, 2):
            assert len(signs_asked(bob)) == expected
            await asyncio.sleep(25.05)
        request = signs_asked(bob)[0]
        check_request(request)
        assert request.target == "sip:102@192.168.1.10:5060"
        assert str(request.from_.uri) == f"sip:{DOMAIN}"
        assert rig.state == (0, 0, 0, 0, 0)

    on_a_server(test)


def test_an_answer_is_dropped_without_a_word() -> None:
    async def test(rig: Rig) -> None:
        bob = await rig.phone("102", NAT, contact=INSIDE)
        await asyncio.sleep(25.05)
        await bob.peer.expect("OPTIONS")
        heard = len(bob.peer.heard)
        bob.peer.reply(200)
        await asyncio.sleep(1)
        assert len(bob.peer.heard) == heard
        assert rig.server.stack.statistics.stray_responses == 1

    on_a_server(test)


def test_phones_that_are_where_they_say_and_connections_are_left_alone() -> None:
    async def test(rig: Rig) -> None:
        direct = await rig.phone("101", "203.0.113.20")
        connected = await rig.phone("102", NAT, tcp=True, contact=f"{INSIDE[:-1]};transport=tcp>")
        await asyncio.sleep(60)
        assert not signs_asked(direct)
        assert not signs_asked(connected)
        assert rig.server.status()["kept_alive"] == 0

    on_a_server(test)


def test_a_binding_that_moved_is_asked_at_its_new_place_only() -> None:
    async def test(rig: Rig) -> None:
        before = await rig.phone("102", NAT, port=40_001, contact=INSIDE)
        await asyncio.sleep(10)
        after = await rig.phone("102", NAT, port=40_002, contact=INSIDE)
        await asyncio.sleep(30)
        assert (len(signs_asked(before)), len(signs_asked(after))) == (0, 1)
        assert rig.server.status()["kept_alive"] == 1

    on_a_server(test)


def test_who_unregistered_or_expired_is_asked_no_more() -> None:
    async def test(rig: Rig) -> None:
        gone = await rig.phone("101", NAT, port=40_001, contact=INSIDE)
        await rig.phone("102", NAT, port=40_002, contact=INSIDE, expires=60)
        await gone.register(contact="*", expires=0)
        await asyncio.sleep(90)
        assert not signs_asked(gone)
        assert rig.server.status()["kept_alive"] == 0

    on_a_server(test)


def test_a_restart_forgets_nobody_and_spreads_the_phones_over_the_interval() -> None:
    async def test(rig: Rig) -> None:
        first = await rig.phone("101", NAT, port=40_001, contact=INSIDE)
        second = await rig.phone("102", NAT, port=40_002, contact=INSIDE)
        await rig.restart()
        await asyncio.sleep(13)
        assert len(signs_asked(first)) + len(signs_asked(second)) == 1
        await asyncio.sleep(13)
        assert len(signs_asked(first)) + len(signs_asked(second)) == 2

    on_a_server(test)


def test_0_asks_nobody_and_a_reload_changes_the_interval() -> None:
    async def test(rig: Rig) -> None:
        bob = await rig.phone("102", NAT, contact=INSIDE)
        await asyncio.sleep(60)
        assert not signs_asked(bob)
        rig.server.reload(with_keepalive(10))
        await asyncio.sleep(10.05)
        assert len(signs_asked(bob)) == 1
        rig.server.reload(with_keepalive(0))
        await asyncio.sleep(60)
        assert len(signs_asked(bob)) == 1

    on_a_server(test, settings=with_keepalive(0))


def test_of_several_processes_each_asks_its_own_phones() -> None:
    async def test(rig: Rig) -> None:
        location, asked = rig.server.location, []
        ours = KeepAlive(location, domain=DOMAIN, interval=25, is_ours=lambda binding: binding.user == "101")
        await rig.phone("101", NAT, port=40_001, contact=INSIDE)
        ours.start(rig.server.driver)
        await rig.phone("102", NAT, port=40_002, contact=INSIDE)
        asked.append(len(ours))
        ours.close()
        ours.start(rig.server.driver)
        asked.append(len(ours))
        ours.close()
        assert asked == [1, 1]
        assert rig.server.status()["kept_alive"] == 2

    on_a_server(test)


def test_many_phones_are_entered_in_slices_and_all_of_them_are_asked() -> None:
    async def test(rig: Rig) -> None:
        phones = SLICE + SLICE // 2
        flow = Flow(Transport.UDP, SERVER, Address(NAT, 40_001))
        for number in range(phones):
            contact = "<sip:a@192.168.1.10:5060>"
            far = rig.server.driver.now + 3600
            rig.server.location.apply(str(number), put=[Binding(str(number), "k", contact, far, flow=flow)])
        keep_alive = KeepAlive(rig.server.location, domain=DOMAIN, interval=25)
        keep_alive.start(rig.server.driver)
        assert len(keep_alive) == SLICE
        await asyncio.sleep(2 * PAUSE)
        assert len(keep_alive) == phones
        heard: list[float] = []
        rig.server.driver.watch(lambda is_sent, data, flow, now: heard.append(now) if is_sent else None)
        await asyncio.sleep(26)
        assert len(heard) >= phones
        keep_alive.close()

    on_a_server(test)


def test_a_crowd_is_asked_at_a_limited_rate_however_short_the_interval() -> None:
    async def test(rig: Rig) -> None:
        asked: list[float] = []

        def watch(is_sent: bool, data: bytes, flow: Flow, now: float) -> None:
            if is_sent and data.startswith(b"OPTIONS"):
                asked.append(now)

        device = await rig.device("102", NAT)
        for start in range(0, 3 * BURST, BURST):
            contacts = (f"<sip:{number}@192.168.1.10:5060>" for number in range(start, start + BURST))
            assert (await device.register(contact=", ".join(contacts))).status == 200
        rig.server.driver.watch(watch)
        rig.server.reload(_crowded(0.001))
        await asyncio.sleep(1)
        assert 0 < len(asked) <= BURST * (1 / PAUSE + 1)

    on_a_server(test, settings=_crowded(25))


def _crowded(seconds: float) -> Settings:
    settings = with_keepalive(seconds)
    registrar = settings.registrar.model_copy(update={"max_contacts": 100})
    return settings.model_copy(update={"registrar": registrar})
