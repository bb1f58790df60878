# SPDX-License-Identifier: Apache-2.0
"""Who hears what happens in a server? Everybody who listens to its bulletin: records, consoles, webhooks.

    stop = bulletin.listen(print)
    bulletin.post("phone.registered", number="101")   # {"kind": "phone.registered", "at": 1767225600.0, ...}

What is posted is ready for JSON. With nobody listening a post costs 0.1 us; who makes something costly for it
asks first whether anybody `wants` it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection
from typing import Any

logger = logging.getLogger("ringback.bulletin")

Event = dict[str, Any]
Listener = Callable[[Event], None]


class Bulletin:
    """The bulletin of one process. Listeners are called at once, in the event loop, and must not block."""

    __slots__ = ("_listeners", "_wall_clock")

    def __init__(self, *, wall_clock: Callable[[], float] = time.time) -> None:
        self._wall_clock = wall_clock
        #: Who hears what; an empty set means everything.
        self._listeners: tuple[tuple[Listener, frozenset[str]], ...] = ()

    def wants(self, kind: str) -> bool:
        """True if a post of this kind is heard by anybody."""
        return any(not kinds or kind in kinds for _, kinds in self._listeners)

    def listen(self, listener: Listener, *, only: Collection[str] = ()) -> Callable[[], None]:
        """From now on `listener` hears all, or `only` these kinds; call what is returned to end that."""
        entry = (listener, frozenset(only))
        self._listeners = (*self._listeners, entry)

        def stop() -> None:
            self._listeners = tuple(each for each in self._listeners if each is not entry)

        return stop

    def post(self, kind: str, **fields: Any) -> None:
        """Something has happened."""
        if self._listeners:
            self.pass_on({"kind": kind, "at": self._wall_clock(), **fields})

    def pass_on(self, event: Event) -> None:
        """An event as it was posted, perhaps in another process. A listener that fails does not stop the
        others, nor the call it is about.
        """
        kind = event.get("kind")
        for listener, kinds in self._listeners:
            if kinds and kind not in kinds:
                continue
            try:
                listener(event)
            except Exception:
                logger.exception("our fault: a listener failed on %s", kind)
