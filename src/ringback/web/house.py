# SPDX-License-Identifier: Apache-2.0
"""What may a route need? Everything is made once, by the process or by a test, and reaches routes as `House`.

    async def calls(house: Annotated[House, Depends(house_of)]) -> ...:
        return await house.server.ask("calls")

Stores block: call them with `await house.in_thread(house.people.person, identifier)`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar

from starlette.requests import HTTPConnection

from ringback.web.pending import Pending

if TYPE_CHECKING:
    from ringback.server.config import Settings
    from ringback.server.storage.audit import AuditStore
    from ringback.server.storage.entrances import LinkStore, SessionStore, TokenStore
    from ringback.server.storage.people import PeopleStore
    from ringback.server.storage.records import RecordStore
    from ringback.server.storage.recovery import RecoveryStore
    from ringback.server.storage.sqlite import SqliteStore
    from ringback.server.storage.webhooks import WebhookStore
    from ringback.web.events import Events
    from ringback.web.passwords import Passwords
    from ringback.web.sessions import Visitor
    from ringback.web.throttle import Throttle
    from ringback.web.webhook_deliveries import Deliveries

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class Asks(Protocol):
    """The running server: every verb of `pbx/verb_table.py` and of `pbx/process.py`."""

    async def ask(self, verb: str, *, timeout: float = 10.0, **arguments: Any) -> dict[str, Any]:
        """Raises `RingbackError` when it refuses, `ServerAway` when it is not there."""
        ...


@dataclass(slots=True)
class House:
    """One web process. `directory` is the data directory, `file` the settings file if there is one."""

    server: Asks
    store: SqliteStore
    people: PeopleStore
    sessions: SessionStore
    tokens: TokenStore
    links: LinkStore
    recovery: RecoveryStore
    changes: AuditStore
    records: RecordStore
    webhooks: WebhookStore
    deliveries: Deliveries
    events: Events
    passwords: Passwords
    throttle: Throttle
    settings: Settings
    directory: Path
    realm: str
    domain: str
    addresses: dict[str, str]
    file: Path | None = None
    clock: Callable[[], float] = time.time
    pending: Pending = field(default_factory=Pending)
    #: The same for those who have not signed in: however many, they push out only each other.
    strangers: Pending = field(default_factory=Pending)
    #: The pages; tests bring their own.
    static: Path = field(default_factory=lambda: Path(__file__).parent / "static")

    async def in_thread(
        self, call: Callable[Parameters, Result], *arguments: Parameters.args, **keywords: Parameters.kwargs
    ) -> Result:
        """Something that blocks, without stopping everybody else."""
        return await asyncio.to_thread(call, *arguments, **keywords)

    async def audit(
        self, visitor: Visitor, action: str, subject: str = "", before: object = None, after: object = None
    ) -> None:
        """Write down who changed what. `before` and `after` hold no secrets."""
        await self.in_thread(
            self.changes.add,
            at=self.clock(),
            person=visitor.person_id,
            name=visitor.name,
            address=visitor.address,
            action=action,
            subject=subject,
            before=before,
            after=after,
        )

    def link_to(self, path: str, *, host: str = "") -> str:
        """A whole address of a page here, as others reach it: "https://192.168.1.20:8443/invite/..."."""
        return f"https://{host or self.addresses.get('wss', self.domain)}{path}"


def house_of(connection: HTTPConnection) -> House:
    """A dependency: the house the app was made for."""
    house: House = connection.app.state.house
    return house
