# SPDX-License-Identifier: Apache-2.0
"""What does a REGISTER change? RFC 3261 section 10.3 steps 6 and 7, RFC 3327, RFC 5626 section 6.

Nothing here has an effect: the outcome is a list of changes that is committed as a whole, or an exception and
no change at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ringback.server.binding import Binding
from ringback.sip.errors import PeerError
from ringback.sip.flow import Flow
from ringback.sip.message.message import Request
from ringback.sip.message.numbers import decimal
from ringback.sip.message.uri import NameAddr, SipUri
from ringback.sip.redirection import quality

#: RFC 3261 10.2.1.1 and 20.19: an unreadable expiry counts as an hour.
UNREADABLE_EXPIRES = 3600
LONGEST = 2**32 - 1

#: RFC 5626 4.2: reg-id is 1 to 2**31 - 1.
REG_ID_LIMIT = 2**31 - 1

#: What is kept of free text that a phone sends.
TEXT_LIMIT = 256

#: Proxies between a phone and us; more is no network anybody runs.
PATH_LIMIT = 8


class RegistrationError(PeerError):
    """A REGISTER that gets `status` with `headers`."""

    def __init__(self, status: int, detail: str, *headers: tuple[str, str]) -> None:
        super().__init__(detail, status=status, section="RFC 3261 10.3")
        self.headers = headers


@dataclass(frozen=True, slots=True)
class RegistrarPolicy:
    """What phones may register. Times are seconds."""

    minimum_expires: int = 60
    default_expires: int = 3600
    maximum_expires: int = 7200
    max_contacts: int = 10


@dataclass(frozen=True, slots=True)
class Update:
    """The changes of one REGISTER."""

    put: tuple[Binding, ...] = ()
    remove: tuple[str, ...] = ()
    uses_outbound: bool = False


#: (Contact, request) -> the flow that reaches it, None if its URI says it all; RegistrationError if it must
#: not be registered.
FlowFor = Callable[[NameAddr, Request], Flow | None]

#: True for a binding whose connection is closed, so that nothing reaches it any more.
IsLost = Callable[[Binding], bool]


def plan_update(
    request: Request,
    user: str,
    existing: Sequence[Binding],
    *,
    policy: RegistrarPolicy,
    flow_for: FlowFor,
    is_lost: IsLost = lambda _: False,
    now: float,
    wall_now: float,
) -> Update:
    """All changes that `request` asks for, or `RegistrationError`."""
    path = request.path
    if len(path) > PATH_LIMIT:
        raise RegistrationError(403, "Path Too Long")
    if "*" in request.reading.get_all("Contact"):
        return _remove_all(request, existing)
    contacts = request.contacts
    planner = _Planner(
        request,
        user,
        existing,
        policy=policy,
        flow_for=flow_for,
        path=tuple(str(route) for route in path) if path else (),
        instances=[_instance(contact) for contact in contacts],
        now=now,
        wall_now=wall_now,
    )
    for contact in contacts:
        planner.add(contact)
    planner.make_room(is_lost)
    return planner.outcome()


def _remove_all(request: Request, existing: Sequence[Binding]) -> Update:
    """Step 6: a star stands alone, and only with Expires: 0."""
    if request.expires != 0 or request.reading.count("Contact") != 1:
        raise RegistrationError(400, "Contact * Needs Expires 0 And No Other Contact")
    for binding in existing:
        _check_order(request, binding)
    return Update(remove=tuple(binding.key for binding in existing))


def _check_order(request: Request, binding: Binding) -> None:
    """Step 7: within a Call-ID the CSeq must rise, else nothing of this request is done."""
    if binding.call_id == request.call_id and request.cseq_number <= binding.cseq:
        raise RegistrationError(500, "CSeq Out Of Order")


class _Planner:
    """Goes through the Contacts of one REGISTER."""

    def __init__(
        self,
        request: Request,
        user: str,
        existing: Sequence[Binding],
        *,
        policy: RegistrarPolicy,
        flow_for: FlowFor,
        path: tuple[str, ...],
        instances: list[str],
        now: float,
        wall_now: float,
    ) -> None:
        self._request = request
        self._user = user
        self._policy = policy
        self._flow_for = flow_for
        self._now, self._wall_now = now, wall_now
        self._state = {binding.key: binding for binding in existing}
        self._put: dict[str, Binding] = {}
        self._remove: dict[str, None] = {}
        self._path = path
        self._instances = instances
        self._uses_outbound = False

    def add(self, contact: NameAddr) -> None:
        """One Contact: a new binding, a refresh, or an end."""
        if not isinstance(contact.uri, SipUri):
            raise RegistrationError(403, "Contact Scheme Not Allowed")
        expires = self._expires(contact)
        instance, reg_id = self._identity(contact)
        old = self._match(contact.uri, instance, reg_id)
        if old is not None:
            _check_order(self._request, old)
        if expires == 0:
            if old is not None:
                self._drop(old.key)
            return
        key = self._key(contact, instance, reg_id, old)
        self._replace_by(self._binding(contact, key, expires, instance, reg_id))

    def make_room(self, is_lost: IsLost) -> None:
        """A browser that reloads leaves a dead Contact behind each time: the oldest of these go first."""
        excess = len(self._state) - self._policy.max_contacts
        if excess <= 0:
            return
        lost = [each for each in self._state.values() if each.key not in self._put and is_lost(each)]
        for binding in sorted(lost, key=lambda each: each.registered_at)[:excess]:
            self._drop(binding.key)

    def outcome(self) -> Update:
        """The changes, once all Contacts were looked at."""
        if len(self._state) > self._policy.max_contacts:
            raise RegistrationError(403, "Too Many Contacts")
        return Update(tuple(self._put.values()), tuple(self._remove), self._uses_outbound)

    def _expires(self, contact: NameAddr) -> int:
        """Step 7, second paragraph: parameter, header, default; 423 below the minimum, cut above the
        maximum.
        """
        expires = self._policy.default_expires
        if contact.has_parameter("expires"):
            expires = _seconds(contact.parameter("expires"))
        elif (text := self._request.reading.get("Expires")) is not None:
            expires = _seconds(text)
        if 0 < expires < self._policy.minimum_expires:
            shortest = str(self._policy.minimum_expires)
            raise RegistrationError(423, "Interval Too Brief", ("Min-Expires", shortest))
        return min(expires, self._policy.maximum_expires)

    def _identity(self, contact: NameAddr) -> tuple[str, int]:
        """RFC 5626 6: reg-id counts only together with an instance, from a client that knows what it does."""
        instance = _instance(contact)
        text = contact.parameter("reg-id")
        if not instance or text is None or "outbound" not in self._request.supported:
            return instance, 0
        reg_id = decimal(text, limit=REG_ID_LIMIT)
        if reg_id == 0:
            raise RegistrationError(400, "Bad reg-id")
        if len(self._request.vias) > 1 and not any(_is_outbound(route) for route in self._request.path):
            raise RegistrationError(439, "First Hop Lacks Outbound Support")
        self._uses_outbound = True
        return instance, reg_id

    def _match(self, uri: SipUri, instance: str, reg_id: int) -> Binding | None:
        """The binding this Contact means: the same flow of an instance, the same phone, or the same URI
        (19.1.4).
        """
        for binding in self._state.values():
            if reg_id and (binding.instance, binding.reg_id) == (instance, reg_id):
                return binding
        for binding in self._state.values():
            if not reg_id and not binding.reg_id and uri.is_equivalent(binding.contact.uri):
                return binding
        return self._replaced_phone(instance, reg_id)

    def _replaced_phone(self, instance: str, reg_id: int) -> Binding | None:
        """A phone that came back on another port without reg-id: its old Contact is dead, and would ring
        for nobody.

        Only when the REGISTER itself names the instance once: several Contacts of one phone are legal.
        """
        if reg_id or not instance or self._instances.count(instance) != 1:
            return None
        same = [b for b in self._state.values() if b.instance == instance and not b.reg_id]
        return same[0] if len(same) == 1 and same[0].call_id != self._request.call_id else None

    def _key(self, contact: NameAddr, instance: str, reg_id: int, old: Binding | None) -> str:
        if old is not None:
            return old.key
        return f"{instance};reg-id={reg_id}" if reg_id else str(contact.uri)

    def _binding(self, contact: NameAddr, key: str, expires: int, instance: str, reg_id: int) -> Binding:
        flow = self._flow_for(contact, self._request)
        return Binding(
            user=self._user,
            key=key,
            contact=_lasting(contact),
            expires_at=self._now + expires,
            q=quality(contact),
            call_id=self._request.call_id,
            cseq=self._request.cseq_number,
            flow=flow,
            path=self._path,
            instance=instance,
            reg_id=reg_id,
            user_agent=(self._request.reading.get("User-Agent") or "")[:TEXT_LIMIT],
            registered_at=self._wall_now,
        )

    def _replace_by(self, binding: Binding) -> None:
        self._state[binding.key] = self._put[binding.key] = binding
        self._remove.pop(binding.key, None)

    def _drop(self, key: str) -> None:
        self._state.pop(key, None)
        self._put.pop(key, None)
        self._remove[key] = None


def _seconds(text: str | None) -> int:
    if not text:
        return UNREADABLE_EXPIRES
    try:
        return decimal(text, limit=LONGEST)
    except PeerError:
        return UNREADABLE_EXPIRES


def _lasting(contact: NameAddr) -> NameAddr:
    """The Contact without what each REGISTER may say anew."""
    if not contact.parameters:
        return contact
    return contact.without_parameter("expires").without_parameter("q")


def _instance(contact: NameAddr) -> str:
    return (contact.parameter("+sip.instance") or "")[:TEXT_LIMIT]


def _is_outbound(route: NameAddr) -> bool:
    return isinstance(route.uri, SipUri) and route.uri.has_parameter("ob")
