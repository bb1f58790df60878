# SPDX-License-Identifier: Apache-2.0
"""Does the scripted peer say and hear what a script asks, and complain about everything else?"""

import ast
import importlib
import textwrap

import pytest

from ringback.sip.flow import Address
from ringback.sip.message.message import Request, Response
from ringback.sip.message.parser import check_request, check_response, parse_message
from ringback.testing import Network, Peer, Unexpected, messages, run

A, B = Address("10.0.0.1", 5060), Address("10.0.0.2", 5060)


async def peers(network: Network) -> tuple[Peer, Peer]:
    return await Peer.bind(network.host(A.host), A), await Peer.bind(network.host(B.host), B)


def test_two_peers_follow_a_script():
    async def main() -> list[int]:
        alice, bob = await peers(Network())
        alice.request("INVITE", "sip:bob@10.0.0.2", remote=bob.local, body=b"v=0\r\n")
        invite = await bob.expect("INVITE")
        assert invite.body == b"v=0\r\n"
        for status in (100, 180, 200):
            bob.reply(status)
        final = await alice.expect(200, skip=[100, 180])
        assert final.to.tag == "peer"
        alice.close()
        bob.close()
        return [parse_message(data).status for data in alice.heard]

    assert run(main()) == [100, 180, 200]


def test_another_message_than_expected_is_unexpected():
    async def main() -> None:
        alice, bob = await peers(Network())
        alice.request("OPTIONS", "sip:bob@10.0.0.2", remote=bob.local)
        with pytest.raises(Unexpected, match="expected INVITE, heard: b'OPTIONS"):
            await bob.expect("INVITE")
        with pytest.raises(Unexpected, match="nothing came in 5 s"):
            await bob.expect("INVITE", timeout=5)
        alice.request("OPTIONS", "sip:bob@10.0.0.2", remote=bob.local)
        with pytest.raises(Unexpected, match="expected silence"):
            await bob.expect_silence(1)
        await bob.expect_silence(1)

    run(main())


def test_a_peer_on_tcp_accepts_connects_and_sees_the_end():
    async def main() -> str:
        network = Network()
        bob = await Peer.listen(network.host(B.host), B)
        alice = await Peer.connect(network.host(A.host), B)
        alice.request("OPTIONS", "sip:bob@10.0.0.2")
        request = await bob.expect("OPTIONS")
        assert request.top_via.transport == "TCP"
        bob.reply(200)
        await alice.expect(200)
        bob.reset()
        end = await alice.expect_end()
        bob.close()
        return end

    assert run(main()) == "connection reset by peer"


@pytest.mark.parametrize("method", ["OPTIONS", "INVITE", "REGISTER", "MESSAGE", "BYE"])
def test_made_messages_are_valid(method: str):
    data = messages.request(
        method, "sip:bob@example.com", headers=[("Contact", "<sip:alice@10.0.0.1>")], body=b"x"
    )
    request = parse_message(data)
    assert isinstance(request, Request)
    check_request(request)
    response = parse_message(messages.response(data, 200, body=b"y"))
    assert isinstance(response, Response)
    check_response(response)
    assert (response.status, response.call_id, response.to.tag) == (200, request.call_id, "bob")


@pytest.mark.parametrize("module", ["clock", "names", "network", "messages", "peer"])
def test_the_example_in_the_docstring_runs(module: str):
    doc = importlib.import_module(f"ringback.testing.{module}").__doc__
    assert doc is not None
    lines = [line for line in doc.splitlines() if line.startswith("    ") or not line]
    code = textwrap.dedent("\n".join(lines))
    assert "assert" in code
    exec(compile(ast.parse(code), module, "exec"), {})
