# SPDX-License-Identifier: Apache-2.0
"""How is DNS kept from hurting calls? Answers are cached, shared, and served stale when DNS is ill."""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass

from ringback.net.dns import DnsAnswer, DnsClient, DnsFailure, Record

Question = tuple[str, str]


@dataclass(frozen=True, slots=True)
class CacheLimits:
    """How long and how much. Times are seconds."""

    #: A TTL below this is taken as this: an answer with TTL 0 must not mean a question per call.
    shortest: float = 5.0
    longest: float = 3600.0
    longest_negative: float = 300.0
    #: How long after its end an answer may still be used while DNS does not answer.
    stale: float = 3600.0
    #: With a stale answer at hand, wait no longer than this for a fresh one.
    patience: float = 0.3
    #: A failed question is not asked again for so long.
    failure: float = 1.0
    entries: int = 4096
    #: Calls that may wait for one question; the next one fails at once.
    waiting: int = 256


@dataclass(slots=True)
class _Entry:
    records: tuple[Record, ...]
    fresh_until: float
    detail: str = ""  # not empty: the question failed


class DnsCache:
    """Asks a `DnsClient` each question once at a time, and remembers the answers for their TTL."""

    def __init__(self, dns: DnsClient, limits: CacheLimits | None = None) -> None:
        self._dns = dns
        self._limits = limits or CacheLimits()
        self._entries: OrderedDict[Question, _Entry] = OrderedDict()
        self._asking: dict[Question, asyncio.Task[_Entry]] = {}
        self._waiting: dict[Question, int] = {}

    async def lookup(self, name: str, kind: str, *, timeout: float) -> tuple[Record, ...]:
        """The records within `timeout`, or those that were true a while ago. Raises `DnsFailure`."""
        question = (name, kind)
        now = asyncio.get_running_loop().time()
        entry = self._entries.get(question)
        if entry is not None and now < entry.fresh_until:
            self._entries.move_to_end(question)
            return _records(entry)
        stale = entry if entry is not None and self._is_usable(entry, now) else None
        try:
            return _records(await self._ask(question, self._limits.patience if stale else timeout))
        except DnsFailure:
            if stale is None:
                raise
            return stale.records

    async def close(self) -> None:
        """Give up the questions under way."""
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _is_usable(self, entry: _Entry, now: float) -> bool:
        return not entry.detail and now < entry.fresh_until + self._limits.stale

    async def _ask(self, question: Question, timeout: float) -> _Entry:
        """Share one question among all who want the answer; it goes on when they lose patience."""
        task = self._asking.get(question)
        if task is None:
            task = asyncio.create_task(self._query(question), name=f"DNS {question[1]} {question[0]}")
            self._asking[question] = task
        if self._waiting.get(question, 0) >= self._limits.waiting:
            raise DnsFailure(f"{question[0]}: too many wait for this name already")
        self._waiting[question] = self._waiting.get(question, 0) + 1
        try:
            done, _pending = await asyncio.wait({task}, timeout=timeout)
        finally:
            self._leave(question)
        if not done or task.cancelled():
            raise DnsFailure(f"{question[0]}: DNS did not answer in {timeout:g} s")
        return task.result()

    def _leave(self, question: Question) -> None:
        self._waiting[question] -= 1
        if not self._waiting[question]:
            del self._waiting[question]

    async def _query(self, question: Question) -> _Entry:
        try:
            answer = await self._dns.query(*question)
        except DnsFailure as failure:
            return self._keep_failure(question, str(failure))
        finally:
            self._asking.pop(question, None)
        return self._keep(question, answer)

    def _keep(self, question: Question, answer: DnsAnswer) -> _Entry:
        longest = self._limits.longest if answer.records else self._limits.longest_negative
        ttl = min(max(answer.ttl, self._limits.shortest), longest)
        return self._store(question, _Entry(answer.records, asyncio.get_running_loop().time() + ttl))

    def _keep_failure(self, question: Question, detail: str) -> _Entry:
        """A failure never overwrites an answer that can still serve."""
        now = asyncio.get_running_loop().time()
        failed = _Entry((), now + self._limits.failure, detail)
        known = self._entries.get(question)
        if known is not None and self._is_usable(known, now):
            return failed
        return self._store(question, failed)

    def _store(self, question: Question, entry: _Entry) -> _Entry:
        self._entries[question] = entry
        self._entries.move_to_end(question)
        if len(self._entries) > self._limits.entries:
            self._entries.popitem(last=False)
        return entry


def _records(entry: _Entry) -> tuple[Record, ...]:
    if entry.detail:
        raise DnsFailure(entry.detail)
    return entry.records
