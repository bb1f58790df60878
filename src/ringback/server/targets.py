# SPDX-License-Identifier: Apache-2.0
"""Where may this request go? The target set: RFC 3261 section 16.5, in the order in which targets are tried.

Bindings of the same q ring together, higher q first. Several flows of one phone (RFC 5626 section 7) are
one target with alternates: the next flow is tried when one has failed, and the phone never rings twice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING

from ringback.server.nat import is_reachable
from ringback.sip.flow import Transport
from ringback.sip.message.uri import NameAddr, SipUri, parse_uri

if TYPE_CHECKING:
    from ringback.server.binding import Binding
    from ringback.sip.flow import Flow
    from ringback.sip.message.uri import Uri


#: The URI of a contact as nearly all phones write it: it can be a Request-URI as it stands.
_AS_IT_STANDS = re.compile(
    r"sips?:[A-Za-z0-9\-_.!~*'()&=+$,]++@[A-Za-z0-9\-.]++(?::[0-9]{1,5})?"
    r"(?:;(?:ob|lr|transport=[A-Za-z]{2,4}|user=phone|rinstance=[A-Za-z0-9]++))*+"
)


@dataclass(slots=True)
class Target:
    """One place to send a request to. Without a flow the URI (or the first of `route`) says where.

    Nobody changes it once it is made. (To say so with `frozen` would cost 1 us of every request.) The URI is
    kept as text, which is all that most requests need of it: reading one costs 4 us.
    """

    text: str
    flow: Flow | None = None
    route: tuple[NameAddr, ...] = ()
    handle: bytes = b""
    q: float = 1.0
    is_gone: bool = False
    """The connection it was reached by is lost, and nothing else leads there: 430 (RFC 5626 section 5.3)."""
    is_registered: bool = False
    """A phone of one of our users: inside our trust domain."""
    alternates: tuple[Target, ...] = ()

    @property
    def uri(self) -> Uri:
        """The Request-URI."""
        return parse_uri(self.text)

    @property
    def has_sips(self) -> bool:
        """True for a sips URI."""
        return self.text[:5].lower() == "sips:"

    @property
    def is_secure(self) -> bool:
        """RFC 5630 4: a call to a sips URI takes encrypted hops only."""
        return self.flow.transport.is_secure if self.flow is not None else self.has_sips


IsAlive = Callable[["Flow"], bool]


def targets_of(bindings: Sequence[Binding], is_alive: IsAlive) -> list[Target]:
    """The targets of a user, best q first. `bindings` come newest first within a q."""
    if len(bindings) == 1:
        return [target_of(bindings[0], is_alive)]
    by_phone: dict[str, list[Binding]] = {}
    for binding in bindings:
        name = f"instance {binding.instance}" if binding.instance and binding.reg_id else f"key {binding.key}"
        by_phone.setdefault(name, []).append(binding)
    targets = [_of_phone([target_of(binding, is_alive) for binding in phone]) for phone in by_phone.values()]
    return sorted(targets, key=lambda target: -target.q)


def target_of(binding: Binding, is_alive: IsAlive) -> Target:
    """The way to one binding: its flow while that lives, else its URI if anybody can listen there."""
    text = binding.uri_text
    if not _AS_IT_STANDS.fullmatch(text):
        text = str(as_request_uri(parse_uri(text)))
    route = tuple(NameAddr.parse(text) for text in binding.path)
    flow = binding.flow if binding.flow is not None and not route else None
    if flow is not None and not is_alive(flow):
        is_gone = not _may_listen(parse_uri(text), flow)
        return Target(text, None, route, binding.handle, binding.q, is_gone=is_gone, is_registered=True)
    return Target(text, flow, route, binding.handle, binding.q, is_registered=True)


def are_alive(targets: Sequence[Target], is_alive: IsAlive) -> bool:
    """True when every connection that leads to these targets is still there."""
    for target in targets:
        if target.flow is not None and not is_alive(target.flow):
            return False
        if target.alternates and not are_alive(target.alternates, is_alive):
            return False
    return True


def serial_groups(targets: Iterable[Target]) -> list[list[Target]]:
    """16.6: the same q together, one q after the other."""
    targets = list(targets)
    if len(targets) == 1:  # as nearly always
        return [targets]
    return [list(group) for _, group in groupby(targets, key=lambda target: target.q)]


def as_request_uri(uri: Uri) -> Uri:
    """19.1.1: headers and the method parameter of a Contact have no place in a Request-URI."""
    if not isinstance(uri, SipUri) or not (uri.headers or uri.has_parameter("method")):
        return uri
    return uri.without_parameters("method").replace(headers=())


def is_same_target(uri: Uri, other: Uri) -> bool:
    """16.5: a URI is not added twice."""
    if isinstance(uri, SipUri) and isinstance(other, SipUri):
        return uri.is_equivalent(other)
    return uri == other


def _of_phone(flows: list[Target]) -> Target:
    """One target per phone: the newest living flow first."""
    if len(flows) == 1:
        return flows[0]
    first, *others = sorted(flows, key=lambda target: target.is_gone)
    return replace(first, alternates=tuple(others))


def _may_listen(uri: Uri, flow: Flow) -> bool:
    """Most clients of connections do not accept any; a server's Contact is the address it came from."""
    if flow.transport in (Transport.WS, Transport.WSS) or not isinstance(uri, SipUri):
        return False
    return uri.host == flow.remote.host or (
        flow.transport is Transport.UDP and is_reachable(uri.host, flow.remote.host)
    )
