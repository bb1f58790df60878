# SPDX-License-Identifier: Apache-2.0
"""Where are webhooks kept, and what waits for them, so that a restart loses nothing?

A delivery waits while `next_attempt_at` is a time; afterwards it is history, of which some is kept. The
secret of a webhook is sealed like a phone's digests: it signs, so that its hash would not do.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field

from ringback.server.storage.sqlite_file import SqliteFile

SECRET_PREFIX = "whsec_"  # noqa: S105 (so that one that leaks is recognised)
#: Deliveries that may wait for one webhook; what comes then is dropped, as its owner has stopped listening.
MAX_WAITING = 10_000
#: So many of those that are done are kept for each webhook.
HISTORY = 500

_WEBHOOK = (
    "id, url, events, enabled, created_at, failure, "
    "(SELECT count(*) FROM deliveries WHERE webhook = webhooks.id AND next_attempt_at IS NOT NULL)"
)
_DELIVERY = "id, webhook, event, created_at, attempts, next_attempt_at, delivered_at, status, failure"


@dataclass(frozen=True, slots=True)
class WebhookRecord:
    """An address that is told of events. `waiting` is how many deliveries are due, `failure` why the last
    one failed.
    """

    id: str
    url: str
    events: tuple[str, ...]
    enabled: bool
    created_at: float
    failure: str = ""
    waiting: int = 0

    def wants(self, kind: str) -> bool:
        """True for events of this kind: "call.ended", "call.*" or "*" is among its own."""
        return "*" in self.events or kind in self.events or f"{kind.partition('.')[0]}.*" in self.events


@dataclass(frozen=True, slots=True)
class DeliveryRecord:
    """One event for one webhook, without its body."""

    id: int
    webhook: str
    event: str
    created_at: float
    attempts: int
    next_attempt_at: float | None
    delivered_at: float | None
    status: int
    failure: str


@dataclass(frozen=True, slots=True)
class Due:
    """A delivery that should leave now."""

    id: int
    event: str
    body: str = field(repr=False)
    created_at: float
    attempts: int


class WebhookStore(SqliteFile):
    """Webhooks and their deliveries."""

    __slots__ = ()

    def webhooks(self) -> Sequence[WebhookRecord]:
        """All of them, the oldest first."""
        return self._some("1 = 1 ORDER BY created_at, id")

    def webhook(self, identifier: str) -> WebhookRecord | None:
        found = self._some("id = ?", identifier)
        return found[0] if found else None

    def add(self, url: str, events: Sequence[str], *, now: float) -> tuple[WebhookRecord, str]:
        """A new one, and the secret that signs what is sent to it."""
        secret = SECRET_PREFIX + secrets.token_urlsafe(32)
        record = WebhookRecord(secrets.token_hex(8), url, tuple(dict.fromkeys(events)), True, now)
        with self._writing() as connection:
            connection.execute(
                "INSERT INTO webhooks (id, url, events, secret, enabled, created_at, failure) "
                "VALUES (?, ?, ?, ?, 1, ?, '')",
                (record.id, url, json.dumps(record.events), self._seal(record.id, secret), now),
            )
        return record, secret

    def change(
        self,
        identifier: str,
        *,
        url: str | None = None,
        events: Sequence[str] | None = None,
        enabled: bool | None = None,
    ) -> bool:
        """New values; None stays. One that is switched on is tried at once with all that waits."""
        values = (url, None if events is None else json.dumps(list(events)), enabled, identifier)
        with self._writing() as connection:
            done = connection.execute(
                "UPDATE webhooks SET url = coalesce(?, url), events = coalesce(?, events), "
                "enabled = coalesce(?, enabled) WHERE id = ?",
                values,
            )
            if enabled:
                connection.execute(
                    "UPDATE deliveries SET next_attempt_at = 0 WHERE webhook = ? AND next_attempt_at > 0",
                    (identifier,),
                )
        return done.rowcount > 0

    def remove(self, identifier: str) -> bool:
        """And all that waits for it."""
        with self._writing() as connection:
            return connection.execute("DELETE FROM webhooks WHERE id = ?", (identifier,)).rowcount > 0

    def secret(self, identifier: str) -> str | None:
        """For signing; None when it is gone, or sealed with another key."""
        with self._reading() as connection:
            row = connection.execute("SELECT secret FROM webhooks WHERE id = ?", (identifier,)).fetchone()
        return None if row is None else self._sealer.open(row[0], "webhook", identifier)

    def enqueue(self, rows: Sequence[tuple[str, str, str]], *, now: float) -> int:
        """(webhook, event, body) each; how many were dropped because too much waits already."""
        dropped = 0
        with self._writing() as connection:
            for webhook, event, body in rows:
                done = connection.execute(
                    "INSERT INTO deliveries (webhook, event, body, created_at, attempts, next_attempt_at, "
                    "status, failure) SELECT id, ?2, ?3, ?4, 0, ?4, 0, '' FROM webhooks WHERE id = ?1 "
                    "AND (SELECT count(*) FROM deliveries "
                    "WHERE webhook = ?1 AND next_attempt_at NOT NULL) < ?5",
                    (webhook, event, body, now, MAX_WAITING),
                )
                dropped += done.rowcount < 1
        return dropped

    def due(self, webhook: str, *, now: float, most: int = 50) -> Sequence[Due]:
        """What should leave now, the oldest first."""
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT id, event, body, created_at, attempts FROM deliveries "
                "WHERE webhook = ? AND next_attempt_at <= ? ORDER BY id LIMIT ?",
                (webhook, now, most),
            ).fetchall()
        return [Due(*row) for row in rows]

    def next_due(self) -> float | None:
        """When the next delivery of an enabled webhook should leave."""
        with self._reading() as connection:
            row = connection.execute(
                "SELECT min(next_attempt_at) FROM deliveries JOIN webhooks ON webhooks.id = webhook "
                "WHERE next_attempt_at IS NOT NULL AND enabled"
            ).fetchone()
        return None if row is None or row[0] is None else float(row[0])

    def attempted(
        self, delivery: int, *, now: float, status: int, failure: str, again_at: float | None
    ) -> None:
        """How an attempt went: `failure` is empty when it arrived, else `again_at` says when to try again."""
        with self._writing() as connection:
            connection.execute(
                "UPDATE deliveries SET attempts = attempts + 1, status = ?, failure = ?, "
                "next_attempt_at = ?, delivered_at = ? WHERE id = ?",
                (status, failure, again_at if failure else None, None if failure else now, delivery),
            )
            connection.execute(
                "UPDATE webhooks SET failure = ? WHERE id = (SELECT webhook FROM deliveries WHERE id = ?)",
                (failure, delivery),
            )
            if again_at is None or not failure:
                _forget_old(connection, delivery)

    def postpone(self, webhook: str, *, until: float) -> None:
        """Nobody is there: what waits for this webhook waits for longer."""
        with self._writing() as connection:
            connection.execute(
                "UPDATE deliveries SET next_attempt_at = ?1 WHERE webhook = ?2 AND next_attempt_at < ?1",
                (until, webhook),
            )

    def deliveries(
        self, webhook: str, *, page: int = 1, size: int = 50
    ) -> tuple[Sequence[DeliveryRecord], int]:
        """The newest first, and how many there are."""
        with self._reading() as connection:
            total = connection.execute(
                "SELECT count(*) FROM deliveries WHERE webhook = ?", (webhook,)
            ).fetchone()[0]
            rows = connection.execute(
                f"SELECT {_DELIVERY} FROM deliveries WHERE webhook = ? "  # noqa: S608 (ours)
                "ORDER BY id DESC LIMIT ? OFFSET ?",
                (webhook, size, (page - 1) * size),
            ).fetchall()
        return [DeliveryRecord(*row) for row in rows], int(total)

    def _seal(self, identifier: str, secret: str) -> bytes:
        return self._sealer.seal(secret, "webhook", identifier)

    def _some(self, condition: str, *values: object) -> list[WebhookRecord]:
        with self._reading() as connection:
            rows = connection.execute(
                f"SELECT {_WEBHOOK} FROM webhooks WHERE {condition}",  # noqa: S608 (ours)
                values,
            ).fetchall()
        return [
            WebhookRecord(identifier, url, tuple(json.loads(events)), bool(enabled), *rest)
            for identifier, url, events, enabled, *rest in rows
        ]


def _forget_old(connection: sqlite3.Connection, delivery: int) -> None:
    """Of those that are done only the newest are kept."""
    connection.execute(
        "DELETE FROM deliveries WHERE next_attempt_at IS NULL AND "
        "webhook = (SELECT webhook FROM deliveries WHERE id = ?1) AND id <= ?1 - ?2",
        (delivery, HISTORY),
    )
