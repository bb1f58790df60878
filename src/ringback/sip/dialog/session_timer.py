# SPDX-License-Identifier: Apache-2.0
"""How do both ends notice that a session is dead? Session timers: RFC 4028.

One end, the refresher, repeats itself with an UPDATE or re-INVITE when half of the interval is over; the
other hangs up when none came. 422 says that an interval is too short for somebody on the way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ringback.sip.dialog import modification
from ringback.sip.dialog.session_states import Input, Occasion, advance
from ringback.sip.errors import PeerError

if TYPE_CHECKING:
    from ringback.sip.dialog.invite_session import InviteSession
    from ringback.sip.message.message import Request, Response
    from ringback.sip.message.values import SessionExpires
    from ringback.sip.transaction.timers import Deadline

#: RFC 4028 5: no interval is shorter, and 4: this is what Min-SE is when it is absent.
SHORTEST_INTERVAL = 90

#: Refusals with 422 that are met by asking for more; each proxy on the way may refuse once.
LENGTHENING_LIMIT = 3

#: When a refresh could not be sent or was refused for now, it is tried again after so many seconds.
NEXT_TRY_AFTER = 5.0

EXPIRED_CAUSE = 'SIP;cause=408;text="Session expired"'


@dataclass(slots=True, eq=False)
class SessionTimer:
    """The timer of one session. `wanted` seconds are asked for; 0 asks for none but obeys what the peer asks.

    `interval` is what was agreed, 0 for none.
    """

    session: InviteSession
    wanted: int = 1800
    shortest: int = SHORTEST_INTERVAL
    is_supported: bool = True
    interval: int = 0
    is_refresher: bool = False
    _lengthened: int = 0
    _expires_at: float = 0.0
    _refresh: Deadline | None = None
    _expiry: Deadline | None = None

    # --- asking: RFC 4028 7.1 and 7.4

    def mark_request(self, request: Request) -> None:
        """Session-Expires and Min-SE for an INVITE, re-INVITE or UPDATE of ours."""
        seconds = self.interval or self.wanted
        if not self.is_supported or not seconds:
            return
        role = ("uac" if self.is_refresher else "uas") if self.interval else None
        request.headers["Session-Expires"] = f"{seconds};refresher={role}" if role else str(seconds)
        if self.shortest > SHORTEST_INTERVAL:
            request.headers["Min-SE"] = str(self.shortest)

    def lengthen(self, response: Response) -> bool:
        """7.3: a 422 names the shortest interval that is taken. True if asking again makes sense."""
        try:
            minimum = response.min_se
        except PeerError:
            return False
        asked = self.interval or self.wanted
        if minimum is None or minimum <= asked or self._lengthened >= LENGTHENING_LIMIT:
            return False
        self._lengthened += 1
        self.wanted = self.shortest = minimum
        if self.interval:
            self.interval = minimum
        return True

    def accept_response(self, response: Response, *, now: float) -> None:
        """7.2: what the 2xx to a request of ours says. Without Session-Expires there is no timer, unless
        we have refreshed so far for somebody on the way: the peer may not know timers.
        """
        expires = _session_expires(response)
        if expires is not None and self.is_supported:
            self._start(expires.seconds, is_refresher=expires.refresher != "uas", now=now)
        elif self.interval and self.is_refresher:
            self._start(self.interval, is_refresher=True, now=now)
        else:
            self.stop()

    # --- answering: RFC 4028 9

    def too_short(self, request: Request) -> int | None:
        """The Min-SE for a 422, if the request asks for less and understands the refusal."""
        expires = _session_expires(request)
        if expires is None or not self.is_supported or "timer" not in request.supported:
            return None
        return self.shortest if expires.seconds < self.shortest else None

    def answer(self, request: Request, *, now: float) -> list[tuple[str, str]]:
        """Header fields for our 2xx to an INVITE, re-INVITE or UPDATE; the timer starts."""
        expires = _session_expires(request)
        is_understood = "timer" in request.supported
        if not self.is_supported or (expires is None and not (self.wanted and is_understood)):
            self.stop()
            return []
        seconds, refresher = self._agreed(request, expires, is_understood=is_understood)
        self._start(seconds, is_refresher=refresher == "uas", now=now)
        headers = [("Session-Expires", f"{self.interval};refresher={refresher}")]
        return [*headers, ("Require", "timer")] if refresher == "uac" else headers

    def _agreed(
        self, request: Request, expires: SessionExpires | None, *, is_understood: bool
    ) -> tuple[int, str]:
        """Table 2: who does not know the timer does not refresh; else the caller's choice, else the
        caller.
        """
        if expires is None:
            return max(self.wanted, _minimum(request)), "uas"
        if not is_understood:
            return max(expires.seconds, self.shortest), "uas"
        return expires.seconds, "uas" if expires.refresher == "uas" else "uac"

    # --- time: RFC 4028 10

    def stop(self) -> None:
        """No timer any more."""
        self.interval = 0
        for deadline in (self._refresh, self._expiry):
            if deadline is not None:
                deadline.cancel()
        self._refresh = self._expiry = None

    def try_again(self, *, now: float, after: float = NEXT_TRY_AFTER) -> None:
        """The refresh was not possible now; the session lives until it expires."""
        if self.interval and self.is_refresher:
            self._refresh_at(now + after)

    def _start(self, seconds: int, *, is_refresher: bool, now: float) -> None:
        self.stop()
        self.interval = max(seconds, SHORTEST_INTERVAL)
        self.is_refresher = is_refresher
        deadlines = self.session.stack.deadlines
        self._expires_at = now + self.interval - min(32.0, self.interval / 3)
        self._expiry = deadlines.arm(self._expires_at, self._expire)
        if is_refresher:
            self._refresh_at(now + self.interval / 2)

    def _refresh_at(self, at: float) -> None:
        if self._refresh is not None:
            self._refresh.cancel()
        self._refresh = (
            self.session.stack.deadlines.arm(at, self._send_refresh) if at < self._expires_at else None
        )

    def _send_refresh(self, now: float) -> None:
        self._refresh = None
        if not modification.refresh(self.session, now=now):
            self.try_again(now=now)

    def _expire(self, now: float) -> None:
        self._expiry = None
        occasion = Occasion(now, status=408, reason="the session expired", cause=EXPIRED_CAUSE)
        advance(self.session, Input.EXPIRED, occasion)


def _session_expires(message: Request | Response) -> SessionExpires | None:
    try:
        return message.session_expires
    except PeerError:
        return None


def _minimum(request: Request) -> int:
    try:
        return request.min_se or 0
    except PeerError:
        return 0
