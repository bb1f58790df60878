# SPDX-License-Identifier: Apache-2.0
"""Do calls that are over leave work to the garbage collector? Its pauses would be heard by everybody else."""

import asyncio
import gc
from collections.abc import Sequence

from server_rig import DOMAIN, SERVER, Rig, on_a_server, with_proxy

from ringback.sip.flow import Address
from ringback.testing import messages
from ringback.testing.network import MemoryDatagramSocket

CALLS = 1000


class Caller:
    """Calls 102 again and again: INVITE, ACK, BYE."""

    def __init__(self) -> None:
        self.socket: MemoryDatagramSocket
        self.over = 0

    def call(self) -> None:
        invite = messages.request(
            "INVITE",
            f"sip:102@{DOMAIN}",
            via=f"SIP/2.0/UDP {self.socket.local}",
            from_="<sip:eve@elsewhere.example>;tag=e",
            headers=[("Contact", f"<sip:eve@{self.socket.local}>")],
        )
        self.socket.send(invite, SERVER)

    def received(self, batch: Sequence[tuple[bytes, Address]]) -> None:
        for data, _source in batch:
            if data.startswith(b"SIP/2.0 200") and b" INVITE\r\n" in data:
                for method in ("ACK", "BYE"):
                    self.socket.send(in_dialog(method, data, f"SIP/2.0/UDP {self.socket.local}"), SERVER)
            elif data.startswith(b"SIP/2.0 200"):
                self.over += 1
                if self.over < CALLS:
                    self.call()


class Callee:
    """Rings, answers, and agrees to everything."""

    def __init__(self) -> None:
        self.socket: MemoryDatagramSocket

    def received(self, batch: Sequence[tuple[bytes, Address]]) -> None:
        for data, _source in batch:
            if data.startswith((b"INVITE", b"BYE", b"OPTIONS")):
                contact = [("Contact", f"<sip:102@{self.socket.local}>")]
                if data.startswith(b"INVITE"):
                    self.socket.send(messages.response(data, 180, headers=contact), SERVER)
                self.socket.send(messages.response(data, 200, headers=contact), SERVER)


def in_dialog(method: str, answer: bytes, via: str) -> bytes:
    """A request of the caller, from the octets of a 200."""
    named: dict[bytes, list[bytes]] = {}
    for line in answer.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]:
        name, _, value = line.partition(b": ")
        named.setdefault(name, []).append(value)
    return messages.request(
        method,
        named[b"Contact"][0].strip(b"<>").decode(),
        via=via,
        from_=named[b"From"][0].decode(),
        to=named[b"To"][0].decode(),
        call_id=named[b"Call-ID"][0].decode(),
        cseq=1 if method == "ACK" else 2,
        headers=[("Route", route.decode()) for route in reversed(named[b"Record-Route"])],
    )


def test_a_thousand_calls_leave_next_to_nothing_to_the_garbage_collector() -> None:
    async def test(rig: Rig) -> None:
        bob = await rig.phone("102", "10.0.0.12", port=5070)
        bob.peer.close()
        callee, caller = Callee(), Caller()
        callee.socket = await rig.network.host("10.0.0.12").bind_datagram(
            Address("10.0.0.12", 5070), callee.received
        )
        caller.socket = await rig.network.host("10.0.0.9").bind_datagram(
            Address("10.0.0.9", 5060), caller.received
        )
        gc.collect()
        gc.disable()
        try:
            caller.call()
            await asyncio.sleep(120)
            found = gc.collect()
        finally:
            gc.enable()
        assert caller.over == CALLS
        assert rig.state == (0, 0, 0, 0, 0)
        assert found <= 50, f"{found} objects in circles"

    on_a_server(test, settings=with_proxy(strangers_may_call=True))
