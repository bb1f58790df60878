# SPDX-License-Identifier: Apache-2.0
"""Can a stranger find out which users exist? Not by any octet of an answer, nor by its time: RELIABILITY 2.1, row 26."""

import asyncio
import gc
import re
import statistics
import time

import pytest
from reliability_office import DOMAIN, HOST, Office
from reliability_rig import request, stranger
from server_rig import DOMAIN as RIG_DOMAIN
from server_rig import Rig, answer_to, final, on_a_server

from ringback.sip.flow import Address, Flow, Transport
from ringback.sip.message.message import Response
from ringback.sip.message.parser import parse_message
from ringback.testing import Network, Peer, messages, run

METHODS = [
    "REGISTER",
    "INVITE",
    "OPTIONS",
    "MESSAGE",
    "SUBSCRIBE",
    "INFO",
    "REFER",
    "NOTIFY",
    "PUBLISH",
    "BYE",
    "UPDATE",
]
KNOWN, UNKNOWN = "102", "998"
#: Somebody with an account, somebody without, and both as the one who is asked for.
PAIRS = [(caller, callee) for caller in (KNOWN, UNKNOWN) for callee in (KNOWN, UNKNOWN)]


def without_nonce(data: bytes) -> bytes:
    """An answer as a stranger compares it: the names are the stranger's own, the nonce is always new."""
    return re.sub(rb'nonce="[0-9a-f]+"', b'nonce=""', data).replace(UNKNOWN.encode(), KNOWN.encode())


def asked(peer: Peer, method: str, caller: str, callee: str, **parts: object) -> bytes:
    target = f"sip:{RIG_DOMAIN}" if method == "REGISTER" else f"sip:{callee}@{RIG_DOMAIN}"
    to = f"<sip:{callee}@{RIG_DOMAIN}>"
    return request(
        peer=peer, method=method, target=target, from_=f"<sip:{caller}@{RIG_DOMAIN}>;tag=1", to=to,
        call_id="same@test", branch="z9hG4bKsame", headers=[("Contact", "<sip:x@198.51.100.9>")], **parts,
    )  # fmt: skip


@pytest.mark.parametrize("registered", [False, True], ids=["phone off", "phone on"])
@pytest.mark.parametrize("method", METHODS)
def test_answers_differ_in_nothing_but_the_nonce(method: str, registered: bool) -> None:
    """Row 26: every method, with and without a phone registered, from a local and from a foreign address."""

    async def test(rig: Rig) -> None:
        if registered:
            await rig.phone(KNOWN, "10.0.0.12")
        answers, foreign = set(), set()
        for caller, callee in PAIRS:
            peer = await stranger(rig)
            peer.send(asked(peer, method, caller, callee), Address("10.0.0.1", 5060))
            await final(peer)
            answers.add(without_nonce(peer.heard[-1]))
            data = asked(peer, method, caller, callee).replace(
                b"From: <sip:%b@ringback.test>" % caller.encode(), b"From: <sip:eve@example.com>"
            )
            peer.send(data, Address("10.0.0.1", 5060))
            await final(peer)
            foreign.add(without_nonce(peer.heard[-1]))
            peer.close()
        assert len(answers) == len(foreign) == 1

    on_a_server(test)


@pytest.mark.parametrize("method", ["REGISTER", "INVITE", "MESSAGE"])
def test_wrong_passwords_of_existing_and_missing_users_get_one_answer(method: str) -> None:
    """Row 26: at the first try, and when trying too often is slowed down."""

    async def test(rig: Rig) -> None:
        stories = set()
        for host, caller in (("198.51.100.9", KNOWN), ("198.51.101.9", UNKNOWN)):
            story = []
            peer = await stranger(rig, host)
            for number in range(9):
                data = asked(peer, method, caller, caller).replace(b"198.51.100.9", host.encode())
                peer.send(data.replace(b"same", b"a%d" % number), Address("10.0.0.1", 5060))
                challenge = await final(peer)
                target = data.split(b" ")[1].decode()
                line = answer_to(challenge, caller, "guess", method, target)
                name = b"Authorization: " if method == "REGISTER" else b"Proxy-Authorization: "
                data = data.replace(b"same", b"b%d" % number).replace(
                    b"\r\n\r\n", b"\r\n" + name + line.encode() + b"\r\n\r\n", 1
                )
                peer.send(data, Address("10.0.0.1", 5060))
                await final(peer)
                story.append(
                    re.sub(rb"tag=[0-9a-f]{8,}|198\.51\.10\d\.9", b"", without_nonce(peer.heard[-1]))
                )
            stories.add(tuple(story))
        assert len(stories) == 1

    on_a_server(test)


class Stopwatch:
    """Feeds requests into a server and takes the time of each, answer included."""

    def __init__(self, office: Office) -> None:
        self._driver = office.system.server.driver
        self._local = self._driver.endpoints[0].local
        self.answers: list[bytes] = []
        self._driver.watch(lambda sent, data, *_: self.answers.append(data) if sent else None)
        self._source = 0

    def flow(self) -> Flow:
        """A new source each time."""
        self._source += 1
        host = f"198.{18 + self._source // 65536}.{self._source // 256 % 256}.{self._source % 256}"
        return Flow(Transport.UDP, self._local, Address(host, 5060), 0, str(HOST))

    def time_of(self, data: bytes, flow: Flow) -> float:
        started = time.perf_counter()
        self._driver.receive(data, flow)
        return time.perf_counter() - started

    def attempt(self, method: str, user: str) -> tuple[float, float]:
        """Seconds for a request without credentials, and for one with wrong ones."""
        flow = self.flow()
        target = f"sip:{DOMAIN}" if method == "REGISTER" else f"sip:{user}@{DOMAIN}"
        address = f"<sip:{user}@{DOMAIN}>"
        via = f"SIP/2.0/UDP {flow.remote}"
        plain = messages.request(method, target, via=via, from_=f"{address};tag=1", to=address, call_id="a@b")
        first = self.time_of(plain, flow)
        challenge = parse_message(self.answers[-1])
        assert isinstance(challenge, Response)
        name = "Authorization" if challenge.status == 401 else "Proxy-Authorization"
        line = answer_to(challenge, user, "guess", method, target)
        wrong = messages.request(
            method,
            target,
            via=via,
            from_=f"{address};tag=1",
            to=address,
            call_id="a@b",
            cseq=2,
            headers=[(name, line)],
        )
        second = self.time_of(wrong, flow)
        assert self.answers[-1][8:11] == self.answers[-2][8:11], "slowed down: nothing is compared any more"
        return first, second


@pytest.mark.parametrize("method", ["REGISTER", "INVITE", "MESSAGE"])
def test_answers_take_the_same_time(method: str) -> None:
    """Row 26: medians of the time in our own code, known and unknown in turn; a network adds noise to that."""

    async def difference(watch: Stopwatch, index: int) -> tuple[float, float]:
        await asyncio.sleep(1000)  # what was guessed before is forgotten
        known, unknown = [], []
        for _ in range(50):
            known.append(watch.attempt(method, "102")[index])
            unknown.append(watch.attempt(method, "998")[index])
        return abs(statistics.median(known) - statistics.median(unknown)), statistics.median(known)

    async def main() -> None:
        async with Office(Network()) as office:
            watch = Stopwatch(office)
            watch.attempt(method, "102")
            gc.disable()
            try:
                for index in (0, 1):
                    tries = [await difference(watch, index) for _ in range(5)]
                    best = min(tries)
                    assert best[0] <= 0.1 * best[1] + 20e-6, tries
            finally:
                gc.enable()

    run(main())
