# SPDX-License-Identifier: Apache-2.0
"""How does one request outside of a call get its final answer, through challenges and redirections?

RFC 3261 section 8.1.3: a 401 or 407 is answered once with credentials (22.2, 22.3), a 3xx is followed to its
contacts, best first. INVITE is not sent from here: its session knows how.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ringback.net.errors import RequestTimeout, TransportError
from ringback.sip.digest_client import ATTEMPT_LIMIT
from ringback.sip.message import SipUri
from ringback.sip.redirection import USE_PROXY, apply_redirect, redirect_targets
from ringback.ua.errors import Unreachable, error_for

if TYPE_CHECKING:
    from ringback.net.driver import StackDriver
    from ringback.sip.digest_client import DigestClient
    from ringback.sip.flow import Flow
    from ringback.sip.message import Request, Response

#: How many redirections are followed before we believe that we are sent in circles.
REDIRECT_LIMIT = 5

#: Who answers the challenges of a request, by where the request goes; None: nobody does.
CredentialsFor = Callable[["Request"], "DigestClient | None"]


async def send_request(
    driver: StackDriver,
    request: Request,
    *,
    credentials_for: CredentialsFor | None = None,
    flow: Flow | None = None,
) -> tuple[Request, Response]:
    """The request as it was sent last, and its final response, whatever it is. `Unreachable` when there is
    none.
    """
    alternatives = Alternatives(request)
    while True:
        response: Response | None = None
        failure: Unreachable | None = None
        try:
            request, response = await authenticated(
                driver, request, credentials_for=credentials_for, flow=flow
            )
        except Unreachable as error:
            failure = error
        again = alternatives.after(request, response)
        if again is None and response is not None:
            return request, response
        if again is None:
            assert failure is not None
            raise failure
        request, flow = again, None


async def authenticated(
    driver: StackDriver,
    request: Request,
    *,
    credentials_for: CredentialsFor | None = None,
    flow: Flow | None = None,
) -> tuple[Request, Response]:
    """The final response after challenges were answered; a 401 or 407 when they could not be."""
    credentials = credentials_for(request) if credentials_for is not None else None
    while True:
        response = await _once(driver, request, flow=flow)
        if response.status not in (401, 407) or credentials is None:
            return request, response
        answer = credentials.authorize(request, response, cnonce=driver.stack.identifiers.cnonce())
        if answer is None:
            return request, response
        request = answer


class Alternatives:
    """Where a request may still be tried when a server sent us elsewhere (8.1.3.4)."""

    def __init__(self, first: Request) -> None:
        self._seen = {first.target}
        self._waiting: list[Request] = []
        self._tried = 0
        self._cseq = 0

    def after(self, request: Request, response: Response | None) -> Request | None:
        """What to send next after this outcome (None: nobody answered); None when the outcome stands."""
        status = response.status if response is not None else 408
        if status < 300 or status >= 600:
            return None
        if response is not None and status < 400:
            self._waiting[:0] = self._new_ones(request, response)
        if not self._waiting or self._tried >= REDIRECT_LIMIT:
            return None
        self._tried += 1
        return self._renumbered(self._waiting.pop(0), request)

    def _renumbered(self, again: Request, last: Request) -> Request:
        """Above every CSeq that was sent: the same server may get both, and must not think of a fork
        (8.2.2.2).
        """
        self._cseq = max(self._cseq, last.cseq.number) + 1 + ATTEMPT_LIMIT
        again.headers["CSeq"] = f"{self._cseq} {again.method}"
        return again

    def _new_ones(self, request: Request, response: Response) -> list[Request]:
        """The request for each contact that was not tried yet, best first."""
        secure = isinstance(request.uri, SipUri) and request.uri.secure
        found: list[Request] = []
        for contact in redirect_targets(response, secure=secure):
            again = apply_redirect(request, contact, status=response.status)
            mark = f"{contact.uri} {again.target}" if response.status == USE_PROXY else again.target
            if mark not in self._seen:
                self._seen.add(mark)
                found.append(again)
        return found


def check_success(response: Response) -> Response:
    """The response if it is a 2xx; else the error it stands for."""
    if 200 <= response.status <= 299:
        return response
    raise error_for(response.status, response.reason, response=response)


async def _once(driver: StackDriver, request: Request, *, flow: Flow | None) -> Response:
    try:
        return await driver.request(request, flow=flow)
    except RequestTimeout as error:
        raise Unreachable(408, str(error) or "No response") from error
    except TransportError as error:
        raise Unreachable(503, str(error) or "No way to the server") from error
