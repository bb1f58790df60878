# SPDX-License-Identifier: Apache-2.0
"""REGISTER as a weapon: many contacts, contacts of others, contacts that lead back: RELIABILITY 2.1, row 49."""

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reliability_rig import ByteCount, assert_alive, stranger
from server_rig import DOMAIN, SERVER, Rig, final, on_a_server

from ringback.server.registration import RegistrarPolicy, plan_update
from ringback.sip.errors import PeerError
from ringback.sip.message.message import Request
from ringback.sip.message.parser import check_request, parse_message
from ringback.testing import messages


def keys(rig: Rig) -> list[tuple[str, str]]:
    return [(each.user, each.key) for each in rig.server.registrations()]


@pytest.mark.parametrize("count", [11, 32, 33, 1000])
def test_nobody_has_more_than_ten_contacts_however_they_come(count: int) -> None:
    """Row 49: in one line, in many lines, in many requests; all or nothing of each request."""

    async def test(rig: Rig) -> None:
        bob = await rig.phone("102", "10.0.0.12")
        contacts = [f"<sip:102@10.0.0.12:{1024 + number}>" for number in range(count)]
        for lines in ([("Contact", ", ".join(contacts))], [("Contact", each) for each in contacts]):
            sent = bob.send("REGISTER", f"sip:{DOMAIN}", to=f"<{bob.address}>", headers=lines)
            answer = await final(bob.peer)
            if answer.status == 401:
                bob.resend_with_credentials(sent, answer)
                answer = await final(bob.peer)
            assert answer.status in (400, 403)
            assert len(keys(rig)) == 1
        for number, contact in enumerate(contacts[:20]):
            await bob.register(contact=contact, call_id=f"one-by-one-{number}")
        assert len(keys(rig)) == 10

    on_a_server(test)


@pytest.mark.parametrize(
    "uri",
    [
        "tel:+19005550100",
        "mailto:a@b",
        "http://example.com",
        "im:a@b",
        "urn:service:sos",
        "javascript:1",
        "sos",
    ],
)
def test_a_contact_is_a_sip_address(uri: str) -> None:
    """Row 49: no premium number, nothing another program would open."""

    async def test(rig: Rig) -> None:
        bob = await rig.device("102", "10.0.0.12")
        bob.send("REGISTER", f"sip:{DOMAIN}", to=f"<{bob.address}>", headers=[("Contact", f"<{uri}>")])
        answer = await final(bob.peer)
        if answer.status == 401:
            answer = await bob.register(contact=f"<{uri}>")
        assert answer.status in (400, 403, 416)
        assert keys(rig) == []

    on_a_server(test)


OURSELVES = [
    f"sip:102@{DOMAIN}",
    f"sip:102@{DOMAIN.upper()}",
    f"sip:102@{DOMAIN}.",
    "sip:102@alias.test",
    "sip:102@10.0.0.1",
    "sip:102@10.0.0.1:5060",
    "sip:102@10.0.0.1:5060;transport=tcp",
    "sip:102@[::ffff:10.0.0.1]",
    "sip:102@[::ffff:a00:1]:5060",
]
LEADS_BACK = [
    "sip:102@points-here.test",
    "sip:102@elsewhere.test;maddr=10.0.0.1",
    "sip:102@points-here.test;transport=tcp",
]


@pytest.mark.parametrize("uri", OURSELVES)
def test_a_contact_that_is_this_server_in_any_clothes_is_refused(uri: str) -> None:
    """Row 49: a call to it would go round in circles."""

    async def test(rig: Rig) -> None:
        bob = await rig.device("102", "10.0.0.12")
        assert (await bob.register(contact=f"<{uri}>")).status == 403
        assert keys(rig) == []

    on_a_server(test)


@pytest.mark.parametrize("uri", LEADS_BACK)
def test_a_contact_that_leads_back_here_by_a_detour_ends_a_call_quickly(uri: str) -> None:
    """Row 49: DNS and maddr can hide that it is us; then the loop is found (RFC 5393)."""

    async def test(rig: Rig) -> None:
        rig.network.dns.a("points-here.test", SERVER.host)
        rig.network.dns.a("elsewhere.test", "192.0.2.77")
        to_ourselves = ByteCount(SERVER.host)
        anna, bob = await rig.phone("101", "10.0.0.11"), await rig.device("102", "10.0.0.12")
        answer = await bob.register(contact=f"<{uri}>")
        rig.network.watchers.append(
            lambda each: to_ourselves(each) if each[2].host == each[3].host == SERVER.host else None
        )
        sent = await anna.ask("INVITE", f"sip:102@{DOMAIN}")
        outcome = await final(anna.peer)
        assert outcome.status >= 400, (answer, sent)
        assert to_ourselves.messages_to <= 20
        await assert_alive(rig)

    on_a_server(test)


def test_nobody_registers_somebody_else_whatever_stands_in_from() -> None:
    """Row 49: third-party REGISTER: the address in To must be the one the password belongs to."""

    async def test(rig: Rig) -> None:
        anna, calls = await rig.device("101", "10.0.0.11"), 0
        for to in (f"sip:102@{DOMAIN}", "sip:102@10.0.0.1", "tel:102", "sip:102@alias.test", f"sip:{DOMAIN}"):
            for from_ in (to, f"sip:101@{DOMAIN}"):
                answer = await anna.register(to=f"<{to}>", from_=f"<{from_}>;tag=1", call_id=f"x{calls}")
                calls += 1
                assert answer.status == 403
        assert keys(rig) == []

    on_a_server(test)


