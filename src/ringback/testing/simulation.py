# SPDX-License-Identifier: Apache-2.0
"""Does the whole system keep its promises on bad networks? Server and phones in virtual time.

    from ringback.testing.simulation import simulate

    report = simulate(seed=7)
    assert report.violations == []

A seed decides the weather (loss, duplicates, delay, cuts), who calls whom, and how each call goes. The same
seed gives the same trace. A failing seed is replayed with its messages by

    python -m ringback.testing.simulation --seed 7 --trace
"""

import argparse
import asyncio
import logging
import random
import ssl
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from ringback.server.app import Server
from ringback.server.config import CallSettings, Settings, SipSettings
from ringback.server.identity import Identity
from ringback.server.storage import MemoryStore
from ringback.server.subscribers import Subscriber
from ringback.sip.digest import ha1
from ringback.sip.flow import Address
from ringback.testing.clock import run
from ringback.testing.invariants import LONGEST_RINGING, SLACK, TRANSACTION_TIME, is_unlucky, violations
from ringback.testing.ledger import Ledger
from ringback.testing.network import Network
from ringback.testing.scenario import Plan, Script, make_plans
from ringback.testing.stranger import Stranger
from ringback.ua.phone import Phone

DOMAIN = "simulation.test"
SERVER = Address("10.0.0.1", 5060)
#: How the server joins calls.
Mode = Literal["proxy", "bridge"]
#: Name -> (number, host, transport). Two phones ring for 102.
PHONES = {
    "101": ("101", "10.0.0.11", "udp"),
    "102": ("102", "10.0.0.12", "udp"),
    "102b": ("102", "10.0.0.14", "udp"),
    "103": ("103", "10.0.0.13", "tcp"),
}
NUMBERS = ("101", "102", "103")
#: Nobody speaks TLS here; making a real context would take most of the time of a run.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
#: Client and server transactions of a call that forks to two phones, its CANCELs and BYEs, and registrations.
PENDING_PER_CALL = 12
EPOCH = 1_700_000_000.0


@dataclass(frozen=True, slots=True)
class Weather:
    """How bad the network is in one run."""

    loss: float = 0.0
    duplicate: float = 0.0
    delay: tuple[float, float] = (0.005, 0.02)
    reorder: float = 0.0
    #: How often all connections are reset in the middle of the calls.
    resets: int = 0
    #: For how long one phone is cut off in the middle of the calls.
    cut: float = 0.0
    #: The server loses its power in the middle of the calls and comes back with its store.
    restarts: bool = False

    @property
    def is_broken(self) -> bool:
        """True when calls may fail and nobody is to blame."""
        return bool(self.resets or self.cut or self.restarts)

    @classmethod
    def of(cls, chance: random.Random) -> "Weather":
        """From fine to foul."""
        return cls(
            loss=chance.choice((0.0, 0.01, 0.05, 0.1)),
            duplicate=chance.choice((0.0, 0.02, 0.1)),
            delay=(0.005, chance.choice((0.01, 0.05, 0.2))),
            reorder=chance.choice((0.0, 0.05)),
            resets=chance.choice((0, 0, 0, 1, 2)),
            cut=chance.choice((0.0, 0.0, 0.0, 1.0, 10.0, 60.0)),
            restarts=chance.random() < 0.15,
        )


@dataclass(slots=True)
class Report:
    """What one run showed."""

    seed: int
    weather: Weather
    trace_hash: str = ""
    violations: list[str] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    ladder: list[str] = field(default_factory=list)
    virtual_seconds: float = 0.0

    def __str__(self) -> str:
        lines = [
            f"seed {self.seed}: {len(self.violations)} violations, {dict(self.outcomes)}, {self.weather}"
        ]
        lines += [f"  {violation}" for violation in self.violations]
        if self.violations:
            lines.append(f"  replay: python -m ringback.testing.simulation --seed {self.seed} --trace")
        return "\n".join(lines)


