# SPDX-License-Identifier: Apache-2.0
"""What can go wrong, and whose fault it is.

    RingbackError
    |- PeerError          the other end broke a rule; becomes a response, or is counted and dropped
    |  `- MalformedMessage  too broken for its parts to be named: there may be nothing to answer
    `- InvalidState       our caller asked for something that cannot be done now: a bug of ours or theirs

Timeouts and lost transports are events (`sip/events.py`), not exceptions: they are nobody's fault.
What the library's user catches (`Busy`, `NoAnswer`, ...) lives in `ua/errors.py`.
"""


class RingbackError(Exception):
    """The root of every exception this package raises on purpose."""


class PeerError(RingbackError):
    """A peer broke a rule.

    `status` is the response code a request with this fault deserves, `section` names the rule,
    for example "RFC 3261 8.1.1". `detail` is one sentence without secrets, fit for a log and
    for the Reason-Phrase.
    """

    def __init__(self, detail: str, *, status: int = 400, section: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        self.status = status
        self.section = section


class MalformedMessage(PeerError):
    """Bytes that are no SIP message at all (no start line, no end of the head, a wrong length)."""


class InvalidState(RingbackError):
    """A command that does not fit the state of the object it was given to."""
