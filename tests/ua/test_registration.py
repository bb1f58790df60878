# SPDX-License-Identifier: Apache-2.0
"""A phone registers, stays registered, and leaves as it came; in virtual time, with a scripted registrar."""

import asyncio
import itertools

import pytest
from phones import ALICE, BehindNat, phone
from scripted_server import HOST, ScriptedServer, accept_register, challenging

from ringback.sip.digest import ha1
from ringback.sip.message import Request
from ringback.testing import Network, run
from ringback.ua.errors import AuthenticationFailed, Forbidden, ServerError, Unreachable
from ringback.ua.registration import RegistrationState


def registering(network, **options):
    options.setdefault("address", f"sip:101@{HOST}")
    return phone(network, "101", ALICE, register=True, **options)


def expires_of(request):
    return request.headers.get("Expires")


def test_a_phone_registers_and_takes_back_its_own_contact_at_the_end():
    async def main():
        network = Network(seed=1)
        server = await ScriptedServer.start(network)
        async with registering(network) as mine:
            assert mine.registered
            assert mine.registration.granted == 600
        await server.close()
        return server.requests

    register, unregister = run(main())
    assert register.target == f"sip:{HOST}"
    assert str(register.to.uri) == str(register.from_.uri) == f"sip:101@{HOST}"
    (contact,) = register.contacts
    assert str(contact.uri) == f"sip:101@{ALICE}:5060"
    assert contact.parameter("+sip.instance").startswith("<urn:uuid:")
    assert contact.parameter("reg-id") is None
    assert "path" in register.supported
    (gone,) = unregister.contacts
    assert (str(gone.uri), gone.parameter("expires")) == (str(contact.uri), "0")
    assert register.call_id == unregister.call_id
    assert unregister.cseq.number > register.cseq.number


def test_it_refreshes_before_the_granted_time_is_over_and_not_always_at_the_same_moment():
    async def main():
        network = Network(seed=2)

        def short(request, flow):
            status, headers = accept_register(request, flow)
            return status, [headers[0], ("Expires", "100")]

        server = await ScriptedServer.start(network, short)
        async with registering(network):
            await asyncio.sleep(1000)
        await server.close()
        return server.times[:-1]

    times = run(main())
    gaps = [after - before for before, after in itertools.pairwise(times)]
    assert len(gaps) >= 10
    assert all(75 <= gap <= 91 for gap in gaps)
    assert len({round(gap, 3) for gap in gaps}) > 5


def test_the_expires_of_our_own_contact_is_what_counts():
    async def main():
        network = Network(seed=3)

        def script(request, flow):
            mine = str(request.contacts[0].with_parameter("expires", "77"))
            return 200, [("Contact", "<sip:101@10.0.0.99>;expires=5"), ("Contact", mine), ("Expires", "3600")]

        server = await ScriptedServer.start(network, script)
        async with registering(network) as mine:
            granted = mine.registration.granted
        await server.close()
        return granted

    assert run(main()) == 77


@pytest.mark.parametrize("secret", ["password", "ha1"])
def test_a_challenge_is_answered(secret):
    async def main():
        network = Network(seed=4)
        server = await ScriptedServer.start(network, challenging(accept_register))
        ha1s = {"SHA-256": ha1("101", "example.com", "s3cret", "SHA-256")}
        how = {"password": "s3cret"} if secret == "password" else {"ha1s": ha1s}
        async with registering(network, **how) as mine:
            assert mine.registered
            assert mine.agent.credentials.realm == "example.com"
        await server.close()
        return [request.cseq.number for request in server.requests]

    numbers = run(main())
    assert numbers == sorted(set(numbers))


