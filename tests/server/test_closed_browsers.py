# SPDX-License-Identifier: Apache-2.0
"""Does a browser that is closed stop being registered, and one that comes back in time stay?"""

import asyncio

from server_rig import Rig, on_a_server

from ringback.server.binding import Binding
from ringback.server.closed_browsers import MOMENT
from ringback.sip.flow import Address, Flow, Transport

CONTACT = "sip:x7@df7jal23ls0d.invalid;transport=ws"


def flow(connection: int, transport: Transport = Transport.WSS) -> Flow:
    return Flow(transport, Address("10.0.0.1", 8443), Address("10.0.0.13", 50_000), connection)


def bound(rig: Rig, flow: Flow) -> None:
    """The browser of 102 registers over this connection."""
    now = rig.server.driver.now
    binding = Binding("102", CONTACT, f"<{CONTACT}>", now + 600, flow=flow)
    rig.server.location.commit("102", put=[binding], now=now)


def registered(rig: Rig) -> list[str]:
    return [record.key for record in rig.server.registrations()]


def test_a_closed_browser_is_forgotten_after_a_moment() -> None:
    async def test(rig: Rig) -> None:
        bound(rig, flow(7))
        rig.server.driver.flow_lost(flow(7), "closed")
        await asyncio.sleep(MOMENT - 1)
        assert registered(rig) == [CONTACT]
        await asyncio.sleep(2)
        assert registered(rig) == []

    on_a_server(test)


def test_a_browser_that_comes_back_in_time_stays() -> None:
    async def test(rig: Rig) -> None:
        bound(rig, flow(7))
        rig.server.driver.flow_lost(flow(7), "closed")
        await asyncio.sleep(MOMENT - 1)
        bound(rig, flow(8))
        await asyncio.sleep(MOMENT)
        assert registered(rig) == [CONTACT]

    on_a_server(test)


def test_a_desk_phone_whose_connection_ends_stays_registered() -> None:
    async def test(rig: Rig) -> None:
        bound(rig, flow(7, Transport.TLS))
        rig.server.driver.flow_lost(flow(7, Transport.TLS), "closed")
        await asyncio.sleep(2 * MOMENT)
        assert registered(rig) == [CONTACT]

    on_a_server(test)
