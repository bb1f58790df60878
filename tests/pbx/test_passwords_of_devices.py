# SPDX-License-Identifier: Apache-2.0
"""Devices with passwords of their own, guests and the operator: a whole phone system, phones on a network in memory."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from reliability_office import DOMAIN, HOST, PASSWORD, Caller, Office, offer

from ringback.pbx.accounts import mint_device, mint_guest, renewed_device
from ringback.pbx.device_upkeep import DeviceUpkeep
from ringback.pbx.operator import put_operators
from ringback.server.storage import DeviceRecord, GuestPage, Store
from ringback.sip.flow import Address
from ringback.sip.message.message import Request
from ringback.sip.message.parser import parse_message
from ringback.testing import Network, Peer, run

PAGE = GuestPage("sales", "102", "Call our sales")


class Devices:
    """The office with its store, and phones that use the password of a device."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.system = office.system
        self.store: Store = office.system._store

    def mint(self, number: str, name: str, **options: Any) -> tuple[DeviceRecord, str]:
        return mint_device(self.store, number, name=name, kind="phone", realm=DOMAIN, **options)

    def mint_guest(self) -> tuple[DeviceRecord, str]:
        return mint_guest(self.store, PAGE, DOMAIN, now=self.system._wall_clock())

    async def phone(self, number: str, host: str, password: str = PASSWORD) -> Caller:
        place = Address(host, 5060)
        return Caller(
            await Peer.bind(self.office.network.host(host), place), HOST, number=number, password=password
        )

    @property
    def registered(self) -> dict[str, str]:
        """Host of each registered phone -> its device."""
        return {each["source"].partition(":")[0]: each["device"] for each in self.system.registrations()}


def in_office(test: Callable[[Devices], Awaitable[None]], **settings: Any) -> None:
    async def within() -> None:
        async with Office(Network(seed=1), **settings) as office:
            await test(Devices(office))

    run(within())


async def status_of(phone: Caller, method: str, number: str, **parts: Any) -> int:
    """What somebody hears who sends this to a number here."""
    response = await phone.ask(method, f"sip:{number}@{DOMAIN}", **parts)
    if method == "INVITE" and response.status >= 300:
        phone.acknowledge(response)
    return response.status


async def next_request(phone: Caller) -> Request:
    message = parse_message(await phone.peer.hear())
    assert isinstance(message, Request)
    return message


async def invited(phone: Caller) -> Request:
    """The INVITE that a phone gets."""
    request = await next_request(phone)
    assert request.method == "INVITE"
    return request


def test_revoking_one_device_forgets_its_registration_and_no_other() -> None:
    async def test(here: Devices) -> None:
        (desk, desk_secret), (mobile, mobile_secret) = here.mint("101", "Desk"), here.mint("101", "Mobile")
        await here.system.devices_changed()
        phones = [
            await here.phone("101", "10.0.0.11", desk_secret),
            await here.phone("101", "10.0.0.12", mobile_secret),
            await here.phone("101", "10.0.0.13"),
        ]
        assert [(await phone.register()).status for phone in phones] == [200, 200, 200]
        assert here.registered == {"10.0.0.11": desk.id, "10.0.0.12": mobile.id, "10.0.0.13": ""}

        assert here.store.remove_device(desk.id)
        await here.system.devices_changed()
        assert here.registered == {"10.0.0.12": mobile.id, "10.0.0.13": ""}
        assert {each.device for each in here.store.bindings(now=0)} == {mobile.id, ""}
        assert [(await phone.register()).status for phone in phones] == [401, 200, 200]

    in_office(test)


def test_a_new_password_ends_only_what_was_made_with_the_old_one() -> None:
    async def test(here: Devices) -> None:
        desk, secret = here.mint("101", "Desk")
        await here.system.users_changed()
        phone, own = await here.phone("101", "10.0.0.11", secret), await here.phone("101", "10.0.0.12")
        assert [(await each.register()).status for each in (phone, own)] == [200, 200]

        here.store.put_device(replace(desk, name="Desk at the window"))
        await here.system.users_changed()
        assert here.registered == {"10.0.0.11": desk.id, "10.0.0.12": ""}

        _, phone.password = renewed_device(here.store, here.store.devices(number="101")[0])
        await here.system.users_changed()
        assert here.registered == {"10.0.0.12": ""}
        assert (await phone.register()).status == 200
        assert here.registered["10.0.0.11"] == desk.id

        (user,) = here.store.users(number="101")
        here.store.put_user(replace(user, ha1s={}))
        await here.system.users_changed()
        assert here.registered == {"10.0.0.11": desk.id}
        assert [(await each.register()).status for each in (phone, own)] == [200, 401]

    in_office(test)


def test_a_refresh_says_anew_whose_password_it_has() -> None:
    async def test(here: Devices) -> None:
        desk, secret = here.mint("101", "Desk")
        await here.system.users_changed()
        phone = await here.phone("101", "10.0.0.11")
        seen = []
        for phone.password in (PASSWORD, secret, PASSWORD, secret):
            assert (await phone.register()).status == 200
            seen.append(here.registered["10.0.0.11"])
        assert seen == ["", desk.id, "", desk.id]

    in_office(test)


