# SPDX-License-Identifier: Apache-2.0
"""What does a request get that cannot be served now? A response made of its own octets, and nothing is kept.

A phone is told to come back in 5 to 30 seconds, each one at another time. A trunk or a proxy is not: it
would send nobody's calls for so long (RFC 3261 21.5.4: without the header it takes the 503 for a 500 and
goes on); if it can throttle, it is told how much (`oc.py`). To tag and time are a keyed hash of the branch:
who repeats a request gets the same answer again, without any memory of the first one.

`kernel.Door` writes the same for plain requests, 20 times faster. Here is what it leaves to us.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from ringback.kernel import keyed_hash, respond, scan
from ringback.server.overload.oc import is_announced, with_feedback, without_oc
from ringback.sip.flow import Address, Transport

if TYPE_CHECKING:
    from collections.abc import Callable

    from ringback.sip.flow import Flow

UNAVAILABLE = b"SIP/2.0 503 Service Unavailable"
TERMINATED = b"SIP/2.0 487 Request Terminated"
OK = b"SIP/2.0 200 OK"
ANOTHER_VIA = b"\r\nVia:"
END = b"Content-Length: 0\r\n\r\n"

UDP = Transport.UDP
Answer = tuple[bytes, "Flow"]


class Refuser:
    """Answers requests that were only glanced at. `secret` is random, at least 16 bytes.

    retry_after:
        the shortest and the longest time that phones are told to wait, in seconds
    """

    __slots__ = ("_secret", "_wall_clock", "ends")

    def __init__(
        self, secret: bytes, *, retry_after: tuple[int, int], wall_clock: Callable[[], float]
    ) -> None:
        least, most = retry_after
        self._wall_clock = wall_clock
        self._secret = secret
        self.ends = tuple(b"Retry-After: %d\r\n%b" % (seconds, END) for seconds in range(least, most + 1))

    def refuse(self, message: Answer, branch: bytes, *, is_trunk: bool, loss: float) -> Answer | None:
        """503, or None for what cannot be answered."""
        data, flow = message
        start = data.find(b"\r\n") + 2
        end = data.find(b"\r\n", start)
        via = data[start:end]
        tag = self._tag(branch or data)
        if is_announced(via):
            plain = data[:start] + without_oc(via) + data[end:]
            answer = _answer(plain, flow, UNAVAILABLE, tag, END)
            return answer and (with_feedback(answer[0], loss=loss, sequence=self._wall_clock()), answer[1])
        if is_trunk or b"," in via or data.find(ANOTHER_VIA, end) > 0:  # it came through a proxy
            return _answer(data, flow, UNAVAILABLE, tag, END)
        return _answer(data, flow, UNAVAILABLE, tag, self.ends[int(tag[:4], 16) % len(self.ends)])

    def cancel(self, invite: Answer, cancel: Answer, branch: bytes) -> list[Answer]:
        """9.2: what an INVITE gets that was cancelled before anybody looked at it, and its CANCEL."""
        tag = self._tag(branch)
        answers = _answer(*cancel, OK, tag, END), _answer(*invite, TERMINATED, tag, END)
        return [answer for answer in answers if answer is not None]

    def _tag(self, seed: bytes) -> str:
        return f"{keyed_hash(self._secret, seed):016x}"


def _answer(data: bytes, flow: Flow, status_line: bytes, tag: str, at_end: bytes) -> Answer | None:
    """18.2.2 and RFC 3581 4: with `received` and `rport`, to where those say."""
    host, port = flow.remote
    response = respond(data, status_line, to_tag=tag, at_end=at_end, host=host, port=port)
    if response is None:
        return None
    if flow.transport is UDP and _spelled(flow.remote) not in data and b";rport" not in data:
        head = scan(data, host, port)
        if head is not None and head.reply_port != port:
            flow = replace(flow, remote=Address(host, head.reply_port))
    return response, flow


@lru_cache(maxsize=4096)
def _spelled(remote: Address) -> bytes:
    """As it stands in the Via of a peer that knows its own address."""
    return f" {remote};".encode()
