# SPDX-License-Identifier: Apache-2.0
"""Does the resolver find the targets that RFC 3263 asks for, in its order, and survive what DNS may say?"""

import asyncio
import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.net.dns import SrvRecord
from ringback.net.dns_cache import CacheLimits
from ringback.net.errors import NameNotFound
from ringback.net.hosts_file import HostsFile, parse_hosts
from ringback.net.resolver import Resolver, by_weight, is_host_name
from ringback.net.targets import Target, TargetHealth
from ringback.sip.flow import Address, Transport
from ringback.sip.message.uri import parse_uri
from ringback.testing import Names, run

NO_FILE = Path("/nonexistent/hosts")


def resolver(names: Names, **options: object) -> Resolver:
    return Resolver(names, hosts=HostsFile(NO_FILE), chance=random.Random(1), **options)


def resolve(names: Names, uri: str, **options: object) -> list[str]:
    async def main() -> list[Target]:
        one = resolver(names)
        try:
            return await one.resolve(parse_uri(uri), **options)
        finally:
            await one.close()

    return [f"{target.transport} {target.address}" for target in run(main())]


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("sip:101@192.0.2.1", "UDP 192.0.2.1:5060"),
        ("sip:101@192.0.2.1:5070", "UDP 192.0.2.1:5070"),
        ("sip:101@192.0.2.1;transport=tcp", "TCP 192.0.2.1:5060"),
        ("sip:101@192.0.2.1;transport=tls", "TLS 192.0.2.1:5061"),
        ("sips:101@192.0.2.1", "TLS 192.0.2.1:5061"),
        ("sips:101@192.0.2.1;transport=tcp", "TLS 192.0.2.1:5061"),
        ("sip:101@192.0.2.1;transport=ws", "WS 192.0.2.1:80"),
        ("sips:101@192.0.2.1;transport=ws", "WSS 192.0.2.1:443"),
        ("sip:101@[2001:db8::1]", "UDP [2001:db8::1]:5060"),
        ("sip:101@[2001:0DB8:0:0:0:0:0:1]:5070", "UDP [2001:db8::1]:5070"),
        ("sip:101@example.com;maddr=192.0.2.9", "UDP 192.0.2.9:5060"),
        ("sip:101@example.com:5070;maddr=192.0.2.9;transport=tcp", "TCP 192.0.2.9:5070"),
    ],
)
def test_numeric_hosts_need_no_dns(uri: str, expected: str):
    names = Names()
    assert resolve(names, uri) == [expected]
    assert not names.asked


def test_a_port_means_addresses_only():
    names = Names()
    names.srv("_sip._udp.example.com", "other.example.com", 5099)
    names.a("example.com", "192.0.2.1")
    assert resolve(names, "sip:example.com:5070") == ["UDP 192.0.2.1:5070"]
    assert all(kind in ("A", "AAAA") for _name, kind in names.asked)


def test_naptr_decides_the_transport_in_the_order_of_the_domain():
    names = Names()
    names.naptr("example.com", "SIP+D2U", "_sip._udp.example.com", order=2)
    names.naptr("example.com", "SIP+D2T", "_sip._tcp.example.com", order=1, preference=20)
    names.naptr("example.com", "SIPS+D2T", "_sips._tcp.example.com", order=1, preference=10)
    for prefix, port in (("_sip._udp", 5060), ("_sip._tcp", 5062), ("_sips._tcp", 5061)):
        names.srv(f"{prefix}.example.com", "pbx.example.com", port)
    names.a("pbx.example.com", "192.0.2.1")
    assert resolve(names, "sip:example.com") == [
        "TLS 192.0.2.1:5061",
        "TCP 192.0.2.1:5062",
        "UDP 192.0.2.1:5060",
    ]


def test_sips_takes_only_secure_services():
    names = Names()
    names.naptr("example.com", "SIP+D2U", "_sip._udp.example.com")
    names.naptr("example.com", "SIPS+D2T", "_sips._tcp.example.com")
    names.srv("_sip._udp.example.com", "pbx.example.com", 5060)
    names.srv("_sips._tcp.example.com", "pbx.example.com", 5061)
    names.a("pbx.example.com", "192.0.2.1")
    assert resolve(names, "sips:example.com") == ["TLS 192.0.2.1:5061"]


