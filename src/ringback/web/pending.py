# SPDX-License-Identifier: Apache-2.0
"""What has begun and waits for its second step? Challenges of passkeys, secrets not confirmed yet."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

LIFETIME = 300.0
MOST = 1_000


class Pending:
    """A few values for a few minutes, each taken once. A restart forgets them: people begin again."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: OrderedDict[str, tuple[float, object]] = OrderedDict()

    def put(self, name: str, value: object) -> None:
        """Keep it under this name; what was there goes."""
        self._kept.pop(name, None)
        self._kept[name] = (self._clock() + LIFETIME, value)
        while len(self._kept) > MOST:
            self._kept.popitem(last=False)

    def take(self, name: str) -> object | None:
        """Once."""
        until, value = self._kept.pop(name, (0.0, None))
        return value if until > self._clock() else None
