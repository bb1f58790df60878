# SPDX-License-Identifier: Apache-2.0
"""What the simulator found, each as the shortest story that shows it."""

import asyncio

from ringback.server.app import Server
from ringback.server.config import ProxySettings, Settings, SipSettings
from ringback.server.identity import Identity
from ringback.server.storage import MemoryStore
from ringback.sip.flow import Address
from ringback.testing import Network, Peer, run
from ringback.testing.simulation import DOMAIN, NO_TLS, SERVER, Subscribers
from ringback.ua.phone import Phone

CALLER = Address("10.0.0.9", 5060)
PHONE_HOST = "10.0.0.13"


def test_a_caller_who_gives_up_while_the_phone_is_unreachable_gets_487():
    """Seed 244: the phone's connection broke, a new one was being opened, and the CANCEL came."""

    async def main() -> int:
        network = Network()
        identity = Identity(domain=DOMAIN, advertised=(SERVER.host,), realm=DOMAIN, secret=b"s" * 32)
        settings = Settings(
            sip=SipSettings(domain=DOMAIN, host=(SERVER.host,)), proxy=ProxySettings(strangers_may_call=True)
        )
        server = Server(
            settings,
            identity,
            subscribers=Subscribers(),
            store=MemoryStore(),
            network=network.host(SERVER.host),
            dns=network.dns,
        )
        await server.start()
        phone = Phone(
            f"sip:103@{DOMAIN}",
            "secret-103",
            server=str(SERVER),
            transport="tcp",
            host=PHONE_HOST,
            port=5060,
            tls=NO_TLS,
            network=network.host(PHONE_HOST),
            dns=network.dns,
        )
        await phone.start()
        network.cut(SERVER.host, PHONE_HOST)
        network.reset_streams()
        await asyncio.sleep(0.1)

        caller = await Peer.bind(network.host(CALLER.host), CALLER)
        invite = caller.request(
            "INVITE", f"sip:103@{DOMAIN}", remote=SERVER, headers=[("Contact", f"<sip:{CALLER}>")]
        )
        await caller.expect(100)
        await asyncio.sleep(1)
        caller.send(invite.replace(b"INVITE", b"CANCEL"), SERVER)
        await caller.expect(200)
        refusal = await caller.expect(487, timeout=5)
        caller.send(invite.replace(b"INVITE", b"ACK"), SERVER)
        await asyncio.sleep(60)
        pending = sum(server.stack.pending)
        network.heal()
        await phone.close()
        await server.close()
        caller.close()
        assert pending == 0
        return int(refusal.status)

    assert run(main()) == 487
