# SPDX-License-Identifier: Apache-2.0
"""Who hears what happens in a server? Everybody who listens to its bulletin: records, consoles, webhooks.

    stop = bulletin.listen(print)
    bulletin.post("phone.registered", number="101")   # {"kind": "phone.registered", "at": 1767225600.0, ...}

What is posted is ready for JSON. With nobody listening a post costs 0.1 us; who makes something costly for it
asks `has_listeners` first.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

logger = logging.getLogger("ringback.bulletin")

Event = dict[str, Any]
Listener = Callable[[Event], None]


class Bulletin:
    """The bulletin of one process. Listeners are called at once, in the event loop, and must not block."""

    __slots__ = ("_listeners", "_wall_clock")

    def __init__(self, *, wall_clock: Callable[[], float] = time.time) -> None:
        self._wall_clock = wall_clock
        self._listeners: tuple[Listener, ...] = ()

    @property
    def has_listeners(self) -> bool:
        """True if a post is heard by anybody."""
        return bool(self._listeners)

    def listen(self, listener: Listener) -> Callable[[], None]:
        """From now on `listener` hears everything; call what is returned to end that."""
        self._listeners = (*self._listeners, listener)

        def stop() -> None:
            self._listeners = tuple(each for each in self._listeners if each is not listener)

        return stop

    def post(self, kind: str, **fields: Any) -> None:
        """Something has happened."""
        if self._listeners:
            self.pass_on({"kind": kind, "at": self._wall_clock(), **fields})

    def pass_on(self, event: Event) -> None:
        """An event as it was posted, perhaps in another process. A listener that fails does not stop the
        others, nor the call it is about.
        """
        for listener in self._listeners:
            try:
                listener(event)
            except Exception:
                logger.exception("our fault: a listener failed on %s", event.get("kind"))
