# SPDX-License-Identifier: Apache-2.0
"""What is known about one registered contact? RFC 3261 section 10.3, RFC 3327, RFC 5626."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from ringback.server.flow_token import HANDLE_SIZE
from ringback.server.storage import BindingRecord
from ringback.sip.flow import Address, Flow, Transport
from ringback.sip.message.uri import NameAddr


@dataclass(frozen=True, slots=True)
class Binding:
    """One contact of one user. `expires_at` is on the monotonic clock, `registered_at` in seconds since 1970.

    `key` tells the contacts of a user apart: the instance and reg-id of RFC 5626, or the URI. `flow` is
    how the phone reached us and, unless it deliberately registered another address, how we reach it.
    """

    user: str
    key: str
    contact: NameAddr
    expires_at: float
    q: float = 1.0
    call_id: str = ""
    cseq: int = 0
    flow: Flow | None = None
    path: tuple[str, ...] = ()
    instance: str = ""
    reg_id: int = 0
    user_agent: str = ""
    registered_at: float = 0.0

    @property
    def handle(self) -> bytes:
        """A short name for this binding that stays the same when it is refreshed."""
        text = f"{self.user}\0{self.key}".encode("utf-8", "surrogateescape")
        return hashlib.sha256(text).digest()[:HANDLE_SIZE]


def to_record(binding: Binding, *, now: float, wall_now: float) -> BindingRecord:
    """The binding as it is stored: times on the wall clock, without the connection."""
    flow = binding.flow
    return BindingRecord(
        user=binding.user,
        key=binding.key,
        contact=str(binding.contact),
        expires_at=wall_now + (binding.expires_at - now),
        q=binding.q,
        call_id=binding.call_id,
        cseq=binding.cseq,
        transport=flow.transport.value if flow else "",
        local_host=flow.local.host if flow else "",
        local_port=flow.local.port if flow else 0,
        remote_host=flow.remote.host if flow else "",
        remote_port=flow.remote.port if flow else 0,
        path=binding.path,
        instance=binding.instance,
        reg_id=binding.reg_id,
        user_agent=binding.user_agent,
        registered_at=binding.registered_at,
    )


def from_record(record: BindingRecord, *, now: float, wall_now: float) -> Binding:
    """The stored binding. Raises PeerError or ValueError when what is stored cannot be read."""
    return Binding(
        user=record.user,
        key=record.key,
        contact=NameAddr.parse(record.contact),
        expires_at=now + (record.expires_at - wall_now),
        q=record.q,
        call_id=record.call_id,
        cseq=record.cseq,
        flow=_flow(record),
        path=record.path,
        instance=record.instance,
        reg_id=record.reg_id,
        user_agent=record.user_agent,
        registered_at=record.registered_at,
    )


def _flow(record: BindingRecord) -> Flow | None:
    """A connection that is gone keeps its addresses: they say which kind of flow it was."""
    if not record.transport:
        return None
    local = Address(record.local_host, record.local_port)
    return Flow(Transport(record.transport), local, Address(record.remote_host, record.remote_port))