def test_without_naptr_the_srv_records_that_exist_decide():
    names = Names()
    names.srv("_sip._tcp.example.com", "pbx.example.com", 5062)
    names.a("pbx.example.com", "192.0.2.1")
    names.aaaa("pbx.example.com", "2001:db8::1")
    assert resolve(names, "sip:example.com") == ["TCP 192.0.2.1:5062", "TCP [2001:db8::1]:5062"]


def test_without_any_service_the_addresses_and_the_default_port_are_left():
    names = Names()
    names.aaaa("example.com", "2001:db8::1")
    assert resolve(names, "sip:example.com") == ["UDP [2001:db8::1]:5060"]
    assert resolve(names, "sips:example.com") == ["TLS [2001:db8::1]:5061"]


def test_a_transport_in_the_uri_asks_for_its_srv_only():
    names = Names()
    names.srv("_sip._udp.example.com", "u.example.com", 1)
    names.srv("_sip._tcp.example.com", "t.example.com", 2)
    names.a("u.example.com", "192.0.2.1")
    names.a("t.example.com", "192.0.2.2")
    assert resolve(names, "sip:example.com;transport=tcp") == ["TCP 192.0.2.2:2"]
    assert ("example.com", "NAPTR") not in names.asked


def test_priorities_come_in_order_and_the_domain_is_what_a_certificate_must_name():
    async def main() -> list[Target]:
        names = Names()
        names.srv("_sips._tcp.example.com", "b.example.net", 5061, priority=20)
        names.srv("_sips._tcp.example.com", "a.example.net", 5061, priority=10)
        names.a("a.example.net", "192.0.2.1")
        names.a("b.example.net", "192.0.2.2")
        return await resolver(names).resolve(parse_uri("sips:example.com"))

    targets = run(main())
    assert [target.address.host for target in targets] == ["192.0.2.1", "192.0.2.2"]
    assert {target.server_name for target in targets} == {"example.com"}


def test_weights_are_chances():
    chance = random.Random(5)
    records = [
        SrvRecord(1, 75, 5060, "heavy"),
        SrvRecord(1, 25, 5060, "light"),
        SrvRecord(1, 0, 5060, "never"),
    ]
    firsts = Counter(by_weight(records, chance)[0].target for _ in range(2000))
    assert 1400 < firsts["heavy"] < 1600
    assert 400 < firsts["light"] < 600


@given(
    st.lists(
        st.builds(SrvRecord, st.integers(0, 9), st.integers(0, 99), st.just(5060), st.text("ab", min_size=1))
    ),
    st.integers(),
)
def test_ordering_keeps_every_record_and_every_priority(records: list[SrvRecord], seed: int):
    ordered = by_weight(records, random.Random(seed))
    assert sorted(ordered) == sorted(records)[: len(ordered)]
    assert [record.priority for record in ordered] == sorted(record.priority for record in ordered)


# --- hostile answers: RELIABILITY section 2 row 48 ---


def test_a_hundred_srv_records_give_sixteen_targets():
    names = Names()
    for number in range(100):
        names.srv("_sip._udp.example.com", f"h{number}.example.com", 5060)
        names.a(f"h{number}.example.com", f"192.0.2.{number}", "198.51.100.1")
    assert len(resolve(names, "sip:example.com")) == 16


@pytest.mark.parametrize(
    "target", ["", ".", ".1", "a..b", "x" * 64 + ".example.com", "a b", "192.0.2.1", "é.example", "\0"]
)
def test_srv_targets_that_are_no_names_are_skipped(target: str):
    names = Names()
    names.srv("_sip._udp.example.com", target, 5060)
    names.srv("_sip._udp.example.com", "good.example.com", 5060, priority=9)
    names.a("good.example.com", "192.0.2.7")
    assert resolve(names, "sip:example.com") == ["UDP 192.0.2.7:5060"]


def test_port_zero_and_ports_too_large_are_skipped():
    names = Names()
    names.srv("_sip._udp.example.com", "a.example.com", 0)
    names.srv("_sip._udp.example.com", "a.example.com", 70_000)
    names.a("a.example.com", "192.0.2.1")
    names.a("example.com", "192.0.2.2")
    assert resolve(names, "sip:example.com") == ["UDP 192.0.2.2:5060"]


