# SPDX-License-Identifier: Apache-2.0
"""What is one half of a bridged call? A session with one phone, and what was said in it.

Commands never raise because the phone was faster: a leg that has ended, or whose state has moved on, says
False.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringback.server.b2bua.descriptions import Told, stream_count
from ringback.server.b2bua.partner_names import partner_named
from ringback.sip.dialog.session_states import State
from ringback.sip.errors import InvalidState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from ringback.net.driver import StackDriver
    from ringback.server.anchoring import Attempt, End
    from ringback.server.b2bua.call import BridgedCall
    from ringback.server.b2bua.crossing import Crossing
    from ringback.server.call_records.record import LegRecord
    from ringback.server.subscribers import Principal
    from ringback.server.targets import Target
    from ringback.sip.dialog.invite_session import InviteSession
    from ringback.sip.events import Event

Fields = list[tuple[str, str]]


class BridgeLeg:
    """One phone in a call. `name` is how the media plane knows it, unique in its call."""

    __slots__ = (
        "attempt",
        "attempts",
        "breadth",
        "call",
        "crossing",
        "driver",
        "early",
        "end",
        "handle",
        "is_fresh",
        "is_rejoined",
        "is_settled",
        "is_unnamed",
        "name",
        "principal",
        "record",
        "referrals",
        "session",
        "target",
        "told",
    )

    def __init__(self, call: BridgedCall, name: str, end: End, driver: StackDriver) -> None:
        self.call: BridgedCall | None = call
        """Whose events these are; None once the leg is of no call any more."""
        self.name = name
        self.end = end
        self.driver = driver
        self.session: InviteSession
        self.principal: Principal | None = None
        """The user of ours whose phone it is."""
        self.handle = b""
        """The registration of the phone."""
        self.told = Told()
        self.crossing: Crossing | None = None
        """The offer that this phone is to answer."""
        self.early: bytes | None = None
        """What it answered, as its partner is to get it, while its partner waits for an answer."""
        self.target: Target | None = None
        self.breadth = 1
        self.attempt: Attempt | None = None
        self.attempts: list[Attempt] = []
        """How else the call can be offered to it, should it refuse this way."""
        self.is_settled = False
        """It has the call, so that what was decided for it is what was decided for the call."""
        self.is_unnamed = False
        """It called without wanting to be named (RFC 3323)."""
        self.is_rejoined = False
        """It speaks with somebody else than its dialog says."""
        self.referrals = 0
        """How often it has asked us to call somebody for it."""
        self.record: LegRecord | None = None
        """What is written down of it."""
        self.is_fresh = True
        """Its session is yet to be made."""

    def __repr__(self) -> str:
        return f"<BridgeLeg {self.name} {self.end.name}>"

    # --- how it is

    @property
    def is_over(self) -> bool:
        """True when there is nobody to speak to any more."""
        return self.is_fresh or self.session.ended is not None

    @property
    def is_answering(self) -> bool:
        """True for a caller whose INVITE has no final response yet."""
        return not self.is_over and self.session.state in (State.INCOMING, State.RINGING)

    @property
    def is_established(self) -> bool:
        """True while its call stands."""
        return not self.is_over and self.session.is_established

    @property
    def is_quiet(self) -> bool:
        """Its call stands, and nothing is being negotiated with it."""
        if not self.is_established or self.crossing is not None:
            return False
        session = self.session
        return not session.pending and session.modification is None and session.remote_invite is None

    @property
    def offered_streams(self) -> int:
        """How many m= lines its last description has."""
        return stream_count(self.session.remote_sdp)

    # --- events

    def receive(self, event: Event) -> None:
        """The session's consumer."""
        if self.call is not None:
            self.call.hear(self, event)

    def let_go(self) -> None:
        """Nothing that happens to it concerns a call any more; no circle of references is left."""
        self.call = self.crossing = None
        if not self.is_fresh:
            self.session.consumer = None

    # --- commands

    def command(self, command: Callable[..., Any], *arguments: Any, **options: Any) -> bool:
        """Do it if it can be done now."""
        self._follow()
        try:
            self.driver.perform(command, *arguments, **options)
        except InvalidState:
            return False
        return True

    def ring(
        self, status: int, sdp: bytes | None, *, reliable: bool | None = None, headers: Fields | None = None
    ) -> bool:
        """A provisional response to the caller."""
        if not self.is_answering:
            return False
        return self.command(self.session.ring, sdp, status=status, reliable=reliable, headers=headers or [])

    def answer(self, sdp: bytes, *, headers: Fields | None = None) -> bool:
        """Give it the answer to its offer, or the offer it asked for, in the message that is due."""
        if self.is_over:
            return False
        if self.is_answering and not self.session.pending:
            return self.command(self.session.accept, sdp, headers=headers or [])
        return self.command(self.session.answer, sdp)

    def refuse(self, status: int, *, headers: Iterable[tuple[str, str]] = ()) -> bool:
        """Refuse what it offered; the call stays as it was."""
        if self.is_over:
            return False
        if self.is_answering and not self.session.pending:
            return self.command(self.session.reject, status, headers=headers)
        return self.command(self.session.refuse, status, headers=headers)

    def offer(self, sdp: bytes | None, *, by_update: bool = False, is_retried: bool = False) -> bool:
        """Offer it something else, or ask it for an offer."""
        if self.is_over:
            return False
        session = self.session
        is_update = sdp is not None and (by_update or not session.is_established)
        headers = partner_named(self)
        if is_update and session.usage is not None and session.usage.allows("UPDATE"):
            return self.command(session.update, sdp, headers=headers, is_retried=is_retried)
        return self.command(session.reinvite, sdp, headers=headers, is_retried=is_retried)

    def end_call(self, status: int, reason: str | None = None, *, cause: str = "", headers: Fields) -> None:
        """Refuse its call, or hang up: whatever its state asks for. `cause` is a Reason (RFC 3326)."""
        if self.is_over:
            return
        if self.is_answering:
            self.command(self.session.reject, max(status, 300), reason, headers=headers)
        else:
            self.command(self.session.bye, reason=cause or None)

    def _follow(self) -> None:
        """A phone is reached the way it registered last: by the connection that replaced another (RFC 5626),
        or where its router lets it appear now.
        """
        flow = None if self.is_fresh else self.session.pinned_flow
        if flow is None or self.call is None:
            return
        newer = self.call.bridge.ways.flow_of(self.handle)
        if newer is not None and newer != flow:
            self.session.move_to(newer)