def test_a_removed_user_takes_devices_and_their_registrations_along() -> None:
    async def test(here: Devices) -> None:
        _, secret = here.mint("101", "Desk")
        await here.system.users_changed()
        phone = await here.phone("101", "10.0.0.11", secret)
        assert (await phone.register()).status == 200
        here.store.remove_user("101")
        await here.system.users_changed()
        assert here.registered == {}
        assert here.store.devices() == []
        assert (await phone.register()).status == 401

    in_office(test)


@pytest.mark.parametrize("mode", ["bridge", "proxy"])
def test_a_guest_calls_its_target_and_nothing_else(mode: str) -> None:
    async def test(here: Devices) -> None:
        record, secret = here.mint_guest()
        await here.system.devices_changed()
        bob, carol = await here.phone("102", "10.0.0.12"), await here.phone("103", "10.0.0.13")
        assert [(await each.register()).status for each in (bob, carol)] == [200, 200]
        guest = await here.phone(record.number, "10.0.0.14", secret)
        for number in ("103", "user.103", "*43", "0", "999", record.number, "101"):
            assert await status_of(guest, "INVITE", number) == 403, number
        assert await status_of(guest, "MESSAGE", "102") == 403
        assert await status_of(guest, "SUBSCRIBE", "102") == 403
        assert (await guest.register()).status == 403
        abroad = await guest.ask("INVITE", "sip:anybody@elsewhere.test")
        guest.acknowledge(abroad)
        assert abroad.status == 403
        assert here.registered == {"10.0.0.12": "", "10.0.0.13": ""}

        ringing = await guest.ask("INVITE", f"sip:102@{DOMAIN}", until=100, body=offer("10.0.0.14"))
        assert ringing.status == 100
        assert (await invited(bob)).from_uri.user == record.number  # type: ignore[union-attr]

    in_office(test, calls={"mode": mode})


def test_a_guest_makes_one_call_at_a_time() -> None:
    async def test(here: Devices) -> None:
        record, secret = here.mint_guest()
        await here.system.devices_changed()
        bob = await here.phone("102", "10.0.0.12")
        assert (await bob.register()).status == 200
        guest = await here.phone(record.number, "10.0.0.14", secret)
        await guest.ask("INVITE", f"sip:102@{DOMAIN}", until=100, body=offer("10.0.0.14"))
        await invited(bob)
        again = await here.phone(record.number, "10.0.0.15", secret)
        assert await status_of(again, "INVITE", "102", body=offer("10.0.0.15")) == 403
        bob.peer.reply(486)
        guest.acknowledge(await guest.heard(400))
        assert (await next_request(bob)).method == "ACK"
        call = asyncio.create_task(status_of(again, "INVITE", "102", until=180, body=offer("10.0.0.15")))
        await invited(bob)
        bob.peer.reply(180)
        assert await call == 180

    in_office(test)


def test_nobody_calls_a_guest_and_no_guest_speaks_for_another() -> None:
    async def test(here: Devices) -> None:
        (one, secret), (other, _) = here.mint_guest(), here.mint_guest()
        await here.system.devices_changed()
        anna = await here.phone("101", "10.0.0.11")
        assert (await status_of(anna, "MESSAGE", one.number)) == 404
        guest = await here.phone(one.number, "10.0.0.14", secret)
        stolen = f"<sip:{other.number}@{DOMAIN}>;tag=x"
        assert await status_of(guest, "INVITE", "102", from_=stolen) == 403

    in_office(test)


def test_who_a_guest_calls_may_send_it_on_to_a_colleague() -> None:
    async def test(here: Devices) -> None:
        record, secret = here.mint_guest()
        await here.system.devices_changed()
        bob, carol = await here.phone("102", "10.0.0.12"), await here.phone("103", "10.0.0.13")
        assert [(await each.register()).status for each in (bob, carol)] == [200, 200]
        guest = await here.phone(record.number, "10.0.0.14", secret)
        await guest.ask("INVITE", f"sip:102@{DOMAIN}", until=100, body=offer("10.0.0.14"))
        await invited(bob)
        bob.peer.reply(302, headers=[("Contact", f"<sip:103@{DOMAIN}>")])
        assert (await invited(carol)).from_uri.user == record.number  # type: ignore[union-attr]

    in_office(test)


def test_guests_and_others_whose_time_is_over_are_removed_with_their_registrations() -> None:
    async def test(here: Devices) -> None:
        now = here.system._wall_clock()
        guest, guest_secret = here.mint_guest()
        trial, trial_secret = here.mint("101", "On trial", lifetime=120.0, now=now)
        lasting, lasting_secret = here.mint("101", "Lasting", now=now)
        await here.system.devices_changed()
        clock = {"now": now}
        upkeep = DeviceUpkeep(
            here.store, here.system.directory, here.system.devices_changed, wall_clock=lambda: clock["now"]
        )
        for host, secret in (("10.0.0.11", trial_secret), ("10.0.0.12", lasting_secret)):
            assert (await (await here.phone("101", host, secret)).register()).status == 200
        await upkeep.look()
        assert upkeep.pause() == 60.0
        clock["now"] += 119.0
        await upkeep.look()
        assert upkeep.pause() == pytest.approx(1.0)
        assert set(here.registered.values()) == {trial.id, lasting.id}
        clock["now"] += 1.0
        await upkeep.look()
        assert set(here.registered.values()) == {lasting.id}
        clock["now"] += 3600.0
        await upkeep.look()
        assert [each.id for each in here.store.devices()] == [lasting.id]
        assert here.store.devices()[0].last_seen == pytest.approx(now, abs=60)
        caller = await here.phone(guest.number, "10.0.0.14", guest_secret)
        assert await status_of(caller, "INVITE", "102") == 407

    in_office(test)


