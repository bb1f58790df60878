# SPDX-License-Identifier: Apache-2.0
"""What many messages cost us and others: memory, answers, connections: RELIABILITY 2.1, rows 18, 19, 31, 33, 35, 36."""

import asyncio
import gc
import pkgutil
import re
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from reliability_office import DOMAIN as OFFICE_DOMAIN
from reliability_office import HOST, Office
from reliability_rig import QUIET, ByteCount, assert_alive, request, spoof, stranger
from server_rig import DOMAIN, SERVER, Rig, on_a_server

import ringback
from ringback.net.limits import TransportLimits
from ringback.server.backoff import BackoffPolicy, FailureTable
from ringback.sip.flow import Address
from ringback.testing import Network, run

SOURCE = Path(__file__).parents[2] / "src" / "ringback"
VICTIM = Address("203.0.113.77", 5060)

#: The shortest requests that are answered, and the longest answers they could get.
SMALL = (
    "{method} {target} SIP/2.0\r\nv:SIP/2.0/UDP 203.0.113.77;branch=z9hG4bK{number}\r\nf:<sip:{user}@{host}>;tag=1\r\n"
    "t:<{target}>\r\ni:{number}\r\nCSeq:1 {method}\r\n{more}\r\n"
)
METHODS = [
    "REGISTER",
    "INVITE",
    "OPTIONS",
    "MESSAGE",
    "SUBSCRIBE",
    "REFER",
    "INFO",
    "NOTIFY",
    "BYE",
    "PUBLISH",
    "CANCEL",
    "X",
]


def small(number: int, method: str, target: str, *, host: str = DOMAIN, more: str = "") -> bytes:
    return SMALL.format(
        method=method, target=target, number=number, user="101", host=host, more=more
    ).encode()


def spoofed(method: str) -> Iterator[bytes]:
    """Requests of one method, small and large, good and bad, to everybody."""
    number = 0
    for target in (f"sip:{DOMAIN}", f"sip:102@{DOMAIN}", f"sip:998@{DOMAIN}", "sip:x@elsewhere.test"):
        for host in (DOMAIN, "example.com"):
            for more in (
                "",
                "Require:x\r\n",
                "Max-Forwards:0\r\n",
                "Contact:*\r\n",
                "l:x\r\n",
                "X:y\r\n" * 100,
            ):
                number += 1
                yield small(number, method, target, host=host, more=more)


@pytest.mark.parametrize("method", METHODS)
def test_a_spoofed_request_brings_its_victim_one_answer(method: str) -> None:
    """Row 31: at most one response to each request, never repeated, and over all at most three times the octets."""

    async def test(rig: Rig) -> None:
        await rig.phone("102", "10.0.0.12")
        count, sent, requests = ByteCount(VICTIM.host), 0, list(spoofed(method))
        await stranger(rig, VICTIM.host)
        rig.network.watchers.append(count)
        for data in requests:
            sent += len(data)
            spoof(rig, data, VICTIM)
        await asyncio.sleep(100)
        assert count.messages_to <= len(requests)
        assert count.to <= 3 * sent
        assert rig.state == QUIET

    on_a_server(test)


@pytest.mark.parametrize("method", METHODS)
def test_no_single_small_request_is_worth_spoofing(method: str) -> None:
    """Row 31: three times the octets is the limit for the smallest request there is, too."""

    async def test(rig: Rig) -> None:
        await rig.phone("102", "10.0.0.12")
        await stranger(rig, VICTIM.host)
        worst = 0.0
        for number, target in enumerate((f"sip:{DOMAIN}", f"sip:102@{DOMAIN}", "sip:x@elsewhere.test")):
            count = ByteCount(VICTIM.host)
            rig.network.watchers.append(count)
            data = small(number, method, target)
            spoof(rig, data, VICTIM)
            await asyncio.sleep(1)
            rig.network.watchers.remove(count)
            worst = max(worst, count.to / len(data))
        assert worst <= 3.0

    on_a_server(test)


def test_invites_on_a_connection_that_is_closed_at_once_leave_nothing() -> None:
    """Row 33: with and without a password, a hundred at a time, and the connection reset in the middle."""

    async def test(rig: Rig) -> None:
        anna, bob = await rig.phone("101", "10.0.0.11"), await rig.phone("102", "10.0.0.12")
        for _ in range(5):
            flooder = await stranger(rig, tcp=True)
            for number in range(100):
                flooder.send(
                    request(
                        peer=flooder,
                        method="INVITE",
                        target=f"sip:102@{DOMAIN}",
                        from_=f"<sip:1{number}@{DOMAIN}>;tag=1",
                    )
                )
            await asyncio.sleep(0.002)
            flooder.reset()
        await asyncio.sleep(60)
        assert rig.state == QUIET
        caller = await rig.phone("103", "10.0.0.13", tcp=True)
        for number in range(20):
            await caller.ask("INVITE", f"sip:102@{DOMAIN}", call_id=f"flood-{number}")
        caller.peer.reset()
        for _ in range(20):
            await bob.peer.expect("INVITE", skip=("ACK", "CANCEL"))
            bob.peer.reply(486)
        await asyncio.sleep(100)
        assert rig.state == QUIET
        await anna.call(f"sip:102@{DOMAIN}")

    on_a_server(test)