def test_a_server_that_never_stops_challenging_gets_two_answers_at_most():
    async def main():
        network = Network(seed=5)
        count = 0

        def script(request, flow):
            nonlocal count
            count += 1
            return 401, [
                (
                    "WWW-Authenticate",
                    f'Digest realm="x", nonce="n{count}", stale=true, algorithm=SHA-256, qop="auth"',
                )
            ]

        server = await ScriptedServer.start(network, script)
        with pytest.raises(AuthenticationFailed, match="401"):
            async with registering(network, password="s3cret"):
                pass
        await server.close()
        assert network.host(ALICE).open_sockets == 0
        return count

    assert run(main()) == 3


def test_a_wrong_password_is_asked_about_once():
    async def main():
        network = Network(seed=5)

        def script(request, flow):
            return 401, [("WWW-Authenticate", 'Digest realm="x", nonce="n", algorithm=MD5')]

        server = await ScriptedServer.start(network, script)
        with pytest.raises(AuthenticationFailed):
            async with registering(network, password="wrong"):
                pass
        await server.close()
        return len(server.requests)

    assert run(main()) == 2


def test_an_interval_too_brief_is_lengthened():
    async def main():
        network = Network(seed=6)

        def script(request, flow):
            if int(expires_of(request)) < 1800 and expires_of(request) != "0":
                return 423, [("Min-Expires", "1800")]
            return accept_register(request, flow)

        server = await ScriptedServer.start(network, script)
        async with registering(network) as mine:
            granted = mine.registration.granted
        await server.close()
        return granted, [expires_of(request) for request in server.requests]

    assert run(main()) == (1800, ["600", "1800", "0"])


def test_refusals_are_raised_at_the_start():
    async def main(status, error):
        network = Network(seed=7)
        server = await ScriptedServer.start(network, lambda request, flow: (status, []))
        with pytest.raises(error):
            async with registering(network):
                pass
        await server.close()

    run(main(403, Forbidden))
    run(main(500, ServerError))


def test_no_server_at_all_is_unreachable():
    async def main():
        with pytest.raises(Unreachable):
            async with registering(Network(seed=8)):
                pass

    run(main())


def test_a_server_that_goes_away_is_tried_again_with_growing_pauses_and_its_retry_after_is_heeded():
    async def main():
        network = Network(seed=9)
        state = {"works": True}

        def script(request, flow):
            return accept_register(request, flow) if state["works"] else (503, [("Retry-After", "700")])

        server = await ScriptedServer.start(network, script)
        states = []
        mine = registering(network)
        mine.on_registration(states.append)
        async with mine:
            state["works"] = False
            await asyncio.sleep(700)
            assert not mine.registered
            assert mine.registration.failure.status == 503
            failed_at = server.times[-1]
            state["works"] = True
            await asyncio.sleep(800)
            assert mine.registered
            assert 700 <= server.times[2] - failed_at < 760
        await server.close()
        return states

    states = run(main())
    assert states[:2] == [RegistrationState.REGISTERING, RegistrationState.REGISTERED]
    assert RegistrationState.FAILED in states
    assert states[-1] is RegistrationState.UNREGISTERED


def test_waiting_times_grow_while_nobody_answers():
    async def main():
        network = Network(seed=10)
        server = await ScriptedServer.start(network)
        async with registering(network):
            server.script = lambda request, flow: (500, [])
            await asyncio.sleep(6000)
            server.script = accept_register
        await server.close()
        return server.times

    times = run(main())
    gaps = [after - before for before, after in itertools.pairwise(times[1:])]
    assert 30 <= gaps[0] <= 60
    assert gaps[3] > 2 * gaps[0]
    assert max(gaps) <= 1800


def test_behind_a_nat_the_contact_becomes_what_the_server_saw():
    async def main():
        network = Network(seed=11)
        server = await ScriptedServer.start(network)
        async with registering(network, view=BehindNat(network, ALICE)):
            pass
        await server.close()
        return server

    server = run(main())
    first, second, gone = server.requests
    seen = f"{server.flows[0].remote}"
    assert str(first.contacts[0].uri) == f"sip:101@{BehindNat.PRIVATE}:5060"
    assert [str(contact.uri) for contact in second.contacts] == [
        f"sip:101@{seen}",
        f"sip:101@{BehindNat.PRIVATE}:5060",
    ]
    assert [contact.parameter("expires") for contact in second.contacts] == [None, "0"]
    assert str(gone.contacts[0].uri) == f"sip:101@{seen}"


