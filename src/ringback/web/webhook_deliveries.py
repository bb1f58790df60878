# SPDX-License-Identifier: Apache-2.0
"""How do events reach webhooks, also those that are away for a while?

    deliveries = Deliveries(store, events, allowed=settings.web.webhook_allow, clock=time.time)
    await deliveries.start()
    ...
    await deliveries.close()

An event is written to the store first, so that it survives a restart, and is tried at once; whatever does not
answer with 2xx is tried again, ever less often, for a day. Each webhook has its own turn: a slow one holds up
nobody else. An event arrives at least once and, while all goes well, in order; its id tells repetitions.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from ringback.server.storage.store import StorageError
from ringback.server.storage.webhooks import Due, WebhookRecord, WebhookStore
from ringback.web.webhook_post import Post, Posted

logger = logging.getLogger("ringback.webhooks")

Event = dict[str, Any]

#: When it is tried again: so many seconds after each attempt, then ever again after the last.
BACKOFF = (5.0, 30.0, 120.0, 600.0, 1800.0, 3600.0)
#: An event that is older is given up.
LIFETIME = 86_400.0
#: Events that wait for the store; more come only when the disk hangs, and are counted and dropped.
MOST_WAITING = 10_000
#: Looked at again at the latest after so long: another process may have written.
LOOK_AGAIN = 30.0
#: Events that come together are written together.
GATHERING = 0.05
#: A webhook whose secret cannot be read waits for its owner.
UNREADABLE = 3600.0
MOST_AT_ONCE = 8


class Hears(Protocol):
    """Where events come from (`web.events.Events`)."""

    def subscribe(self, listener: Callable[[Event], None]) -> Callable[[], None]: ...


class Deliveries:
    """Takes events to webhooks, from `start` to `close`. `post` sends one (`webhook_post.Sender`)."""

    def __init__(self, store: WebhookStore, events: Hears, *, post: Post, clock: Callable[[], float]) -> None:
        self._store = store
        self._events = events
        self._post = post
        self._clock = clock
        self._webhooks: Sequence[WebhookRecord] = ()
        self._heard: list[Event] = []
        self._wake = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self._stop_hearing: Callable[[], None] = lambda: None
        self._slots = asyncio.Semaphore(MOST_AT_ONCE)
        self.dropped = 0

    async def start(self) -> None:
        """Listen, and deliver what an earlier process left behind."""
        await self.look()
        self._stop_hearing = self._events.subscribe(self.hear)
        self._running = asyncio.create_task(self._run())

    async def close(self) -> None:
        """What has not arrived stays in the store."""
        self._stop_hearing()
        if self._running is not None:
            self._running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._running
        with contextlib.suppress(StorageError):
            await self._keep_heard()

    async def look(self) -> None:
        """Webhooks were changed: read them again."""
        self._webhooks = await asyncio.to_thread(self._store.webhooks)
        self._wake.set()

    def hear(self, event: Event) -> None:
        """An event. Returns at once; one that nobody wants costs a microsecond."""
        if not self._wanting(event):
            return
        if len(self._heard) >= MOST_WAITING:
            self.dropped += 1
            return
        self._heard.append(event)
        self._wake.set()

    async def send_test(self, webhook: str) -> None:
        """An event for this webhook alone."""
        body = _body({"kind": "webhook.test", "at": self._clock()})
        await asyncio.to_thread(self._store.enqueue, [(webhook, "webhook.test", body)], now=self._clock())
        self._wake.set()

    async def deliver(self) -> float | None:
        """Everything that is due now, each webhook in its turn; when something is due next."""
        await self._keep_heard()
        webhooks = await asyncio.to_thread(self._store.webhooks)
        waiting = [webhook for webhook in webhooks if webhook.enabled and webhook.waiting]
        await asyncio.gather(*(self._deliver_to(webhook) for webhook in waiting))
        return await asyncio.to_thread(self._store.next_due)

    async def _run(self) -> None:
        while True:
            try:
                self._webhooks = await asyncio.to_thread(self._store.webhooks)
                self._wake.clear()
                due = await self.deliver()
            except StorageError as error:
                logger.warning("webhooks wait: %s", error)
                due = None
            wait = LOOK_AGAIN if due is None else min(max(due - self._clock(), 0.0), LOOK_AGAIN)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), wait)
                await asyncio.sleep(GATHERING)

    async def _keep_heard(self) -> None:
        """What was heard, into the store."""
        heard, self._heard = self._heard, []
        if not heard:
            return
        rows = [
            (webhook.id, str(event["kind"]), _body(event))
            for event in heard
            for webhook in self._wanting(event)
        ]
        if rows:
            self.dropped += await asyncio.to_thread(self._store.enqueue, rows, now=self._clock())

    def _wanting(self, event: Event) -> list[WebhookRecord]:
        return [each for each in self._webhooks if each.enabled and each.wants(str(event.get("kind")))]

    async def _deliver_to(self, webhook: WebhookRecord) -> None:
        """What is due for one webhook, until nobody answers there."""
        async with self._slots:
            due = await asyncio.to_thread(self._store.due, webhook.id, now=self._clock())
            secret = await asyncio.to_thread(self._store.secret, webhook.id)
            if secret is None:
                until = self._clock() + UNREADABLE
                await asyncio.to_thread(self._store.postpone, webhook.id, until=until)
                return
            for delivery in due:
                body = delivery.body.encode()
                posted = await self._post(
                    webhook.url,
                    body,
                    secret=secret,
                    event=delivery.event,
                    delivery=delivery.id,
                    now=self._clock(),
                )
                await self._note(webhook, delivery, posted)
                if posted.status == 0:
                    return

    async def _note(self, webhook: WebhookRecord, delivery: Due, posted: Posted) -> None:
        now = self._clock()
        again_at = _again_at(delivery, now)
        await asyncio.to_thread(
            self._store.attempted,
            delivery.id,
            now=now,
            status=posted.status,
            failure=posted.failure,
            again_at=again_at,
        )
        if posted.status == 0 and again_at is not None:
            await asyncio.to_thread(self._store.postpone, webhook.id, until=again_at)


def _again_at(delivery: Due, now: float) -> float | None:
    """When a delivery that failed is tried again; None when it is given up."""
    at = now + BACKOFF[min(delivery.attempts, len(BACKOFF) - 1)]
    return at if at < delivery.created_at + LIFETIME else None


def _body(event: Event) -> str:
    return json.dumps(event, separators=(",", ":"))