class Subscribers:
    """The accounts: the password of 101 is "secret-101"."""

    def __init__(self) -> None:
        self._users = {
            number: Subscriber(
                number,
                "",
                {name: ha1(number, DOMAIN, f"secret-{number}", name) for name in ("SHA-256", "MD5")},
            )
            for number in NUMBERS
        }

    def find(self, user: str) -> Subscriber | None:
        """By number."""
        return self._users.get(user)


class ErrorLog(logging.Handler):
    """Keeps what our own code logs as its fault."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one line."""
        self.lines.append(
            f"{record.getMessage()} {record.exc_info[1]!r}" if record.exc_info else record.getMessage()
        )


class Simulation:
    """One world, one run."""

    def __init__(
        self, seed: int, *, calls: int = 5, weather: Weather | None = None, mode: Mode = "proxy"
    ) -> None:
        self.mode = mode
        self.chance = random.Random(f"simulation {seed}")  # noqa: S311
        self.weather = weather or Weather.of(self.chance)
        self.network = Network(
            seed,
            loss=self.weather.loss,
            duplicate=self.weather.duplicate,
            delay=self.weather.delay,
            reorder=self.weather.reorder,
        )
        self.report = Report(seed, self.weather)
        self.ledger = Ledger()
        self.plans = make_plans(self.chance, NUMBERS, calls)
        self._store = MemoryStore()
        self._starts = self._most_pending = 0
        self.server = self._make_server()
        self.phones = {name: self._make_phone(name) for name in PHONES}
        self.stranger = Stranger(self.network, SERVER, DOMAIN)

    async def play(self) -> Report:
        """From the first REGISTER to silence; the invariants are checked at the end."""
        loop = asyncio.get_running_loop()
        failures: list[str] = self.report.violations
        loop.set_exception_handler(
            lambda _loop, context: failures.append(f"no unhandled exception: {context}")
        )
        await self._start_server()
        await asyncio.gather(*(phone.start() for phone in self.phones.values()))
        await self.stranger.arrive()
        script = Script(self.phones, self.plans)
        await asyncio.gather(script.play(), self.stranger.misbehave(), self._break_things())
        await asyncio.sleep(LONGEST_RINGING + 2 * TRANSACTION_TIME)
        is_broken = self.weather.is_broken or (self.weather.loss > 0 and is_unlucky(self.ledger))
        failures += script.violations(is_broken=is_broken)
        failures += self.stranger.violations()
        if self._most_pending > PENDING_PER_CALL * len(self.plans):
            failures.append(f"bounded queues: {self._most_pending} transactions were pending at once")
        failures += violations(self.ledger, is_broken=is_broken)
        await self._say_goodbye()
        self._check_silence()
        self.report.outcomes = Counter(plan.outcome for plan in self.plans)
        self.report.trace_hash = self.network.trace_hash
        self.report.ladder = self.ledger.ladder()
        self.report.virtual_seconds = loop.time()
        return self.report

    async def _break_things(self) -> None:
        """Resets and cuts while the calls are on."""
        for _ in range(self.weather.resets):
            await asyncio.sleep(self.chance.uniform(0.2, 4.0))
            self.network.reset_streams()
        if self.weather.cut:
            _number, host, _transport = PHONES[self.chance.choice(list(PHONES))]
            self.network.cut(SERVER.host, host)
            await asyncio.sleep(self.weather.cut)
            self.network.heal()
        if self.weather.restarts:
            await asyncio.sleep(self.chance.uniform(0.2, 4.0))
            self.network.host(SERVER.host).crash()
            await self.server.close()
            await asyncio.sleep(self.chance.uniform(0.1, 3.0))
            self.server = self._make_server()
            await self._start_server()

    def _measure(self, *_message: object) -> None:
        self._most_pending = max(self._most_pending, sum(self.server.stack.pending))

    async def _start_server(self) -> None:
        await self.server.start()
        self.server.driver.watch(self._measure)
        self.server.driver.watch(self.ledger.tap("server", life=self._starts))

    async def _say_goodbye(self) -> None:
        """Phones unregister; then nobody is reachable, and nothing is left of anything."""
        if any(any(phone.agent.stack.pending) for phone in self.phones.values()):
            await asyncio.sleep(2 * SLACK)  # a registration was refreshed just now: Timer K
        for name, phone in self.phones.items():
            stack = phone.agent.stack
            if any(stack.pending) or stack.next_deadline() is not None or len(phone.agent.sessions):
                self.report.violations.append(
                    f"quiescence: phone {name} still holds {stack.pending}, "
                    f"{len(phone.agent.sessions)} sessions, timer {stack.next_deadline()}"
                )
        await asyncio.gather(*(phone.close() for phone in self.phones.values()))
        await asyncio.sleep(2 * TRANSACTION_TIME)
        status = self.server.status()
        left = {name: count for name, count in status.items() if isinstance(count, int) and count}
        if (left and self.weather.loss == 0.0) or set(left) - {"registrations"}:
            self.report.violations.append(f"quiescence: the server still holds {left}")
        self.stranger.leave()
        await self.server.close()
        await asyncio.sleep(1)

    def _check_silence(self) -> None:
        """No socket, no task, no port is left."""
        for host in self.network.hosts:
            if host.open_sockets:
                self.report.violations.append(
                    f"quiescence: {host.addresses} has {host.open_sockets} sockets open"
                )
        others = [task.get_name() for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        if others:
            self.report.violations.append(f"quiescence: tasks are left: {sorted(others)}")

    def _make_server(self) -> Server:
        self._starts += 1
        seeded = random.Random(f"server {self.network.seed} {self._starts}")  # noqa: S311
        identity = Identity(
            domain=DOMAIN, advertised=(SERVER.host,), realm=DOMAIN, secret=b"simulation secret of 32 bytes..."
        )
        return Server(
            Settings(sip=SipSettings(domain=DOMAIN, host=(SERVER.host,)), calls=CallSettings(mode=self.mode)),
            identity,
            subscribers=Subscribers(),
            store=self._store,
            network=self.network.host(SERVER.host),
            dns=self.network.dns,
            random_bytes=seeded.randbytes,
            wall_clock=lambda: EPOCH + asyncio.get_running_loop().time(),
        )

    def _make_phone(self, name: str) -> Phone:
        number, host, transport = PHONES[name]
        seeded = random.Random(f"phone {name} {self.network.seed}")  # noqa: S311
        phone = Phone(
            f"sip:{number}@{DOMAIN}",
            f"secret-{number}",
            server=str(SERVER),
            transport=transport,
            host=host,
            port=5060,
            tls=NO_TLS,
            network=self.network.host(host),
            dns=self.network.dns,
            random_bytes=seeded.randbytes,
        )
        phone.watch(self.ledger.tap(name))
        return phone


def simulate(seed: int, *, calls: int = 5, weather: Weather | None = None, mode: Mode = "proxy") -> Report:
    """One run in virtual time."""
    errors = ErrorLog()
    logger = logging.getLogger("ringback")
    logger.addHandler(errors)

    async def main() -> Report:
        return await Simulation(seed, calls=calls, weather=weather, mode=mode).play()

    try:
        report = run(main())
    finally:
        logger.removeHandler(errors)
    report.violations += [f"no unhandled exception: {line}" for line in errors.lines]
    return report


def main(arguments: Sequence[str] | None = None) -> int:
    """The command of a failing seed."""
    parser = argparse.ArgumentParser(prog="python -m ringback.testing.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--count", type=int, default=1, help="how many seeds")
    parser.add_argument("--calls", type=int, default=5, help="calls in each run")
    parser.add_argument("--mode", choices=("proxy", "bridge"), default="proxy", help="how calls are joined")
    parser.add_argument("--trace", action="store_true", help="print every message")
    options = parser.parse_args(arguments)
    failed = 0
    for seed in range(options.seed, options.seed + options.count):
        report = simulate(seed, calls=options.calls, mode=options.mode)
        failed += bool(report.violations)
        if options.trace:
            sys.stdout.write("\n".join([*report.ladder, ""]))
        sys.stdout.write(f"{report}\n")
    return 1 if failed else 0


__all__ = ["Plan", "Report", "Simulation", "Weather", "main", "simulate"]

if __name__ == "__main__":
    sys.exit(main())
