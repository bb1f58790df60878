# SPDX-License-Identifier: Apache-2.0
"""Where may a call go, and whose phone is it? What calls ask the dial plan and the registrations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringback.server.routing import Refusal, ToApplication, ToUri
from ringback.server.subscribers import Principal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ringback.net.driver import StackDriver
    from ringback.server.b2bua.bridge import Bridge
    from ringback.server.b2bua.invitation import Invitation
    from ringback.server.binding import Binding
    from ringback.server.location import Location
    from ringback.server.routing import Decision
    from ringback.server.target_set import TargetSet
    from ringback.server.targets import Target
    from ringback.sip.flow import Flow
    from ringback.sip.message.message import Response
    from ringback.sip.message.uri import SipUri


class Ways:
    """What is asked; `driver` is there from the first call on."""

    __slots__ = ("_bridge", "_is_elsewhere", "_location", "_target_set", "driver")

    def __init__(
        self,
        bridge: Bridge,
        target_set: TargetSet,
        location: Location,
        is_elsewhere: Callable[[str], bool],
    ) -> None:
        self.driver: StackDriver | None = None
        self._bridge = bridge
        self._target_set = target_set
        self._location = location
        self._is_elsewhere = is_elsewhere

    # --- where it goes

    def targets(self, decision: Decision | None, *, secure: bool) -> Sequence[Target]:
        """The targets of a decision."""
        assert self.driver is not None
        return self._target_set.of(decision, driver=self.driver, secure=secure)

    def redirected(self, invitation: Invitation, response: Response) -> Sequence[Target]:
        """Where a 3xx leads, if we follow it."""
        if not self._bridge.policy.recurses or self.driver is None:
            return ()
        return self._target_set.of_redirection(
            response,
            method="INVITE",
            caller=invitation.principal,
            driver=self.driver,
            secure=invitation.is_secure,
        )

    def decide(self, principal: Principal | None, uri: SipUri) -> Decision:
        """Where a call to `uri` would lead if `principal` made it: for those who have others call. No leg of
        ours can go to an application of another worker, such as a room that is there.
        """
        decision = self._target_set.decide(uri, method="REFER", caller=principal)
        if isinstance(decision, ToApplication) and self._is_elsewhere(uri.user or ""):
            return Refusal(501)
        return decision

    def may_call(self, principal: Principal | None, uri: SipUri) -> bool:
        """Whether `principal` may have somebody call `uri`."""
        policy = self._bridge.policy
        is_inside = not isinstance(self._target_set.decide(uri, method="INVITE", caller=principal), ToUri)
        if principal is None:
            return is_inside and policy.strangers_may_call
        return is_inside or (policy.users_may_call_out and not principal.may_call)

    # --- whose phone it is

    def binding_of(self, handle: bytes) -> Binding | None:
        """The registration of this name."""
        now = self.driver.now if self.driver is not None else 0.0
        return self._location.find(handle, now=now) if handle else None

    def owner_of(self, handle: bytes) -> Principal | None:
        """The user whose phone this registration is."""
        binding = self.binding_of(handle)
        return None if binding is None else Principal(binding.user, device=binding.device)

    def flow_of(self, handle: bytes) -> Flow | None:
        """The connection by which a registered phone is reached now."""
        binding = self.binding_of(handle)
        flow = None if binding is None else binding.flow
        return flow if flow is not None and self.driver is not None and self.driver.is_alive(flow) else None
