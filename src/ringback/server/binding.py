# SPDX-License-Identifier: Apache-2.0
"""What is known about one registered contact? RFC 3261 section 10.3, RFC 3327, RFC 5626."""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from sys import intern

from ringback.server.flow_token import HANDLE_SIZE
from ringback.server.storage import BindingRecord
from ringback.server.storage.store import NOTHING
from ringback.sip.flow import Address, Flow, Transport
from ringback.sip.message.uri import NameAddr


class Binding:
    """One contact of one user. `expires_at` is on the monotonic clock, `registered_at` in seconds since 1970.

    `key` tells the contacts of a user apart: the instance and reg-id of RFC 5626, or the URI. `flow` is
    how the phone reached us and, unless it deliberately registered another address, how we reach it.
    `handle` is a short name that stays the same when the binding is refreshed.

    There may be a hundred thousand of these: a plain class with the text
    of the contact (0.9 KB with its strings, its flow and its places in the tables of `location.py`, and 0.8
    us; as a frozen dataclass with a parsed contact 2.3 KB and 3 us). Only `Location` changes one, and nothing
    in it that says where the phone is.
    """

    __slots__ = (
        "_contact",
        "call_id",
        "cseq",
        "device",
        "due",
        "expires_at",
        "flow",
        "handle",
        "instance",
        "key",
        "path",
        "q",
        "reg_id",
        "registered_at",
        "user",
        "user_agent",
    )

    def __init__(  # noqa: PLR0917
        self,
        user: str,
        key: str,
        contact: NameAddr | str,
        expires_at: float,
        q: float = 1.0,
        call_id: str = "",
        cseq: int = 0,
        flow: Flow | None = None,
        path: tuple[str, ...] = (),
        instance: str = "",
        reg_id: int = 0,
        user_agent: str = "",
        registered_at: float = 0.0,
        handle: bytes = b"",
        due: float = 0.0,
        device: str = "",
    ) -> None:
        self.user = user
        self.key = key
        text = contact if type(contact) is str else str(contact)
        #: Most contacts are the URI of the key in brackets: then it is not kept a second time.
        self._contact = None if text == f"<{key}>" else text
        self.expires_at = expires_at
        self.q = q
        self.call_id = call_id
        self.cseq = cseq
        self.flow = flow
        self.path = path
        self.instance = instance
        self.reg_id = reg_id
        self.user_agent = intern(user_agent)  # an office has many phones and few models
        self.registered_at = registered_at
        self.handle = handle or handle_of(user, key)
        #: For `Location`: where its calendar has the handle. A refreshed binding stays there until then.
        self.due = due
        #: Whose password the REGISTER had; a refresh says it anew.
        self.device = device

    def renew(self, expires_at: float, call_id: str, cseq: int, registered_at: float) -> None:
        """The same phone registered once more, and nothing else is new: 0.4 us, and no garbage."""
        self.expires_at = expires_at
        if call_id != self.call_id:
            self.call_id = call_id
        self.cseq = cseq
        self.registered_at = registered_at

    def __repr__(self) -> str:
        return f"<Binding {self.user} {self.contact_text}>"

    @property
    def contact_text(self) -> str:
        """The Contact as it was registered, without expires and q."""
        return f"<{self.key}>" if self._contact is None else self._contact

    @property
    def uri_text(self) -> str:
        """The URI of the Contact."""
        return self.key if self._contact is None else str(self.contact.uri)

    @property
    def contact(self) -> NameAddr:
        """The same, read. PeerError when what was stored cannot be read."""
        return _read(self.contact_text)


#: 8 us without the cache. Nobody changes a NameAddr, so they can be shared.
_read = lru_cache(maxsize=4096)(NameAddr.parse)


def handle_of(user: str, key: str) -> bytes:
    """The short name of the binding with this key."""
    text = f"{user}\0{key}".encode("utf-8", "surrogateescape")
    return hashlib.sha256(text).digest()[:HANDLE_SIZE]


def to_record(binding: Binding, now: float, wall_now: float) -> BindingRecord:
    """The binding as it is stored: times on the wall clock, without the connection."""
    flow = binding.flow
    local, remote = (flow.local, flow.remote) if flow is not None else (_NOWHERE, _NOWHERE)
    return BindingRecord(  # by position: 0.9 us instead of 1.4
        binding.user,
        binding.key,
        binding.contact_text,
        wall_now + (binding.expires_at - now),
        binding.q,
        binding.call_id,
        binding.cseq,
        flow.transport if flow is not None else "",
        local.host,
        local.port,
        remote.host,
        remote.port,
        binding.path,
        binding.instance,
        binding.reg_id,
        binding.user_agent,
        binding.registered_at,
        binding.device,
        NOTHING,
    )


def from_record(record: BindingRecord, *, now: float, wall_now: float, flow: Flow | None = None) -> Binding:
    """The stored binding, reached by `flow` when the caller knows better than the record.

    Raises PeerError or ValueError when what is stored cannot be read.
    """
    if not _PLAIN.fullmatch(record.contact):
        NameAddr.parse(record.contact)
    return Binding(
        record.user,
        record.key,
        record.contact,
        now + (record.expires_at - wall_now),
        record.q,
        record.call_id,
        record.cseq,
        flow or flow_of(record),
        record.path,
        record.instance,
        record.reg_id,
        record.user_agent,
        record.registered_at,
        device=record.device,
    )


def flow_of(record: BindingRecord) -> Flow | None:
    """A connection that is gone keeps its addresses: they say which kind of flow it was."""
    if not record.transport:
        return None
    local = Address(record.local_host, record.local_port)
    return Flow(Transport(record.transport), local, Address(record.remote_host, record.remote_port))


_NOWHERE = Address("", 0)

#: Most Contacts, which need no closer look: 0.5 us instead of 5, a hundred thousand times after a start.
_BYTE = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_PLAIN = re.compile(
    rf"<sip:[A-Za-z0-9._~\-]{{1,64}}@(?:{_BYTE}\.){{3}}{_BYTE}(?::(?:[1-9][0-9]{{0,3}}|[1-5][0-9]{{4}}))?>"
)