def test_the_way_through_the_nat_is_kept_open():
    async def main():
        network = Network(seed=12)
        server = await ScriptedServer.start(network)
        pings = []
        network.watchers.append(
            lambda delivery: pings.append(delivery[0]) if delivery[4] == b"\r\n\r\n" else None
        )
        async with registering(network):
            await asyncio.sleep(200)
        await server.close()
        return pings

    pings = run(main())
    assert 6 <= len(pings) <= 8


def test_over_tcp_the_connection_is_kept_and_a_broken_one_is_replaced_at_once():
    async def main():
        network = Network(seed=13)
        server = await ScriptedServer.start(network)
        async with registering(network, transport="tcp") as mine:
            (contact,) = server.requests[0].contacts
            assert contact.parameter("reg-id") == "1"
            assert contact.uri.transport == "TCP"
            assert "outbound" in server.requests[0].supported
            await asyncio.sleep(1)
            network.host(HOST).reset_streams()
            await asyncio.sleep(40)
            assert len(server.requests) == 2
            assert server.flows[0].connection != server.flows[1].connection
            assert mine.registered
        await server.close()
        return [request.contacts[0].parameter("+sip.instance") for request in server.requests]

    instances = run(main())
    assert len(instances) == 3
    assert len(set(instances)) == 1


def test_the_service_route_is_the_way_out_afterwards():
    async def main():
        network = Network(seed=14)

        def script(request, flow):
            if request.method == "REGISTER":
                status, headers = accept_register(request, flow)
                return status, [*headers, ("Service-Route", f"<sip:orig@{HOST};lr>")]
            return 200, []

        server = await ScriptedServer.start(network, script)
        async with registering(network) as mine:
            await mine.message("bob@example.org", "hello")
        await server.close()
        return next(request for request in server.requests if request.method == "MESSAGE")

    message = run(main())
    assert message.target == "sip:bob@example.org"
    assert [str(route) for route in message.routes] == [f"<sip:orig@{HOST};lr>"]


def test_a_registrar_is_found_by_srv():
    async def main():
        network = Network(seed=15)
        network.dns.srv("_sip._udp.example.com", "pbx.example.com", 5060)
        network.dns.a("pbx.example.com", HOST)
        server = await ScriptedServer.start(network)
        async with registering(network, address="sip:101@example.com") as mine:
            assert mine.registered
        await server.close()
        return server.requests[0].target

    assert run(main()) == "sip:example.com"


def test_a_phone_that_cannot_unregister_ends_all_the_same():
    async def main():
        network = Network(seed=16)
        server = await ScriptedServer.start(network)
        async with registering(network):
            server.script = lambda request, flow: None
        await server.close()
        return asyncio.get_running_loop().time()

    assert run(main()) < 6


def test_our_own_server_may_call_us_by_any_number_and_strangers_may_not():
    async def main():
        network = Network(seed=17)
        server = await ScriptedServer.start(network)
        stranger = await ScriptedServer.start(network, host="10.0.0.66")
        statuses = []
        async with registering(network):
            for caller in (server, stranger):
                target = f"sip:+442079460018@{ALICE}:5060"
                request = Request.new(
                    "OPTIONS",
                    target,
                    from_="<sip:x@y>;tag=1",
                    to=f"<{target}>",
                    call_id=f"{id(caller)}",
                    cseq=1,
                )
                statuses.append((await caller.driver.request(request)).status)
        await server.close()
        await stranger.close()
        return statuses

    assert run(main()) == [200, 404]