def test_a_contact_of_a_stranger_gets_calls_for_its_owner_only() -> None:
    """Row 49: an authenticated user can point at a victim; it hears what callers of that user send, once each."""

    async def test(rig: Rig) -> None:
        victim = await stranger(rig, "192.0.2.77")
        anna, bob = await rig.phone("101", "10.0.0.11"), await rig.device("102", "10.0.0.12")
        contacts = ", ".join(f"<sip:{number}@192.0.2.77>" for number in range(10))
        assert (await bob.register(contact=contacts)).status == 200
        count = ByteCount("192.0.2.77")
        rig.network.watchers.append(count)
        await anna.ask("MESSAGE", f"sip:102@{DOMAIN}", body=b"hello", content_type="text/plain")
        await asyncio.sleep(0.4)
        assert len(victim.heard) == 10
        victim.close()
        await asyncio.sleep(60)
        assert count.to <= 10 * 11 * 800, "ten contacts, each repeated as RFC 3261 17.1.2.1 says"

    on_a_server(test)


GARBAGE = {
    "expires": ["-1", "99999999999999999999", "1_0", "٣", "", "never", "0x10", "60.5", '"60"', "60 60"],
    "q": ["-1", "2", "1.0001", "0.12345", "abc", "", "٠", "1e0", "NaN", "+0.5"],
    "reg-id": ["0", "-1", "4294967296", "x", "", "1_0"],
    "+sip.instance": ['""', '"<"', "x", '"<urn:uuid:' + "0" * 5000 + '>"', ""],
}


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_in_a_parameter_of_a_contact_is_refused_or_means_the_default(name: str) -> None:
    """Row 49: and what is stored is between the bounds."""

    async def test(rig: Rig) -> None:
        bob = await rig.device("102", "10.0.0.12")
        for number, value in enumerate(GARBAGE[name]):
            contact = f'<{bob.contact}>;+sip.instance="<x>";{name}={value}'
            headers = [("Contact", contact), ("Supported", "outbound")]
            sent = bob.send(
                "REGISTER", f"sip:{DOMAIN}", to=f"<{bob.address}>", headers=headers, call_id=f"g{number}"
            )
            answer = await final(bob.peer)
            if answer.status == 401:
                bob.resend_with_credentials(sent, answer)
                answer = await final(bob.peer)
            assert answer.status in (200, 400, 423), value
        now = rig.server.driver.now
        for binding in rig.server.location.bindings("102", now=now):
            assert 0 < binding.expires_at - now <= 7200
            assert 0.0 <= binding.q <= 1.0
            assert len(binding.instance) <= 256
        await assert_alive(rig)

    on_a_server(test)


@pytest.mark.parametrize("value", GARBAGE["expires"])
def test_garbage_in_expires_is_refused_or_means_the_default(value: str) -> None:
    """Row 49: the header field, also in front of a star, which only a true 0 removes all by."""

    async def test(rig: Rig) -> None:
        bob = await rig.phone("102", "10.0.0.12")
        for contact in (f"<{bob.contact}>", "*"):
            headers = [("Contact", contact), ("Expires", value)]
            sent = bob.send("REGISTER", f"sip:{DOMAIN}", to=f"<{bob.address}>", headers=headers, call_id="x")
            answer = await final(bob.peer)
            if answer.status == 401:
                bob.resend_with_credentials(sent, answer)
                answer = await final(bob.peer)
            assert answer.status in (200, 400, 423) if contact != "*" else answer.status == 400
        assert len(keys(rig)) == 1

    on_a_server(test)


def test_a_path_to_this_server_is_refused_in_any_clothes() -> None:
    """Row 49: Path forgery: calls along it would come back. Anywhere else it moves its own user's calls only."""

    async def test(rig: Rig) -> None:
        bob = await rig.device("102", "10.0.0.12")
        for number, uri in enumerate(OURSELVES):
            answer = await bob.register(headers=[("Path", f"<{uri};lr>")], call_id=f"path-{number}")
            assert answer.status == 403, uri
        long = [("Path", "<sip:10.0.0.20;lr>")] * 9
        assert (await bob.register(headers=long, call_id="long")).status == 403
        assert keys(rig) == []

    on_a_server(test)


TOKENS = st.sampled_from(
    [
        b"<sip:a@b>",
        b"*",
        b";expires=0",
        b";q=1",
        b";expires=",
        b",",
        b";+sip.instance=",
        b'"<u>"',
        b";reg-id=1",
    ]
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(TOKENS, max_size=8).map(b"".join), st.sampled_from([b"", b"0", b"60", b"x", b"99999999999"]))
def test_any_contact_makes_a_plan_within_the_policy_or_a_refusal(contact: bytes, expires: bytes) -> None:
    """Row 49: nothing else than PeerError comes out, and no plan has more than ten bindings."""
    data = messages.request("REGISTER", "sip:x").replace(
        b"\r\n\r\n",
        b"\r\nSupported: outbound\r\nContact: " + contact + b"\r\nExpires: " + expires + b"\r\n\r\n",
    )
    request = parse_message(data)
    assert isinstance(request, Request)
    try:
        check_request(request)
        update = plan_update(
            request, "101", [], policy=RegistrarPolicy(), flow_for=lambda *_: None, now=0.0, wall_now=0.0
        )
    except PeerError:
        return
    assert len(update.put) <= 10
    assert all(60 <= binding.expires_at <= 7200 for binding in update.put)
