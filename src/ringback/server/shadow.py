# SPDX-License-Identifier: Apache-2.0
"""What would the server do with this message? A second server of the same settings and people, with a driver
that is silent: the very services decide, nothing is sent, and nothing changes.

    shadow = ShadowServer(server)
    said = await shadow.tell(data, flow)
    shadow.decisions.of(call_id)
    await shadow.close()
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from copy import copy
from typing import TYPE_CHECKING

from ringback.net.silent_driver import NoNetwork, SilentDriver
from ringback.server.app import Server
from ringback.server.location import Location
from ringback.server.shadow_media import ShadowPlane
from ringback.server.storage import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ringback.server.applications import Application, Applications, IncomingCall
    from ringback.server.binding import Binding
    from ringback.server.targets import Target
    from ringback.sip.flow import Flow

#: How often the loop goes round until all is said: the task of a bridged call, and the plane.
TURNS = 200


class ShadowLocation(Location):
    """The registrations of `original` for reading; a user's are copied when somebody asks for them."""

    __slots__ = ("_copied", "_original")

    def __init__(self, original: Location, wall_clock: Callable[[], float]) -> None:
        super().__init__(MemoryStore(), wall_clock=wall_clock)
        self._original = original
        self._copied: set[str] = set()

    def bindings(self, user: str, *, now: float) -> list[Binding]:
        self._copy(user)
        return super().bindings(user, now=now)

    def targets(self, user: str, *, now: float) -> tuple[Target, ...]:
        self._copy(user)
        return super().targets(user, now=now)

    def find(self, handle: bytes, *, now: float) -> Binding | None:
        binding = self._original.find(handle, now=now)
        if binding is not None:
            self._copy(binding.user)
        return super().find(handle, now=now)

    def apply(self, user: str, *, put: Iterable[Binding] = (), remove: Iterable[str] = ()) -> None:
        self._copy(user)
        super().apply(user, put=put, remove=remove)

    def _copy(self, user: str) -> None:
        if user not in self._copied:
            self._copied.add(user)
            found = self._original.bindings(user, now=float("-inf"))
            super().apply(user, put=[copy(binding) for binding in found])


class _Stage:
    """In the place of the real applications: they are found, and say nothing."""

    def __init__(self, original: Applications) -> None:
        self._original = original

    def find(self, name: str) -> Application | None:
        return None if self._original.find(name) is None else _stay_silent


async def _stay_silent(call: IncomingCall) -> None:
    await asyncio.Event().wait()


class ShadowServer(Server):
    """A `Server` beside `original` that listens nowhere. It is there for one message."""

    def __init__(self, original: Server) -> None:
        around, network = original.services.around, NoNetwork()
        settings, identity = original.services.settings, around.identity
        plane = ShadowPlane(identity.advertised, settings.media.first_port)
        super().__init__(
            settings,
            identity,
            subscribers=around.subscribers,
            store=MemoryStore(),
            network=network,
            applications=_Stage(around.applications),
            dial_plan=around.dial_plan,
            wall_clock=around.wall_clock,
            plane=plane if around.plane is not None else None,
            location=ShadowLocation(original.location, around.wall_clock),
        )
        self.silent = SilentDriver(self.stack, original.driver, network, handler=self.pipeline.receive)
        self.pipeline.driver = self.silent
        for endpoint in original.endpoints:
            self.locality.add_endpoint(endpoint)

    async def tell(self, data: bytes, flow: Flow) -> Sequence[tuple[bytes, Flow]]:
        """Give it a message as if it had come by `flow`; what it would send, answers among it."""
        before = len(self.silent.said)
        self.silent.receive(data, flow)
        for _ in range(TURNS):
            await asyncio.sleep(0)
        return self.silent.said[before:]

    async def close(self) -> None:
        """End what was begun; the farewells are kept by nobody."""
        await self.services.bridge.close()
        await self.services.calls.close()
        await self.pipeline.close()
        await self.silent.close()
