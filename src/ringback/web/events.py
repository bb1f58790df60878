# SPDX-License-Identifier: Apache-2.0
"""How does a page hear of what happens? WebSocket /events, one JSON event a message, as far as it may."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, WebSocket, WebSocketDisconnect

from ringback.web.api.call_shapes import as_seen_by_a_party
from ringback.web.house import House, house_of
from ringback.web.problems import ApiProblem
from ringback.web.sessions import Role, Visitor, visitor_of

router = APIRouter()

Event = dict[str, Any]
Listener = Callable[[Event], None]

#: What pages hear when events were left out on the way: they read again what they show.
LOST = "events.lost"
#: So many events wait for a page that does not read; then it is told to come back.
MOST_WAITING = 1_000
MOST_PAGES, MOST_PAGES_EACH = 500, 20
#: A session is looked at again so often: one that has ended hears no more.
LOOK_AGAIN = 60.0
#: RFC 6455 7.4.1 and the registry: policy violation, try again later.
NOT_ALLOWED, TRY_AGAIN = 1008, 1013


class Events:
    """Everything that happens, handed on to whoever listens in this process."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []
        self.pages: dict[str, int] = {}

    def post(self, event: Event) -> None:
        """From the server: {"kind": "call.began", "at": ..., ...}."""
        for listener in list(self._listeners):
            listener(event)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with each event, in the loop; the result ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)


def may_see(visitor: Visitor, event: Event) -> bool:
    """Operators see everything; a person their own calls, phones and messages."""
    if visitor.may(Role.OPERATOR, "events:read") or event.get("kind") == LOST:
        return True
    if not visitor.number or not visitor.may(Role.PERSON, "events:read"):
        return False
    return visitor.number in _concerned(event)


def as_heard_by(visitor: Visitor, event: Event) -> Event:
    """A person learns of a call what the API would tell, and not where the other side is."""
    call = event.get("call")
    if visitor.role >= Role.OPERATOR or not isinstance(call, dict):
        return event
    return {**event, "call": as_seen_by_a_party(call, visitor.number)}


def _concerned(event: Event) -> set[str]:
    """The numbers an event is about."""
    call = event.get("call")
    parties = [call.get("caller"), call.get("callee")] if isinstance(call, dict) else []
    numbers = {str(party.get("number", "")) for party in parties if isinstance(party, dict)}
    return numbers | {str(event[name]) for name in ("number", "from", "to") if name in event}


class _Page:
    """What waits for one page."""

    def __init__(self, visitor: Visitor) -> None:
        self.visitor = visitor
        self._events: deque[Event] = deque()
        self._wake = asyncio.Event()
        self.is_late = False

    def __call__(self, event: Event) -> None:
        if not may_see(self.visitor, event):
            return
        if len(self._events) >= MOST_WAITING:
            self.is_late = True
        else:
            self._events.append(as_heard_by(self.visitor, event))
        self._wake.set()

    async def next(self) -> Event | None:
        """The next event; None after LOOK_AGAIN seconds of silence."""
        if not self._events:
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_AGAIN):
                    await self._wake.wait()
        return self._events.popleft() if self._events else None


@router.websocket("/events")
async def events(websocket: WebSocket, house: Annotated[House, Depends(house_of)]) -> None:
    """Live events. The first message is {"kind": "hello"}."""
    try:
        visitor = await visitor_of(websocket, house)
    except ApiProblem:
        visitor = None
    if visitor is None:
        await websocket.close(NOT_ALLOWED)
        return
    pages = house.events.pages
    if pages.get(visitor.person_id, 0) >= MOST_PAGES_EACH or sum(pages.values()) >= MOST_PAGES:
        await websocket.close(TRY_AGAIN)
        return
    pages[visitor.person_id] = pages.get(visitor.person_id, 0) + 1
    page = _Page(visitor)
    stop = house.events.subscribe(page)
    try:
        await websocket.accept()
        await _serve(websocket, house, page)
    finally:
        stop()
        pages[visitor.person_id] -= 1
        if not pages[visitor.person_id]:
            del pages[visitor.person_id]


async def _serve(websocket: WebSocket, house: House, page: _Page) -> None:
    """Until the page goes, or is too slow, or its session ends."""
    await websocket.send_text(json.dumps({"kind": "hello", "at": house.clock()}))
    sending = asyncio.create_task(_send(websocket, house, page))
    hearing = asyncio.create_task(_hear(websocket))
    try:
        await asyncio.wait({sending, hearing}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (sending, hearing):
            task.cancel()
        for outcome in await asyncio.gather(sending, hearing, return_exceptions=True):
            if isinstance(outcome, Exception) and not isinstance(outcome, WebSocketDisconnect | RuntimeError):
                raise outcome


async def _send(websocket: WebSocket, house: House, page: _Page) -> None:
    looked = house.clock()
    while not page.is_late:
        event = await page.next()
        if house.clock() - looked >= LOOK_AGAIN:
            looked = house.clock()
            visitor = await visitor_of(websocket, house)
            if visitor is None:
                await websocket.close(NOT_ALLOWED)
                return
            page.visitor = visitor
        if event is not None:
            await websocket.send_text(json.dumps(event))
    await websocket.close(TRY_AGAIN)


async def _hear(websocket: WebSocket) -> None:
    """A page has nothing to say here; what it says is not kept."""
    while True:
        message = await websocket.receive()
        if message["type"] == "websocket.disconnect":
            return
