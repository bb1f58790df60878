# SPDX-License-Identifier: Apache-2.0
"""Odd requests in every combination, from strangers and from users: each is answered, and none is our fault."""

import asyncio
import logging

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from server_rig import DOMAIN, Rig, on_a_server, with_proxy

from ringback.sip.message.message import Request, Response
from ringback.sip.message.parser import parse_message

METHODS = st.sampled_from(
    [
        "REGISTER",
        "INVITE",
        "OPTIONS",
        "MESSAGE",
        "SUBSCRIBE",
        "BYE",
        "NOTIFY",
        "REFER",
        "ACK",
        "CANCEL",
        "x!y",
    ]
)
URIS = st.sampled_from(
    [
        f"sip:{DOMAIN}",
        f"sip:102@{DOMAIN}",
        f"sips:102@{DOMAIN}",
        f"sip:102@{DOMAIN};lr;transport=tcp;method=INVITE?Route=%3Csip:evil%3E",
        "sip:10.0.0.1:5060;lr",
        "sip:102@10.0.0.12:5060",
        "sip:%00@ringback.test",
        "sip:102@[2001:db8::9]",
        "sip:102@elsewhere.test",
        "tel:+49-(30)12;ext=5",
        "tel:102",
        "urn:service:sos",
        "http://example.com/",
        "sip:102@" + "a" * 200,
        "sip:;;x=y@ringback.test",
    ]
)
ADDRESSES = st.one_of(
    URIS.map(lambda uri: f"<{uri}>"),
    URIS.map(lambda uri: f"<{uri}>;tag=t1"),
    st.just(f"<sip:101@{DOMAIN}>;tag=t0"),
    st.just('"\\"odd, name\\"" <sip:101@ringback.test>;tag=x;y="z;"'),
)
HEADERS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["Route", "Record-Route", "Path", "Contact"]), ADDRESSES),
        st.tuples(
            st.just("Contact"), st.sampled_from(["*", "<sip:a@b>;q=9;expires=x", "sip:a@b;q=0.5", "<tel:1>"])
        ),
        st.tuples(st.just("Expires"), st.sampled_from(["0", "1", "60", "4294967295", "99999999999", "-1"])),
        st.tuples(st.just("Max-Breadth"), st.sampled_from(["0", "1", "60", "999999"])),
        st.tuples(
            st.sampled_from(["Require", "Proxy-Require", "Supported"]),
            st.sampled_from(["path", "outbound", "x"]),
        ),
        st.tuples(st.just("Privacy"), st.sampled_from(["id", "none", "id;critical", ";"])),
        st.tuples(
            st.sampled_from(["Authorization", "Proxy-Authorization"]),
            st.sampled_from(
                [
                    "Digest",
                    "Bearer abc",
                    f'Digest realm="{DOMAIN}"',
                    f'Digest realm="{DOMAIN}", username="101", nonce="x", uri="sip:x", response="y", nc=zz, qop=auth',
                    f'Digest realm="{DOMAIN}", username="\u00e9\u0663", nonce="{"0" * 56}", uri="::", response="y"',
                ]
            ),
        ),
        st.tuples(st.just("P-Asserted-Identity"), ADDRESSES),
        st.tuples(st.just("Reason"), st.sampled_from(["SIP;cause=200", "?"])),
    ),
    max_size=5,
)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(METHODS, URIS, ADDRESSES, ADDRESSES, HEADERS, st.booleans())
def test_every_odd_request_is_answered_and_none_is_our_fault(
    caplog: pytest.LogCaptureFixture,
    method: str,
    target: str,
    from_: str,
    to: str,
    headers: list[tuple[str, str]],
    is_user: bool,
) -> None:
    async def test(rig: Rig) -> None:
        bob = await rig.phone("102", "10.0.0.12")
        device = await rig.device("101", "10.0.0.11")
        sender = f"<{device.address}>;tag=me" if is_user else from_
        sent = device.send(method, target, from_=sender, to=to, headers=headers)
        await asyncio.sleep(0.1)
        last = parse_message(device.peer.heard[-1]) if device.peer.heard else None
        if isinstance(last, Response) and last.status in (401, 407):
            device.resend_with_credentials(sent, last)
            await asyncio.sleep(0.1)
        if method != "ACK":
            answered = any(data.startswith(b"SIP/2.0") for data in device.peer.heard)
            passed_on = any(isinstance(parse_message(data), Request) for data in bob.peer.heard)
            assert answered or passed_on or method not in ("INVITE", "REGISTER", "CANCEL")
        bob.peer.close()
        await asyncio.sleep(400)
        assert rig.state == (0, 0, 0, 0, 0)

    caplog.clear()
    on_a_server(test, settings=with_proxy(strangers_may_call=True))
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
