# SPDX-License-Identifier: Apache-2.0
"""How does one request outside of a call get its final answer, through challenges and redirections?

RFC 3261 section 8.1.3: a 401 or 407 is answered once with credentials (22.2, 22.3), a 3xx is followed to its
contacts, best first. INVITE is not sent from here: its session knows how.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ringback.net.errors import RequestTimeout, TransportError
from ringback.sip.message import SipUri
from ringback.sip.redirection import apply_redirect, redirect_targets
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
    seen = {request.target}
    request, response = await authenticated(driver, request, credentials_for=credentials_for, flow=flow)
    while 300 <= response.status <= 399 and len(seen) <= REDIRECT_LIMIT:
        again = next_target(request, response, seen)
        if again is None:
            break
        request, response = await authenticated(driver, again, credentials_for=credentials_for)
    return request, response


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


def next_target(request: Request, response: Response, seen: set[str]) -> Request | None:
    """The request for the best contact of a 3xx that was not tried yet; remembers it in `seen`."""
    secure = isinstance(request.uri, SipUri) and request.uri.secure
    for contact in redirect_targets(response, secure=secure):
        again = apply_redirect(request, contact, status=response.status)
        mark = again.target if response.status != 305 else f"{contact.uri} {again.target}"
        if mark not in seen:
            seen.add(mark)
            return again
    return None


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
