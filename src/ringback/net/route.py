# SPDX-License-Identifier: Apache-2.0
"""How does a message without a flow find one? Resolve, open or reuse, fail over (RFC 3263 4.3)."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from ringback.net.errors import TransportError
from ringback.net.limits import TransportLimits
from ringback.net.resolver import Resolver
from ringback.net.targets import Target
from ringback.sip.events import FlowNeeded, Outgoing
from ringback.sip.flow import Flow, Transport
from ringback.sip.message.sip_uri import SipUri
from ringback.sip.message.uri import Uri

log = logging.getLogger("ringback.net")

#: RFC 3261 18.1.1: larger requests go over TCP. What the Via will add is guessed.
LARGEST_UDP_REQUEST = 1300
VIA_ROOM = 120
#: Searches are kept for fail-over no longer than a transaction can wait for its first response.
KEPT = 64.0
MOST_SEARCHES = 10_000


#: (message, its flow, True when there are more targets)
Found = Callable[[Outgoing, Flow, bool], None]
#: (message, why there is no way)
Lost = Callable[[Outgoing, str], None]


class FlowSource(Protocol):
    """Opens flows: the transport layer."""

    def flow_now(self, target: Target) -> Flow | None:
        """A flow that needs no waiting."""
        ...

    async def flow_soon(self, target: Target, *, timeout: float) -> Flow:
        """A flow, opened if need be. Raises `TransportError`."""
        ...


@dataclass(slots=True)
class _Search:
    """The targets of one message, and how far we are."""

    outgoing: Outgoing
    hop: Uri
    expires: float
    targets: list[Target] | None = None
    position: int = 0
    detail: str = "no target"


class FlowFinder:
    """Answers every `FlowNeeded` with `found` or `lost`."""

    def __init__(
        self, source: FlowSource, resolver: Resolver, *, limits: TransportLimits, found: Found, lost: Lost
    ) -> None:
        self._source = source
        self._found = found
        self._lost = lost
        self._resolver = resolver
        self._limits = limits
        self._searches: OrderedDict[int, _Search] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()

    def find(self, event: FlowNeeded) -> None:
        """Find a flow: at once where nothing must be waited for, else in a task."""
        now = asyncio.get_running_loop().time()
        self._expire(now)
        search = self._search(event, now)
        if search is None or len(self._tasks) >= MOST_SEARCHES:
            self._lost(event.outgoing, "nothing more to try")
            return
        if not self._try_now(search):
            task = asyncio.create_task(self._run(search), name=f"way to {event.hop}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def flow_to(self, uri: Uri) -> Flow:
        """A flow to the first target of `uri` that can be opened. Raises `TransportError`."""
        detail = "no target"
        for target in await self._resolver.resolve(uri):
            try:
                return await self._flow(target, self._limits.handshake)
            except TransportError as error:
                detail = str(error)
        raise TransportError(detail)

    async def close(self) -> None:
        """Give up every search."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._searches.clear()

    # --- inside ---

    def _search(self, event: FlowNeeded, now: float) -> _Search | None:
        """A new search, or the one that is to go on with its next target."""
        key = id(event.outgoing)
        if event.attempt == 0:
            search = _Search(event.outgoing, event.hop, now + KEPT)
            self._searches[key] = search
            return search
        known = self._searches.get(key)
        if known is None or known.outgoing is not event.outgoing or known.targets is None:
            return None
        self._resolver.health.failed(known.targets[known.position - 1], now)
        return known

    def _expire(self, now: float) -> None:
        while self._searches:
            search = next(iter(self._searches.values()))
            if search.expires > now:
                return
            self._searches.popitem(last=False)

    def _try_now(self, search: _Search) -> bool:
        """True when the search is answered already: numeric, and no connection to be opened."""
        if search.targets is None:
            try:
                targets = self._resolver.resolve_numeric(search.hop)
            except TransportError as error:
                self._give_up(search, str(error))
                return True
            if targets is None:
                return False
            search.targets = self._with_detours(search, targets)
        if search.position >= len(search.targets):
            self._give_up(search, search.detail)
            return True
        flow = self._source.flow_now(search.targets[search.position])
        if flow is None:
            return False
        self._use(search, flow)
        return True

    async def _run(self, search: _Search) -> None:
        try:
            if search.targets is None:
                search.targets = self._with_detours(search, await self._resolver.resolve(search.hop))
        except TransportError as error:
            self._give_up(search, str(error))
            return
        while search.position < len(search.targets):
            target = search.targets[search.position]
            try:
                flow = await self._flow(target, self._patience(search))
            except TransportError as error:
                log.debug("no way to %s: %s", search.hop, error)
                search.detail = str(error)
                search.position += 1
            else:
                self._use(search, flow)
                return
        self._give_up(search, search.detail)

    async def _flow(self, target: Target, timeout: float) -> Flow:
        now = asyncio.get_running_loop().time()
        try:
            flow = await self._source.flow_soon(target, timeout=timeout)
        except TransportError:
            self._resolver.health.failed(target, now)
            raise
        if target.transport.is_reliable:
            self._resolver.health.works(target)
        return flow

    def _use(self, search: _Search, flow: Flow) -> None:
        assert search.targets is not None
        search.position += 1
        more = search.position < len(search.targets)
        if not more:
            self._searches.pop(id(search.outgoing), None)
        self._found(search.outgoing, flow, more)

    def _give_up(self, search: _Search, detail: str) -> None:
        self._searches.pop(id(search.outgoing), None)
        self._lost(search.outgoing, detail)

    # --- large requests: RFC 3261 18.1.1 ---

    def _with_detours(self, search: _Search, targets: Sequence[Target]) -> list[Target]:
        """Before UDP, TCP to the same place, when the request is large and the URI insists on nothing."""
        if not self._is_large(search):
            return list(targets)
        now = asyncio.get_running_loop().time()
        result: list[Target] = []
        for target in targets:
            detour = target._replace(transport=Transport.TCP)
            if target.transport is Transport.UDP and not self._resolver.health.is_failing(detour, now):
                result.append(detour)
            result.append(target)
        return result

    def _is_large(self, search: _Search) -> bool:
        if isinstance(search.hop, SipUri) and search.hop.transport is not None:
            return False
        return len(search.outgoing.request.to_bytes()) + VIA_ROOM > LARGEST_UDP_REQUEST

    def _patience(self, search: _Search) -> float:
        """A detour must not cost a call much when nobody answers there."""
        assert search.targets is not None
        here, following = search.targets[search.position], search.targets[search.position + 1 :][:1]
        is_detour = any(
            next_one.transport is Transport.UDP and next_one.address == here.address for next_one in following
        )
        return self._limits.detour if is_detour else self._limits.handshake