@pytest.mark.parametrize(
    "address", ["0.0.0.0", "224.0.0.1", "255.255.255.255", "nonsense", "192.0.2.256", ""]
)
def test_addresses_of_nobody_and_of_everybody_are_skipped(address: str):
    names = Names()
    names.a("example.com", address, "192.0.2.1")
    assert resolve(names, "sip:example.com:5060") == ["UDP 192.0.2.1:5060"]


def test_patterns_in_naptr_records_are_never_run():
    names = Names()
    names.naptr("example.com", "SIP+D2U", ".", regexp="!^(a+)+$!sip:\\1@evil.example!")
    names.naptr("example.com", "SIP+D2X", "_sip._x.example.com")
    names.naptr("example.com", "SIP+D2T", "_sip._tcp.example.com", flags="u")
    names.a("example.com", "192.0.2.1")
    assert resolve(names, "sip:example.com") == ["UDP 192.0.2.1:5060"]


def test_a_chain_of_aliases_without_an_end_is_a_failure():
    names = Names()
    names.cname("a.example.com", "b.example.com")
    names.cname("b.example.com", "a.example.com")
    with pytest.raises(NameNotFound, match="no end"):
        resolve(names, "sip:a.example.com:5060")


def test_an_unknown_name_is_not_found_and_that_is_remembered():
    async def main() -> int:
        names = Names()
        one = resolver(names)
        for _ in range(10):
            with pytest.raises(NameNotFound, match="nothing in DNS"):
                await one.resolve(parse_uri("sip:nowhere.example:5060"))
        return names.asked["nowhere.example", "A"]

    assert run(main()) == 1


@pytest.mark.parametrize(
    "uri",
    ["tel:+123", "http://example.com", "sip:example.com;transport=sctp", "sip:a;maddr=.1", f"sip:{'x' * 64}"],
)
def test_what_cannot_be_resolved_is_named_not_raised_as_something_else(uri: str):
    with pytest.raises(NameNotFound):
        resolve(Names(), uri)


def test_transports_we_do_not_have_are_not_offered():
    names = Names()
    names.srv("_sip._udp.example.com", "pbx.example.com", 5060)
    names.srv("_sip._tcp.example.com", "pbx.example.com", 5060)
    names.a("pbx.example.com", "192.0.2.1")
    assert resolve(names, "sip:example.com", transports=[Transport.TCP]) == ["TCP 192.0.2.1:5060"]


# --- time: cache, budget, stale answers ---


def test_ttl_zero_is_believed_for_five_seconds_and_a_long_ttl_for_its_time():
    async def main() -> list[int]:
        names = Names()
        names.a("example.com", "192.0.2.1", ttl=0)
        one, counts = resolver(names), []
        for pause in (0.0, 4.0, 2.0):
            await asyncio.sleep(pause)
            await one.resolve(parse_uri("sip:example.com:5060"))
            counts.append(names.asked["example.com", "A"])
        return counts

    assert run(main()) == [1, 1, 2]


def test_many_calls_share_one_question():
    async def main() -> int:
        names = Names()
        names.delay = 0.2
        names.a("example.com", "192.0.2.1")
        one = resolver(names)
        await asyncio.gather(*(one.resolve(parse_uri("sip:example.com:5060")) for _ in range(100)))
        return names.asked["example.com", "A"]

    assert run(main()) == 1


def test_waiting_for_one_name_is_bounded():
    async def main() -> tuple[int, int]:
        names = Names()
        names.delay = 0.2
        names.a("example.com", "192.0.2.1")
        one = resolver(names, limits=CacheLimits(waiting=32))
        calls = (one.resolve(parse_uri("sip:example.com:5060")) for _ in range(50))
        results = await asyncio.gather(*calls, return_exceptions=True)
        failed = sum(isinstance(result, NameNotFound) for result in results)
        return len(results) - failed, failed

    assert run(main()) == (32, 18)


def test_dns_that_does_not_answer_costs_two_seconds_and_no_more():
    async def main() -> float:
        names = Names()
        names.delay = 60.0
        one = resolver(names)
        with pytest.raises(NameNotFound):
            await one.resolve(parse_uri("sip:example.com"))
        took = asyncio.get_running_loop().time()
        await one.close()
        return took

    assert run(main()) == pytest.approx(2.0)


