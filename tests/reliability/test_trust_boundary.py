# SPDX-License-Identifier: Apache-2.0
"""What peers write about others, and how they spell it: RELIABILITY 2.1, rows 5, 11, 12 and 51."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reliability_rig import QUIET, answers_to, assert_alive, changed, lines_of, request, stranger
from server_rig import DOMAIN, SERVER, Device, Rig, on_a_server, with_proxy

from ringback.server.asserted_identity import CLAIMS
from ringback.sip.errors import PeerError
from ringback.sip.flow import Address
from ringback.sip.message.uri import NameAddr, SipUri
from ringback.testing import Peer, messages

CANARY = b"canary-4711"

#: How one header field name can be written, or nearly.
SPELLINGS = {
    "as it is": lambda name: name + b": ",
    "small": lambda name: name.lower() + b": ",
    "capitals": lambda name: name.upper() + b": ",
    "no blank": lambda name: name + b":",
    "blank before the colon": lambda name: name + b" : ",
    "tab before the colon": lambda name: name + b"\t: ",
    "many blanks": lambda name: name + b" \t \t : \t",
    "fold after the colon": lambda name: name + b":\r\n ",
    "fold before the colon": lambda name: name + b"\r\n : ",
    "blank before the name": lambda name: b" " + name + b": ",
    "NUL in the name": lambda name: name[:2] + b"\0" + name[2:] + b": ",
    "long s": lambda name: name.replace(b"s", "ſ".encode()).replace(b"S", "ſ".encode()) + b": ",
    "zero width": lambda name: "\u200b".encode() + name + b": ",
    "no-break space": lambda name: name + "\u00a0".encode() + b": ",
    "bare LF before": lambda name: b"X: y\n" + name + b": ",
    "bare CR before": lambda name: b"X: y\r" + name + b": ",
}


def claim(spelling: str, name: str) -> bytes:
    return SPELLINGS[spelling](name.encode()) + b"<sip:" + CANARY + b"@example.com>"


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_no_spelling_of_a_claim_about_the_caller_gets_past_us(spelling: str) -> None:
    """Rows 5 and 51: a phone may write what it likes; the other phone hears our own assertion only."""

    async def test(rig: Rig) -> None:
        anna, bob = await rig.phone("101", "10.0.0.11"), await rig.phone("102", "10.0.0.12")
        for name in CLAIMS:
            sent = anna.send("INVITE", f"sip:102@{DOMAIN}", headers=[("Contact", f"<{anna.contact}>")])
            challenge = await anna.peer.expect(407)
            line = claim(spelling, name)
            data = anna.with_credentials(sent, challenge)
            head, _, _ = data.partition(b"\r\n\r\n")
            heard = len(bob.peer.heard)
            answers = await answers_to(anna.peer, head + b"\r\n" + line + b"\r\n\r\n")
            new = bob.peer.heard[heard:]
            assert len(new) >= 1 or answers == [400]
            assert not any(key in KEYS and CANARY in value for data in new for key, value in lines_of(data))

    on_a_server(test)


KEYS = {name.lower().encode() for name in CLAIMS}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_no_claim_of_the_callee_gets_past_us_either(spelling: str) -> None:
    """Rows 5 and 51: in responses; a malformed one is dropped."""

    async def test(rig: Rig) -> None:
        anna, bob = await rig.phone("101", "10.0.0.11"), await rig.phone("102", "10.0.0.12")
        await anna.call(f"sip:102@{DOMAIN}")
        await bob.peer.expect("INVITE")
        for name in CLAIMS:
            bob.peer.send(ringing(bob, claim(spelling, name)))
        await asyncio.sleep(1)
        for data in anna.peer.heard:
            assert not any(key in KEYS and CANARY in value for key, value in lines_of(data))
        await assert_alive(rig)

    on_a_server(test)


def ringing(device: Device, line: bytes) -> bytes:
    """The 180 to the INVITE heard last, with one line more."""
    invite = next(data for data in reversed(device.peer.heard) if data.startswith(b"INVITE"))
    data = messages.response(invite, 180, tag="peer")
    head, gap, body = data.partition(b"\r\n\r\n")
    return head + b"\r\n" + line + gap + body


def test_a_stranger_is_not_believed_either() -> None:
    """Row 51: where strangers may call, they name themselves in From and nowhere else."""

    async def test(rig: Rig) -> None:
        bob = await rig.phone("102", "10.0.0.12")
        eve = await stranger(rig)
        headers = [(name, f"<sip:{CANARY.decode()}@{DOMAIN}>") for name in CLAIMS]
        eve.request("INVITE", f"sip:102@{DOMAIN}", remote=SERVER, headers=headers)
        await bob.peer.expect("INVITE")
        assert CANARY not in bob.peer.heard[-1]

    on_a_server(test, settings=with_proxy(strangers_may_call=True))


URIS = [
    "sip:@",
    "sip:",
    "sip:a@",
    "sip:a@b@c",
    "sip:a@b:",
    "sip:a@b:0x50",
    "sip:a@b:99999",
    "sip:a@b:5060:5061",
    "sip:%00@example.com",
    "sip:a%0d%0aRequire:x@example.com",
    "sip:a%",
    "sip:a%zz@b",
    "sip:a@b;;lr;lr",
    "sip:a@b;lr;lr",
    "sip:a@b;=x",
    "sip:a@b;transport=",
    "sip:a@b;maddr=[::1",
    "sip:a@[::1",
    "sip:a@::1",
    "sip:a@b?Route=%3Csip:evil%3E",
    "sip:a@b?=x",
    "sip:a@b?x=y?z",
    "sip:" + "a" * 1900 + "@" + DOMAIN,
    "sip:" + "a" * 4096 + "@" + DOMAIN,
    "sip:a@" + "a" * 300,
    "sip:a@-b",
    "sip:a@b..c",
    "sip:a:b:c@" + DOMAIN,
    "sips:a@b;transport=udp",
    "tel:+1-2-3;phone-context=",
    "tel:",
    "tel:;x",
    "<sip:a@b>",
    '"x"<sip:a@b>',
    "sip:a@b>",
    "*",
    "sip:\u202e101@" + DOMAIN,
]


def with_uri(data: bytes, place: str, uri: str) -> bytes:
    """The request with `uri` in one place."""
    if place == "Request-URI":
        return data.replace(f"sip:102@{DOMAIN}".encode(), uri.encode(), 1)
    line = f"{place}: <{uri}>".encode()
    if place in ("From", "To"):
        return changed(data, place.encode(), line + b";tag=x")
    head, gap, body = data.partition(b"\r\n\r\n")
    return head + b"\r\n" + line + gap + body


@pytest.mark.parametrize("method", ["INVITE", "REGISTER"])
@pytest.mark.parametrize("place", ["Request-URI", "From", "To", "Contact", "Route", "Record-Route", "Path"])
def test_a_bent_uri_in_any_place_gets_a_refusal_and_nothing_else(place: str, method: str) -> None:
    """Row 11: strict grammar; whatever is let in leads nowhere without a password."""

    async def test(rig: Rig) -> None:
        bob = await rig.phone("102", "10.0.0.12")
        await asyncio.sleep(60)
        peer = await stranger(rig)
        for uri in URIS:
            data = request(peer=peer, method=method, target=f"sip:102@{DOMAIN}")
            (status,) = await answers_to(peer, with_uri(data, place, uri))
            assert 400 <= status < 500, uri
        assert rig.state == QUIET
        await bob.peer.expect_silence(1)

    on_a_server(test)


HEADERS_IN_A_URI = (
    "Route=%3Csip:victim.test%3Blr%3E&X-Evil=1&From=%3Csip:x%40y%3E&Content-Length=5&Via=SIP&body=x"
)


def test_header_fields_in_a_registered_contact_never_become_header_fields() -> None:
    """Row 11: RFC 3261 19.1.5 would let a Contact write the request that is sent to it."""

    async def test(rig: Rig) -> None:
        victim = await stranger(rig, "192.0.2.77")
        rig.network.dns.a("victim.test", "192.0.2.77")
        anna, bob = await rig.phone("101", "10.0.0.11"), await rig.device("102", "10.0.0.12")
        await bob.register(contact=f"<{bob.contact};method=BYE?{HEADERS_IN_A_URI}>")
        await anna.call(f"sip:102@{DOMAIN}")
        invite = await bob.peer.expect("INVITE")
        assert invite.target == bob.contact
        assert not {b"x-evil", b"route"} & {name for name, _ in lines_of(bob.peer.heard[-1])}
        await victim.expect_silence(1)

    on_a_server(test)


def test_header_fields_in_a_redirection_never_become_header_fields() -> None:
    """Row 11: a phone that answers 302 names an address, not a request."""

    async def test(rig: Rig) -> None:
        anna, bob = await rig.phone("101", "10.0.0.11"), await rig.phone("102", "10.0.0.12")
        carol = await rig.phone("103", "10.0.0.13")
        await anna.call(f"sip:102@{DOMAIN}")
        await bob.peer.expect("INVITE")
        bob.peer.reply(302, headers=[("Contact", f"<sip:103@{DOMAIN}?{HEADERS_IN_A_URI}>")])
        await carol.peer.expect("INVITE")
        names = {name for name, _ in lines_of(carol.peer.heard[-1])}
        assert not {b"x-evil", b"route"} & names

    on_a_server(test)


TEXT = st.text(st.characters(blacklist_categories=["Cs"]), max_size=30)
WITHOUT_LINE_ENDS = TEXT.filter(lambda text: not set(text) & set("\r\n\0"))


@settings(max_examples=200, deadline=None)
@given(user=TEXT, value=TEXT, display=WITHOUT_LINE_ENDS, parameter=WITHOUT_LINE_ENDS)
def test_no_octet_of_a_refer_to_changes_any_key_but_its_own_value(
    user: str, value: str, display: str, parameter: str
) -> None:
    """Row 12: what others write goes into structures, and comes out of the printed text as it went in."""
    uri = SipUri(user or "x", "example.com", headers=(("Replaces", value), ("Subject", "s")))
    uri = uri.with_parameter("method", "INVITE")
    address = NameAddr(uri, display).with_parameter("x", parameter).with_parameter("y", "1")
    try:
        printed = str(address)
        again = NameAddr.parse(printed)
    except (PeerError, ValueError):
        return  # refused as a whole: nothing was changed either
    assert isinstance(again.uri, SipUri)
    assert dict(again.uri.headers) == {"Replaces": value, "Subject": "s"}
    assert (again.uri.user, again.uri.host, again.display_name) == (user or "x", "example.com", display)
    assert [again.parameter(name) for name in ("x", "y")] == [parameter, "1"]
    assert [name for name, _ in again.parameters] == ["x", "y"]


HOSTILE_VALUES = [
    "<sip:x@y?Replaces=a%3Bto-tag%3D1>;a=b,c=d",
    '"a,b;c=d" <sip:x@y>',
    "<sip:x@y>,<sip:evil@example.com>",
    "${12:expr},variable=value,[leg_timeout=1]",
    "call;to-tag=1;from-tag=2;early-only",
]


@pytest.mark.parametrize("name", ["Refer-To", "Replaces", "Diversion", "Referred-By", "X-Dial", "Join"])
def test_no_header_field_of_a_call_changes_where_it_goes(name: str) -> None:
    """Row 12: the Request-URI and our own records decide, and the value passes octet for octet or not at all."""

    async def test(rig: Rig) -> None:
        rig.network.dns.a("evil.example.com", "192.0.2.77")
        victim = await Peer.bind(rig.network.host("192.0.2.77"), Address("192.0.2.77", 5060))
        anna, bob = await rig.phone("101", "10.0.0.11"), await rig.phone("102", "10.0.0.12")
        for value in HOSTILE_VALUES:
            leg = await anna.call(f"sip:102@{DOMAIN}", headers=[(name, value)])
            invite = await bob.peer.expect("INVITE", skip=("ACK",))
            assert invite.target == bob.contact
            heard = next(data for data in reversed(bob.peer.heard) if data.startswith(b"INVITE"))
            assert dict(lines_of(heard)).get(name.lower().encode()) in (None, value.encode())
            bob.peer.reply(486)
            await leg.answered(486)
        await victim.expect_silence(1)

    on_a_server(test)