@pytest.mark.parametrize("mode", ["bridge", "proxy"])
def test_zero_rings_all_who_answer_for_the_office(mode: str) -> None:
    async def test(here: Devices) -> None:
        _, secret = here.mint("102", "Desk")
        put_operators(here.store, ["102", "103"])
        await here.system.devices_changed()
        bobs = [await here.phone("102", "10.0.0.12"), await here.phone("102", "10.0.0.22", secret)]
        carol, anna = await here.phone("103", "10.0.0.13"), await here.phone("101", "10.0.0.11")
        for phone in (*bobs, carol, anna):
            assert (await phone.register()).status == 200
        await anna.ask("INVITE", f"sip:0@{DOMAIN}", until=100, body=offer("10.0.0.11"))
        for phone in (*bobs, carol):
            await invited(phone)

    in_office(test, calls={"mode": mode})


def test_without_names_everybody_answers_for_the_office_but_who_calls_it() -> None:
    async def test(here: Devices) -> None:
        phones = [await here.phone(f"10{each}", f"10.0.0.1{each}") for each in (1, 2, 3)]
        for phone in phones:
            assert (await phone.register()).status == 200
        anna, bob, carol = phones
        await anna.ask("INVITE", f"sip:0@{DOMAIN}", until=100, body=offer("10.0.0.11"))
        await invited(bob)
        await invited(carol)
        bob.peer.reply(200, headers=[("Contact", bob.contact)], body=offer("10.0.0.12"))
        assert (await anna.heard(200)).status == 200
        assert not any(data.startswith(b"INVITE") for data in anna.peer.heard)

    in_office(test)


def test_the_only_operator_who_dials_zero_hears_that_nobody_is_there() -> None:
    async def test(here: Devices) -> None:
        put_operators(here.store, ["101"])
        await here.system.devices_changed()
        anna, bob = await here.phone("101", "10.0.0.11"), await here.phone("102", "10.0.0.12")
        assert [(await each.register()).status for each in (anna, bob)] == [200, 200]
        assert await status_of(anna, "INVITE", "0") == 480

    in_office(test)


def test_a_device_that_must_encrypt_neither_calls_nor_is_called_in_the_clear() -> None:
    async def test(here: Devices) -> None:
        desk, secret = here.mint("102", "Desk")
        here.store.put_device(replace(desk, security="required"))
        await here.system.devices_changed()
        anna, bob = await here.phone("101", "10.0.0.11"), await here.phone("102", "10.0.0.12", secret)
        assert [(await each.register()).status for each in (anna, bob)] == [200, 200]
        assert await status_of(bob, "INVITE", "101", body=offer("10.0.0.12")) == 488

        call = asyncio.create_task(status_of(anna, "INVITE", "102", until=180, body=offer("10.0.0.11")))
        await invited(bob)
        bob.peer.reply(200, headers=[("Contact", bob.contact)], body=offer("10.0.0.12"))
        assert await call == 488

        here.store.put_device(replace(here.store.devices()[0], security="optional"))
        await here.system.devices_changed()
        call = asyncio.create_task(status_of(anna, "INVITE", "102", until=180, body=offer("10.0.0.11")))
        while (await next_request(bob)).method != "INVITE":
            pass
        bob.peer.reply(200, headers=[("Contact", bob.contact)], body=offer("10.0.0.12"))
        assert await call == 200

    in_office(test)


def test_who_listens_hears_of_phones_that_come_and_go_and_not_of_refreshes() -> None:
    async def test(here: Devices) -> None:
        heard: list[tuple[str, str, str, str]] = []
        here.system.bulletin.listen(
            lambda event: heard.append((event["kind"], event["number"], event["device"], event["remote"]))
        )
        desk, secret = here.mint("101", "Desk")
        await here.system.devices_changed()
        phone, own = await here.phone("101", "10.0.0.11", secret), await here.phone("101", "10.0.0.12")
        for each in (phone, own, phone, own):
            assert (await each.register()).status == 200
        assert (await own.register(headers=[("Expires", "0")])).status == 200
        here.store.remove_device(desk.id)
        await here.system.devices_changed()
        assert heard == [
            ("phone.registered", "101", desk.id, "10.0.0.11:5060"),
            ("phone.registered", "101", "", "10.0.0.12:5060"),
            ("phone.unregistered", "101", "", "10.0.0.12:5060"),
            ("phone.unregistered", "101", desk.id, "10.0.0.11:5060"),
        ]

    in_office(test)