@pytest.mark.parametrize("step", range(0, 24, 3))
def test_a_connection_that_breaks_at_any_step_of_a_call_leaves_nothing(step: int) -> None:
    """Row 33: a phone on TCP calls a phone on TCP; after so many segments everything is reset."""

    async def test(rig: Rig) -> None:
        anna, bob = (
            await rig.phone("101", "10.0.0.11", tcp=True),
            await rig.phone("102", "10.0.0.12", tcp=True),
        )
        rig.network.reset_after = step

        async def answer() -> None:
            await bob.peer.expect("INVITE")
            bob.peer.reply(180)
            bob.peer.reply(200, headers=[("Contact", f"<{bob.contact}>")])
            await bob.peer.expect("ACK")
            await bob.peer.expect("BYE", timeout=60)
            bob.peer.reply(200)

        async def call() -> None:
            leg = await anna.call(f"sip:102@{DOMAIN}")
            await leg.answered()
            leg.request("BYE")
            await anna.peer.expect(200)

        await asyncio.gather(answer(), call(), return_exceptions=True)
        await asyncio.sleep(200)
        assert rig.state == QUIET
        rig.network.reset_after = None
        again = await rig.phone("103", "10.0.0.13", tcp=True)
        assert (await again.register(call_id="again")).status == 200

    on_a_server(test)


@pytest.mark.timeout(180)  # half a minute on a quiet machine
def test_a_flood_of_every_kind_takes_no_memory() -> None:
    """Row 35: four hundred addresses send messages of every kind; then the same again, and nothing grew.

    Without the trace, which remembers messages on purpose; how many octets, `tests/server/tracing` holds it to.
    """

    async def main() -> None:
        network = Network()
        async with Office(network) as office:
            await office.system.ask("trace-switch", {"enabled": False})
            host = network.host(HOST.host)
            receive = next(iter(host._sockets.values())).received

            def flood(round_: int) -> None:
                for number in range(400):
                    source = Address(f"198.{18 + round_}.{number >> 8}.{number & 255}", 5060)
                    for method in ("REGISTER", "INVITE", "OPTIONS", "SUBSCRIBE", "BYE", "ACK", "CANCEL"):
                        data = small(
                            number + round_ * 10_000,
                            method,
                            f"sip:{number}@{OFFICE_DOMAIN}",
                            host=OFFICE_DOMAIN,
                        )
                        receive([(data.replace(b"203.0.113.77", source.host.encode()), source)])
                    receive(
                        [(b"\xff" * 100, source), (b"SIP/2.0 200 OK\r\n\r\n", source), (b"\r\n\r\n", source)]
                    )

            tracemalloc.start()
            for round_ in range(5):  # until what is remembered of strangers is full
                flood(round_)
            await asyncio.sleep(100)
            gc.collect()
            before, _peak = tracemalloc.get_traced_memory()
            flood(5)
            await asyncio.sleep(100)
            gc.collect()
            after, _peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert after - before < 300_000, (before, after)
            assert office.system.server.stack.pending == (0, 0, 0)
            caller = await office.caller()
            assert (await caller.register()).status == 200

    run(main())


def test_a_flood_does_not_keep_users_out() -> None:
    """Row 35: a thousand datagrams for each of a user's, and every call of the user goes through."""

    async def test(rig: Rig) -> None:
        anna, bob = await rig.phone("101", "10.0.0.11"), await rig.phone("102", "10.0.0.12")
        flooding = asyncio.create_task(_flood(rig))
        for _ in range(3):
            leg = await anna.call(f"sip:102@{DOMAIN}")
            await bob.peer.expect("INVITE", skip=("ACK", "BYE"))
            bob.peer.reply(200, headers=[("Contact", f"<{bob.contact}>")])
            await leg.answered()
            leg.request("BYE")
            await bob.peer.expect("BYE", skip=("ACK",))
            bob.peer.reply(200)
            await anna.peer.expect(200)
        flooding.cancel()
        await asyncio.gather(flooding, return_exceptions=True)

    on_a_server(test)


async def _flood(rig: Rig) -> None:
    number = 0
    while True:
        for method in ("INVITE", "REGISTER", "OPTIONS", "BYE"):
            for _ in range(50):
                number += 1
                spoof(
                    rig,
                    small(number, method, f"sip:102@{DOMAIN}"),
                    Address(f"198.18.{number >> 8 & 255}.{number & 255}", 9),
                )
        await asyncio.sleep(0.002)


