# SPDX-License-Identifier: Apache-2.0
"""What a tap on the driver hears: everything that is worked on or sent, in order, and nothing that was not."""

from collections.abc import Sequence

from element import Element

from ringback.sip.flow import Address, Flow, Transport
from ringback.testing import Network, Peer, run


def test_a_tap_hears_requests_and_answers_in_their_order() -> None:
    heard: list[tuple[bool, str, str]] = []

    def tap(sent: bool, batch: Sequence[tuple[bytes, Flow]], now: float) -> None:
        assert now >= 0
        heard.extend((sent, data.split(b" ")[0].decode(), flow.remote.host) for data, flow in batch)

    async def main() -> None:
        network = Network()
        bob = Element(network.host("10.0.0.2"), dns=network.dns)
        await bob.listen(Transport.UDP, Address("10.0.0.2", 5060))
        bob.driver.tap = tap
        peer = await Peer.bind(network.host("10.0.0.9"), Address("10.0.0.9", 5060))
        peer.request("OPTIONS", "sip:bob@10.0.0.2", remote=Address("10.0.0.2", 5060))
        await peer.hear()
        bob.driver.tap = None
        peer.request("OPTIONS", "sip:bob@10.0.0.2", remote=Address("10.0.0.2", 5060), call_id="other")
        await peer.hear()
        await bob.close()

    run(main())
    assert heard == [(False, "OPTIONS", "10.0.0.9"), (True, "SIP/2.0", "10.0.0.9")]


def test_what_a_dead_connection_could_not_take_was_not_sent() -> None:
    heard: list[bytes] = []

    async def main() -> int:
        network = Network()
        alice = Element(network.host("10.0.0.1"), dns=network.dns)
        await alice.listen(Transport.UDP, Address("10.0.0.1", 5060))
        alice.driver.tap = lambda sent, batch, now: heard.extend(data for data, _ in batch if sent)
        gone = Flow(Transport.TCP, Address("10.0.0.1", 5060), Address("10.0.0.9", 5060), 77)
        here = Flow(Transport.UDP, Address("10.0.0.1", 5060), Address("10.0.0.9", 5060))
        messages = [(b"one", gone), (b"two", here)]
        alice.driver.stack._outbox.messages += messages
        alice.driver.perform(lambda now: None)
        await alice.close()
        return len(messages)

    assert run(main()) == 2
    assert heard == [b"two"]