def test_a_server_that_drops_questions_for_services_does_not_stop_calls():
    class DropsServices(Names):
        async def query(self, name: str, kind: str):  # type: ignore[no-untyped-def]
            if kind in ("SRV", "NAPTR"):
                await asyncio.sleep(60)
            return await super().query(name, kind)

    async def main() -> tuple[str, float]:
        names = DropsServices()
        names.a("example.com", "192.0.2.1")
        one = resolver(names)
        targets = await one.resolve(parse_uri("sip:example.com"))
        took = asyncio.get_running_loop().time()
        await one.close()
        return str(targets[0].address), took

    assert run(main()) == ("192.0.2.1:5060", pytest.approx(1.2))


def test_answers_are_served_stale_while_dns_is_ill():
    async def main() -> tuple[str, float]:
        names = Names()
        names.a("example.com", "192.0.2.1", ttl=60)
        one = resolver(names)
        await one.resolve(parse_uri("sip:example.com:5060"))
        names.broken.add("*")
        await asyncio.sleep(600)
        await one.resolve(parse_uri("sip:example.com:5060"))
        names.broken.clear()
        names.delay = 60
        before = asyncio.get_running_loop().time()
        targets = await one.resolve(parse_uri("sip:example.com:5060"))
        took = asyncio.get_running_loop().time() - before
        await one.close()
        return str(targets[0].address), took

    address, took = run(main())
    assert address == "192.0.2.1:5060"
    assert took <= 0.5


def test_too_old_answers_are_not_served():
    async def main() -> None:
        names = Names()
        names.a("example.com", "192.0.2.1", ttl=60)
        one = resolver(names)
        await one.resolve(parse_uri("sip:example.com:5060"))
        names.broken.add("*")
        await asyncio.sleep(8000)
        with pytest.raises(NameNotFound):
            await one.resolve(parse_uri("sip:example.com:5060"))

    run(main())


def test_the_cache_has_an_upper_bound():
    async def main() -> int:
        names = Names()
        one = resolver(names, limits=CacheLimits(entries=10))
        for number in range(50):
            with pytest.raises(NameNotFound):
                await one.resolve(parse_uri(f"sip:h{number}.example.com:5060"))
        return len(one._cache._entries)

    assert run(main()) == 10


def test_a_target_that_failed_is_tried_last_until_its_penalty_ends():
    health = TargetHealth()
    first = Target(Transport.UDP, Address("192.0.2.1", 5060))
    second = Target(Transport.UDP, Address("192.0.2.2", 5060))
    health.failed(first, 0.0)
    assert health.healthy_first([first, second], 29.0) == [second, first]
    assert health.healthy_first([first, second], 31.0) == [first, second]
    health.failed(first, 31.0)
    assert health.is_failing(first, 31.0 + 59.0)
    health.works(first)
    assert not health.is_failing(first, 32.0)


def test_the_memory_of_failures_is_bounded():
    health = TargetHealth()
    for number in range(5000):
        health.failed(Target(Transport.UDP, Address("192.0.2.1", number)), 0.0)
    assert len(health._failures) == 1024


# --- /etc/hosts ---


def test_the_hosts_file_wins_over_dns(tmp_path: Path):
    file = tmp_path / "hosts"
    file.write_text(
        "127.0.0.1 localhost\n::1 localhost\n192.0.2.5 PBX.example.com pbx # a comment\nbad line\n"
    )

    async def main() -> list[str]:
        names = Names()
        one = Resolver(names, hosts=HostsFile(file))
        found = [
            str(target.address)
            for uri in ("sip:localhost", "sip:pbx.example.com", "sip:pbx:5070")
            for target in await one.resolve(parse_uri(uri))
        ]
        assert not names.asked
        file.write_text("192.0.2.6 pbx\n")
        await asyncio.sleep(3)
        return found + [str(target.address) for target in await one.resolve(parse_uri("sip:pbx"))]

    assert run(main()) == [
        "127.0.0.1:5060",
        "[::1]:5060",
        "192.0.2.5:5060",
        "192.0.2.5:5070",
        "192.0.2.6:5060",
    ]


def test_localhost_exists_without_a_file():
    assert resolve(Names(), "sip:localhost") == ["UDP 127.0.0.1:5060", "UDP [::1]:5060"]


@given(st.text())
def test_any_hosts_file_parses(text: str):
    assert isinstance(parse_hosts(text), dict)


@given(st.text(max_size=300))
def test_any_text_is_a_name_or_not(text: str):
    if is_host_name(text):
        text.encode("ascii")
        assert len(text) <= 253