def test_what_strangers_can_make_grow_has_an_end() -> None:
    """Row 35: the tables behind passwords and connections are bounded; the others have tests of their own."""
    policy = BackoffPolicy()
    table = FailureTable(BackoffPolicy(table_size=100))
    for number in range(2000):
        table.failed(f"10.0.{number >> 8}.{number & 255}", str(number), now=0.0)
        table.succeeded(f"10.0.{number >> 8}.{number & 255}", str(number))
    assert len(table) <= 100
    assert policy.table_size <= 100_000
    assert TransportLimits().connections <= 20_000


def test_the_dialogs_nobody_pays_for_leave_no_state() -> None:
    """Row 36: challenges that are never answered, subscriptions and notifications nobody asked for."""

    async def test(rig: Rig) -> None:
        await rig.phone("102", "10.0.0.12")
        await asyncio.sleep(60)
        peer = await stranger(rig)
        for number in range(200):
            for method in ("INVITE", "SUBSCRIBE", "NOTIFY", "REFER", "PUBLISH"):
                peer.request(method, f"sip:102@{DOMAIN}", remote=SERVER, from_=f"<sip:{number}@{DOMAIN}>;tag=1",
                             headers=[("Event", "presence"), ("Expires", "3600")])  # fmt: skip
        await asyncio.sleep(0.1)
        assert rig.state == QUIET
        assert len(peer.heard) == 1000
        await assert_alive(rig)

    on_a_server(test)


# --- time and hashes --------------------------------------------------------------------------------

KILLERS = ["a", "1", " ", "\t", ".", "-", "a.", "1.", "a-", "-.", "%41", "%", ":", "a:", ";a=", ';a="', '"', "\\", '\\"', "<", "(", "[", "@",
           "sip:a", "a@", "=", ",", "/", "a/", "\r\n ", "\r\n", "--x", "a=crypto:", "\u0301", "ſ"]  # fmt: skip


#: Its one user gives up at the first quote that nothing closes, so it never looks for the end twice.
STOPS_EARLY = {"ringback.sip.message.parameters._SEPARATOR"}


def patterns() -> Iterator[tuple[str, re.Pattern[str] | re.Pattern[bytes], set[str]]]:
    """Every compiled pattern of our modules, and how it is used there."""
    for module in pkgutil.walk_packages(ringback.__path__, "ringback."):
        if module.name.endswith(("__main__", "kernel._compiled")):
            continue
        loaded = import_module(module.name)
        text = Path(str(loaded.__file__)).read_text()
        for name, value in vars(loaded).items():
            if isinstance(value, re.Pattern):
                uses = set(
                    re.findall(rf"\b{name}\.(fullmatch|match|search|sub|finditer|findall|split)\(", text)
                )
                if uses and f"{module.name}.{name}" not in STOPS_EARLY:
                    yield f"{module.name}.{name}", value, uses


def time_of(pattern: re.Pattern[str] | re.Pattern[bytes], uses: set[str], text: str) -> float:
    """Seconds for all that is done with it."""
    subject = text.encode() if isinstance(pattern.pattern, bytes) else text
    started = time.process_time()
    for use in uses:
        found = getattr(pattern, use)(*((subject[:0], subject) if use == "sub" else (subject,)))
        if use == "finditer":
            list(found)
    return time.process_time() - started


def test_no_pattern_of_ours_explodes() -> None:
    """Row 18: 8000 characters of what each is most likely to stumble over, in every module, not only below net/."""
    checked = 0
    for name, pattern, uses in patterns():
        for killer in KILLERS:
            text = (killer * 8000)[:8000] + "\0"
            if time_of(pattern, uses, text) > 0.05:  # once may be the machine
                assert min(time_of(pattern, uses, text) for _ in range(3)) < 0.05, (name, killer)
        checked += 1
    assert checked > 40


def test_hashes_are_as_random_as_python_makes_them() -> None:
    """Row 19: nobody chooses branches, tags or Call-IDs that collide; nothing of ours switches that off."""
    for file in [
        *SOURCE.rglob("*.py"),
        *SOURCE.parents[1].glob("Makefile"),
        *SOURCE.parents[1].glob("pyproject.toml"),
    ]:
        assert "PYTHONHASHSEED" not in file.read_text(), file
    words = [
        sys.executable,
        "-c",
        "import ringback, sys; print(hash('z9hG4bK'), sys.flags.hash_randomization)",
    ]
    runs = {subprocess.run(words, capture_output=True, text=True, check=True).stdout for _ in range(2)}
    assert len(runs) == 2
    assert all(line.split()[1] == "1" for line in runs)


def test_numbers_of_strangers_are_keys_of_small_tables_only() -> None:
    """Row 19: integers are not hashed with a key; where a peer chooses them as keys, few are kept."""
    from ringback.rtp.jitter_buffer import MAXIMUM_PACKETS, JitterBuffer
    from ringback.rtp.packet import RtpPacket

    buffer = JitterBuffer()
    for number in range(5000):
        timestamp = (number * ((1 << 61) - 1)) & 0xFFFFFFFF
        buffer.insert(RtpPacket(0, number & 0xFFFF, timestamp, 5, b"x" * 160), duration=160, now=number / 1e4)
    assert buffer.waiting <= MAXIMUM_PACKETS
