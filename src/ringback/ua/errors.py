# SPDX-License-Identifier: Apache-2.0
"""What does the user of a phone catch when a call, a message or a registration does not succeed?

    CallError                 any final answer that is no success; str() is "486 Busy Here"
    |- Busy                   486, 600: the callee is on the phone
    |- NoAnswer               408, 480, 487, or we gave up waiting: it rang, or nobody is there
    |- Declined               603, 607, 608: a person said no
    |- NotFound               404, 410, 484, 485, 604: no such number
    |- Forbidden              403: the server does not allow it
    |- AuthenticationFailed   401, 407: no password, or a wrong one
    |- NotAcceptable          406, 415, 488, 606: no common media
    |- ServerError            5xx: the other side is broken or overloaded
    |- Unreachable            nothing came back at all: no route, no name, no answer from any server
    `- CallEnded              the call is over, and what was asked needs a living call

Statuses are those of RFC 3261 section 21, RFC 8197 (607) and RFC 8688 (608).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringback.sip.errors import RingbackError

if TYPE_CHECKING:
    from ringback.sip.message import Response


class CallError(RingbackError):
    """A request ended without success.

    `status` and `reason` are those of the final response, or what we would have answered in its place;
    `response` is the response itself, None when no peer sent one.
    """

    def __init__(self, status: int, reason: str, *, response: Response | None = None) -> None:
        super().__init__(status, reason)
        self.status = status
        self.reason = reason
        self.response = response

    def __str__(self) -> str:
        return f"{self.status} {self.reason}"


class Busy(CallError):
    """The callee is on the phone (486, 600)."""


class NoAnswer(CallError):
    """Nobody picked up in time (408, 480, 487, or our own time-out)."""


class Declined(CallError):
    """The callee refused the call (603, 607, 608)."""


class NotFound(CallError):
    """There is no such number or user (404, 410, 484, 485, 604)."""


class Forbidden(CallError):
    """The server understood and will not do it (403)."""


class AuthenticationFailed(CallError):
    """No credentials, or wrong ones (401, 407)."""


class NotAcceptable(CallError):
    """The two ends have no way of talking in common (406, 415, 488, 606)."""


class ServerError(CallError):
    """The server failed or is overloaded (5xx)."""


class Unreachable(CallError):
    """No server could be reached, or none said a word."""


class CallEnded(CallError):
    """The call is over; what was asked for needs a living one."""


def error_for(status: int, reason: str, *, response: Response | None = None) -> CallError:
    """The exception that says `status`; an unknown status is read as the x00 of its class (RFC 3261
    8.1.3.2).
    """
    kind = CLASS_OF_STATUS.get(status)
    if kind is None:
        kind = ServerError if 500 <= status <= 599 else CallError
    return kind(status, reason, response=response)


CLASS_OF_STATUS: dict[int, type[CallError]] = {
    401: AuthenticationFailed,
    403: Forbidden,
    404: NotFound,
    406: NotAcceptable,
    407: AuthenticationFailed,
    408: NoAnswer,
    410: NotFound,
    415: NotAcceptable,
    480: NoAnswer,
    484: NotFound,
    485: NotFound,
    486: Busy,
    487: NoAnswer,
    488: NotAcceptable,
    600: Busy,
    603: Declined,
    604: NotFound,
    606: NotAcceptable,
    607: Declined,
    608: Declined,
}
