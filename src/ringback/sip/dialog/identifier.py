# SPDX-License-Identifier: Apache-2.0
"""What names a dialog, and who receives the requests inside it? RFC 3261 section 12."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from ringback.sip.flow import Flow
    from ringback.sip.message.message import Request
    from ringback.sip.transaction.server import ServerTransaction


class DialogId(NamedTuple):
    """RFC 3261 12: Call-ID, our tag, the peer's tag. A peer of RFC 2543 may have no tag: then it is empty."""

    call_id: str
    local_tag: str
    remote_tag: str


class DialogUsage(Protocol):
    """Whoever owns a dialog: requests inside it come here and nowhere else."""

    def receive_request(
        self, request: Request, transaction: ServerTransaction | None, flow: Flow, now: float
    ) -> None:
        """`transaction` is None for an ACK, which nobody answers."""
        ...
