# SPDX-License-Identifier: Apache-2.0
"""What happened in this call? Its messages as transactions, who is who, what was decided: all rules read it.

Messages are dictionaries of the trace, of all legs, in the order of time; nothing in them is believed, and
what cannot be read is left out. A request that came or went more than once is one transaction.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ringback.server.verdicts.description import Sound, sound_of

Message = Mapping[str, Any]

_FOLD = re.compile(r"\r?\n[ \t]+")
_BRANCH = re.compile(r"branch=([^;,\s]+)")
_USER = re.compile(r"sips?:([^@;>\s]{1,64})@")
_URI = re.compile(r"<?((?:sips?|tel):[^>\s;]+)")
_HOST = re.compile(r"sips?:(?:[^@>\s]*@)?(\[[0-9a-fA-F:.]+\]|[^:;>\s?]+)(?::([0-9]+))?")
COMPACT = {"i": "call-id", "f": "from", "t": "to", "v": "via", "m": "contact", "c": "content-type"}


class Seen:
    """One message, as it was seen at the edge of this server."""

    __slots__ = (
        "_fields",
        "at",
        "body",
        "call_id",
        "cseq_method",
        "index",
        "is_sent",
        "local",
        "method",
        "number",
        "remote",
        "size",
        "status",
        "summary",
        "text",
        "to_tag",
        "transport",
    )

    def __init__(self, index: int, message: Message) -> None:
        self.index = index
        self.at = float(message.get("at") or 0.0)
        self.is_sent = message.get("direction") == "sent"
        self.transport = str(message.get("transport") or "").upper()
        self.local, self.remote = str(message.get("local") or ""), str(message.get("remote") or "")
        self.status = int(message.get("status") or 0)
        self.method = "" if self.status else str(message.get("method") or "")
        self.call_id = str(message.get("call_id") or "")
        number, _, method = str(message.get("cseq") or "").partition(" ")
        self.number = int(number) if number.isdecimal() and len(number) < 12 else 0
        self.cseq_method = method.strip()
        self.to_tag = str(message.get("to_tag") or "")
        self.summary = str(message.get("summary") or "")
        self.text = str(message.get("text") or "")
        self.size = int(message.get("size") or 0)
        self.body = re.split(r"\r?\n\r?\n", self.text, maxsplit=1)[1:]
        self._fields: dict[str, list[str]] | None = None

    @property
    def remote_host(self) -> str:
        """The address without its port."""
        return self.remote.rpartition(":")[0].strip("[]")

    @property
    def branch(self) -> str:
        """Of the topmost Via (17.1.3)."""
        found = _BRANCH.search(self.header("via"))
        return found[1] if found else ""

    @property
    def sound(self) -> Sound | None:
        """What its description says."""
        return sound_of(self.body[0]) if self.body and "v=0" in self.body[0][:8] else None

    def header(self, name: str) -> str:
        """The first header field of this name (small letters), "" without one."""
        return next(iter(self.headers(name)), "")

    def headers(self, name: str) -> list[str]:
        """All of this name."""
        if self._fields is None:
            self._fields = _fields_of(self.text)
        return self._fields.get(name, [])

    @property
    def contact(self) -> str:
        """The URI of its Contact."""
        found = _URI.search(self.header("contact"))
        return found[1] if found else ""


@dataclass(slots=True)
class Transaction:
    """A request and what came of it. `is_ours`: this server sent it."""

    requests: list[Seen]
    responses: list[Seen] = field(default_factory=list)
    acks: list[Seen] = field(default_factory=list)
    """Of an INVITE: also those to a 2xx, which are requests of their own (13.2.2.4)."""

    @property
    def request(self) -> Seen:
        """As it was seen first."""
        return self.requests[0]

    @property
    def is_ours(self) -> bool:
        return self.request.is_sent

    @property
    def method(self) -> str:
        return self.request.method

    @property
    def is_new(self) -> bool:
        """True for one that begins a call: outside of a dialog."""
        return self.method == "INVITE" and not self.request.to_tag

    @property
    def finals(self) -> list[Seen]:
        """Final responses, repetitions among them."""
        return [each for each in self.responses if each.status >= 200]

    @property
    def status(self) -> int:
        """Of the first final response, a success before a failure; 0 without one."""
        statuses = [each.status for each in self.finals]
        return next((each for each in statuses if each < 300), statuses[0] if statuses else 0)

    @property
    def final(self) -> Seen | None:
        """That response."""
        return next((each for each in self.finals if each.status == self.status), None)


class Story:
    """Everything that is known of one call, or of one registration."""

    def __init__(
        self,
        messages: Sequence[Message],
        record: Mapping[str, Any] | None = None,
        registrations: Iterable[Mapping[str, Any]] = (),
    ) -> None:
        self.seen = [Seen(index, message) for index, message in enumerate(messages)]
        self.record: Mapping[str, Any] = record or {}
        self.registrations = list(registrations)
        self.decisions: list[Mapping[str, Any]] = list(self.record.get("decisions") or ())
        self.transactions = list(_transactions(self.seen))
        self._names = dict(_names(self.seen, self.record))

    # --- who

    def who(self, seen: Seen) -> str:
        """The one at the other end of this message, as people say."""
        return self._names.get(seen.remote) or seen.remote or "somebody"

    def leg_name(self, leg: Mapping[str, Any]) -> str:
        """The name of a leg of the record."""
        return str(leg.get("number") or leg.get("display") or leg.get("name") or "somebody")

    # --- what

    def invitations(self, *, ours: bool) -> list[Transaction]:
        """INVITEs that begin the call: those we sent, or those that came."""
        return [each for each in self.transactions if each.is_new and each.is_ours is ours]

    @property
    def first(self) -> Transaction | None:
        """The INVITE of the caller, the last try if there were several; else the first of ours."""
        came = self.invitations(ours=False)
        if came:
            return came[-1]
        return next(iter(self.invitations(ours=True)), None)

    @property
    def outcome(self) -> int:
        """The final status that the caller got; 0 while there is none, or no call."""
        if self.first is not None and self.first.status:
            return self.first.status
        return int(self.record.get("status") or 0) if not self.record.get("answered_at") else 200

    @property
    def is_answered(self) -> bool:
        return 200 <= self.outcome < 300

    @property
    def talked(self) -> float:
        """Seconds from the answer to the end; to the last message of what is not over."""
        began = float(self.record.get("answered_at") or 0.0)
        ended = float(self.record.get("ended_at") or 0.0)
        if not began:
            final = self.first.final if self.first is not None else None
            began = final.at if final is not None and final.status < 300 else 0.0
        if not began:
            return 0.0
        return max(0.0, (ended or max((each.at for each in self.seen), default=began)) - began)

    def decided(self, *, service: str = "", rule: str = "", verdict: str = "") -> list[Mapping[str, Any]]:
        """Decisions that fit."""
        return [
            each
            for each in self.decisions
            if (not service or each.get("service") == service)
            and (not rule or each.get("rule") == rule)
            and (not verdict or each.get("verdict") == verdict)
        ]


def host_of(uri: str) -> str:
    """The host of a SIP URI, "" where it has none."""
    found = _HOST.match(uri)
    return found[1].strip("[]") if found else ""


def _fields_of(text: str) -> dict[str, list[str]]:
    head = re.split(r"\r?\n\r?\n", text, maxsplit=1)[0]
    fields: dict[str, list[str]] = {}
    for line in _FOLD.sub(" ", head).splitlines()[1:]:
        name, colon, value = line.partition(":")
        if colon:
            name = name.strip().lower()
            fields.setdefault(COMPACT.get(name, name), []).append(value.strip())
    return fields


def _transactions(seen: Sequence[Seen]) -> Iterator[Transaction]:
    """17.1.3 and 17.2.3: by branch and CSeq. The ACK of a 2xx is found by its dialog."""
    found: dict[tuple[object, ...], Transaction] = {}
    invitations: dict[tuple[object, ...], list[Transaction]] = {}
    for each in seen:
        if each.method == "ACK":
            for transaction in invitations.get((each.call_id, each.number, each.is_sent), ()):
                if transaction.request.branch == each.branch or 200 <= transaction.status < 300:
                    transaction.acks.append(each)
        elif each.method:
            key = (each.branch, each.call_id, each.number, each.method, each.is_sent)
            if key in found:
                found[key].requests.append(each)
                continue
            found[key] = transaction = Transaction([each])
            if each.method == "INVITE":
                invitations.setdefault((each.call_id, each.number, each.is_sent), []).append(transaction)
        elif each.status:
            key = (each.branch, each.call_id, each.number, each.cseq_method, not each.is_sent)
            if key in found:
                found[key].responses.append(each)
    return iter(found.values())


def _names(seen: Sequence[Seen], record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Whose address is it? First what the messages say, then what the record knows better."""
    known: set[str] = set()
    for each in seen:
        if each.method in ("INVITE", "REGISTER", "MESSAGE") and each.remote not in known:
            known.add(each.remote)
            found = _USER.search(each.header("to" if each.is_sent else "from"))
            if found:
                yield each.remote, found[1]
    for leg in record.get("legs") or ():
        address = str(leg.get("address") or "").partition(" ")[0]
        name = leg.get("number") or leg.get("display")
        if address and name:
            yield address, str(name)
