# SPDX-License-Identifier: Apache-2.0
"""Who hears that a phone has come or gone? Whoever listens to the bulletin: `phone.registered` and
`phone.unregistered`. A refresh is neither.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ringback.server.call_records.book import Budget

if TYPE_CHECKING:
    from ringback.server.binding import Binding
    from ringback.server.bulletin import Bulletin

#: Events a second, and at once after a quiet time: when all phones come back, consoles read the list anew.
RATE, BURST = 50.0, 200.0
KINDS = {True: "phone.registered", False: "phone.unregistered"}


class RegistrationEvents:
    """Give it to `Location.watch`. `is_ours`: of several workers, which all know each phone, one posts."""

    __slots__ = ("_budget", "_bulletin", "_is_ours", "_now")

    def __init__(
        self,
        bulletin: Bulletin,
        *,
        now: Callable[[], float],
        is_ours: Callable[[Binding], bool] = lambda _: True,
    ) -> None:
        self._bulletin = bulletin
        self._now = now
        self._is_ours = is_ours
        self._budget = Budget(RATE, BURST)

    def __call__(self, binding: Binding, *, is_here: bool) -> None:
        """A phone has come, or has gone."""
        kind, flow = KINDS[is_here], binding.flow
        if not self._bulletin.wants(kind) or not self._is_ours(binding) or not self._budget.take(self._now()):
            return
        self._bulletin.post(
            kind,
            number=binding.user,
            contact=binding.uri_text,
            user_agent=binding.user_agent,
            device=binding.device,
            transport=flow.transport.value if flow is not None else "",
            remote=str(flow.remote) if flow is not None else "",
        )
