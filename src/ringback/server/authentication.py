# SPDX-License-Identifier: Apache-2.0
"""Who sends this, and may they? Digest authentication and the table of who may do what: RFC 3261 section 22.

Deny by default. A request is let through when it comes along our own Record-Route (the token in it was
sealed here for this dialog), when its sender proved to be a local user, or when strangers may call and it
is a call to a local user. From whom no proof came yet gets a challenge, statelessly; existing and missing
users get the same one.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ringback.kernel import BIT, auth_parameters
from ringback.server import clauses
from ringback.server.admission import CAPABILITIES
from ringback.server.device_quirks import speaks_only_md5
from ringback.server.log_limit import LogLimit
from ringback.server.plain_request import answer
from ringback.server.subscribers import NOBODY, Principal
from ringback.sip.errors import PeerError
from ringback.sip.message.credentials import Credentials
from ringback.sip.message.uri import SipUri, parse_uri

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ringback.server.backoff import FailureTable
    from ringback.server.locality import Locality
    from ringback.server.location import Location
    from ringback.server.pipeline import Exchange
    from ringback.server.subscribers import Subscribers
    from ringback.sip.digest_server import DigestServer
    from ringback.sip.flow import Flow
    from ringback.sip.message.message import Request
    from ringback.sip.message.uri import Uri

logger = logging.getLogger("ringback.authentication")
logger.addFilter(LogLimit())

#: What guests may send to the one number they may call: what belongs to a call.
GUESTS_METHODS = frozenset(("INVITE", "ACK", "CANCEL", "BYE", "PRACK", "UPDATE", "INFO"))

#: What strangers may send to local users, where the setting lets them.
STRANGERS_METHODS = frozenset(("INVITE", "MESSAGE", "OPTIONS"))

_AUTHORIZATION, _PROXY_AUTHORIZATION = BIT["authorization"], BIT["proxy-authorization"]
_BOTH = _AUTHORIZATION | _PROXY_AUTHORIZATION
_USER_AGENT = BIT["user-agent"]

#: RFC 3323 4.1.1.3: the From of somebody who does not want to be named. Only the digest says who it is.
ANONYMOUS_HOST = "anonymous.invalid"


@dataclass(frozen=True, slots=True)
class AuthenticationPolicy:
    """Who may do what."""

    strangers_may_call: bool = False
    users_may_call_out: bool = True
    from_must_match: bool = True
    """A user's requests must carry that user's own address in From."""
    md5_only_agents: tuple[str, ...] = ()
    """Prefixes of User-Agent, besides those of `device_quirks.py`."""


class Authentication:
    """The second service. After it, `exchange.principal` is a proven user, or None for tokens and
    tolerated strangers.
    """

    def __init__(
        self,
        digest: DigestServer,
        policy: AuthenticationPolicy,
        *,
        subscribers: Subscribers,
        locality: Locality,
        location: Location,
        failures: FailureTable,
    ) -> None:
        self.digest = digest
        self.policy = policy
        self._subscribers = subscribers
        self._locality = locality
        self._location = location
        self._failures = failures

    def serve(self, exchange: Exchange) -> bool:
        request = exchange.request
        if exchange.dialog is not None:
            return False
        if exchange.transaction is None:
            return not (self.policy.strangers_may_call and self._stays_here(exchange))
        if request.method == "REGISTER":
            return self._serve_register(exchange)
        if self._claims_to_be_local(exchange):
            return self._serve_user(exchange)
        return self._serve_stranger(exchange)

    def _serve_register(self, exchange: Exchange) -> bool:
        """10.3 steps 1 to 5: our domain, a proven user, and that user's own address of record."""
        request = exchange.request
        if not self._locality.names_us(request.target):
            exchange.refuse(
                403, clauses.NOT_REGISTRAR, request.target, reason="Not A Registrar For This Domain"
            )
            return True
        principal = self._prove(exchange, status=401)
        if principal is None:
            return True
        if not self._is_own_address_of_record(request, principal):
            exchange.refuse(
                403, clauses.NOT_OWN_ADDRESS, principal.number, request.to.uri, reason="Not Your Address"
            )
            return True
        if principal.may_call:
            exchange.refuse(403, clauses.GUEST_MAY_NOT, principal.number, "REGISTER", principal.may_call)
            return True
        return self._admit(exchange, principal)

    def _serve_user(self, exchange: Exchange) -> bool:
        request = exchange.request
        principal = self._prove(exchange, status=407)
        if principal is None:
            return True
        if self.policy.from_must_match and not self._speaks_for_itself(request, principal):
            exchange.refuse(
                403,
                clauses.FROM_IS_NOT_THEIRS,
                principal.number,
                request.from_uri,
                reason="From Is Not Yours",
            )
            return True
        if principal.may_call and not (self._stays_here(exchange) and request.method in GUESTS_METHODS):
            exchange.refuse(403, clauses.GUEST_MAY_NOT, principal.number, request.method, principal.may_call)
            return True
        if not self._stays_here(exchange) and not self.policy.users_may_call_out:
            exchange.refuse(
                403,
                clauses.NO_CALLS_OUT,
                principal.number,
                request.target,
                reason="No Calls Out Of The Domain",
            )
            return True
        return self._admit(exchange, principal)

    def _serve_stranger(self, exchange: Exchange) -> bool:
        """Never a relay: strangers reach local users at most. Where they may call, what belongs to a call may
        come without our Route: some clients ignore Record-Route.
        """
        request = exchange.request
        is_inside = self._stays_here(exchange)
        is_welcome = request.method in STRANGERS_METHODS or request.to.tag is not None
        if is_inside and self.policy.strangers_may_call and is_welcome:
            is_new = exchange.keep()
            exchange.decide(clauses.STRANGER_MAY, request.from_uri)
            return not is_new
        if is_inside and request.method == "OPTIONS":
            exchange.respond(200, headers=CAPABILITIES)  # the same for every user, existing or not
        elif is_inside and request.to.tag is not None:
            exchange.refuse(481, clauses.NO_DIALOG, request.method)
        else:
            exchange.refuse(403, clauses.STRANGER_MAY_NOT, request.from_uri, request.target)
        return True

    # --- who is it?

    def _prove(self, exchange: Exchange, *, status: int) -> Principal | None:
        """The proven sender. None: the answer (a challenge, or wait) is sent."""
        request, now = exchange.request, exchange.stack.now
        source = exchange.flow.remote.host
        claim = self._claim(exchange)
        if claim is None:
            exchange.decide(clauses.CHALLENGED, request.method, status)
            self._challenge(exchange, status, source, stale=False)
            return None
        account = claim.get("username", "")
        wait = self._failures.wait(source, account, now=now)
        if wait > 0 and not self._is_known_flow(account, exchange.flow):
            self._send_away(exchange, account, int(wait) + 1)
            return None
        target, uri = request.target, claim.get("uri")
        if uri != target and uri is not None and self._is_our_address(uri):
            target = uri
        subscriber = self._subscribers.find(account) or NOBODY
        verdict = self.digest.judge(
            claim,
            request.method,
            target,
            request.body,
            subscriber.own_secret,
            source,
            now,
            subscriber.secrets_of_devices,
        )
        if verdict.user is not None:
            self._failures.succeeded(source, account)
            return Principal(subscriber.number, subscriber.name, verdict.device, subscriber.may_call)
        if verdict.stale:
            exchange.decide(clauses.STALE, account)
        else:
            exchange.decide(clauses.WRONG_PASSWORD, account, verdict.detail)
            self._note_failure(exchange, claim, source, verdict.detail)
        self._challenge(exchange, status, source, stale=verdict.stale)
        return None

    def _send_away(self, exchange: Exchange, account: str, delay: int) -> None:
        """Somebody guesses passwords."""
        facts = (account, exchange.flow.remote.host, str(delay))
        exchange.refuse(503, clauses.TOO_MANY_FAILURES, *facts, headers=[("Retry-After", str(delay))])

    def _claim(self, exchange: Exchange) -> Mapping[str, str] | None:
        """The credentials for our realm; what is meant for others is not ours to judge (22.3). A single line,
        as nearly all phones write it, is read by the kernel alone: 1 us instead of 3.
        """
        fields, head = exchange.present & _BOTH, exchange.request.head
        if not fields:
            return None
        text = head.value(fields) if head is not None and fields != _BOTH else None
        if text is None:
            return self._first_of_ours(exchange.request.credentials)
        claim = auth_parameters(text[7:]) if text[:7] == "Digest " else None
        if claim is None:
            return self._first_of_ours([Credentials.parse(text)])
        return claim if claim.get("realm") == self.digest.realm else None

    def _first_of_ours(self, found: Iterable[Credentials]) -> Mapping[str, str] | None:
        return next((each.parameters for each in found if self.digest.is_ours(each)), None)

    def _is_our_address(self, text: str) -> bool:
        """Some phones make the digest of the bare address of this server instead of the Request-URI (RFC 7616
        3.4.6 leaves room for what lies between).
        """
        try:
            return self._locality.is_this_server(parse_uri(text))
        except PeerError:
            return False

    def _note_failure(self, exchange: Exchange, claim: Mapping[str, str], source: str, detail: str) -> None:
        """Only who answers a nonce of ours counts: a forged source address never saw one."""
        if not self.digest.made(claim.get("nonce", ""), source):
            return
        self._failures.failed(source, claim.get("username", ""), now=exchange.stack.now)
        logger.info("authentication failed: %s from %s: %s", exchange.request.method, exchange.flow, detail)

    def _challenge(self, exchange: Exchange, status: int, source: str, *, stale: bool) -> None:
        name = "WWW-Authenticate" if status == 401 else "Proxy-Authenticate"
        md5_only = speaks_only_md5(_user_agent(exchange), self.policy.md5_only_agents)
        now = exchange.stack.now
        lines = self.digest.challenge_lines(name, source, now=now, stale=stale, md5_only=md5_only)
        answer(exchange, status, lines)

    def _is_known_flow(self, account: str, flow: Flow) -> bool:
        """A phone of this account is registered from exactly there."""
        bindings = self._location.bindings(account, now=float("-inf"))
        return any(
            binding.flow is not None
            and (binding.flow.transport, binding.flow.remote) == (flow.transport, flow.remote)
            for binding in bindings
        )

    # --- may they?

    def _claims_to_be_local(self, exchange: Exchange) -> bool:
        request = exchange.request
        uri = request.from_uri
        if self._locality.is_ours(uri):
            return True
        is_anonymous = isinstance(uri, SipUri) and uri.host == ANONYMOUS_HOST
        return is_anonymous and (not self.policy.strangers_may_call or self._claim(exchange) is not None)

    def _speaks_for_itself(self, request: Request, principal: Principal) -> bool:
        uri = request.from_uri
        is_anonymous = isinstance(uri, SipUri) and uri.host == ANONYMOUS_HOST
        return is_anonymous or self._is_own_address(uri, principal)

    def _is_own_address_of_record(self, request: Request, principal: Principal) -> bool:
        """By its text, as nearly all phones write it: with the domain of the Request-URI, which is ours.

        0.3 us instead of 5.
        """
        head = request.head
        if head is not None and head.to_uri == f"sip:{principal.number}@{request.target[4:]}":
            return True
        return self._is_own_address(request.to.uri, principal)

    def _is_own_address(self, uri: Uri, principal: Principal) -> bool:
        if not self._locality.is_ours(uri):
            return False
        subscriber = self._subscribers.find(self._locality.user_of(uri))
        return subscriber is not None and subscriber.number == principal.number

    def _stays_here(self, exchange: Exchange) -> bool:
        return not exchange.routes and self._locality.is_ours(exchange.request.uri)

    def _admit(self, exchange: Exchange, principal: Principal) -> bool:
        """Check, then commit: from here on there is state, and our credentials travel no further (22.3)."""
        exchange.principal = principal
        exchange.driver.trust(exchange.flow)  # a caller who never registers keeps its connection too
        if exchange.request.method == "REGISTER":  # which travels no further, and is answered at once
            stack, transaction = exchange.stack, exchange.transaction
            assert transaction is not None, "an ACK is no REGISTER"
            return not stack.keep(transaction, now=stack.now, answers_soon=True)
        exchange.decide(clauses.PROVEN, principal)
        self._drop_credentials(exchange)
        return not exchange.keep()

    def _drop_credentials(self, exchange: Exchange) -> None:
        for name in ("Authorization", "Proxy-Authorization"):
            bit = BIT[name.lower()]
            lines = exchange.request.reading.get_all(name) if exchange.present & bit else []
            foreign = [line for line in lines if not self._is_ours(line)]
            if not foreign:
                exchange.without |= bit
            elif len(foreign) < len(lines):
                request = exchange.request.copy()
                request.headers.remove(name)
                for line in foreign:
                    request.headers.add(name, line)
                exchange.replace_request(request)

    def _is_ours(self, line: str) -> bool:
        try:
            return Credentials.parse(line).parameters.get("realm") == self.digest.realm
        except PeerError:
            return False


def _user_agent(exchange: Exchange) -> str | None:
    if not exchange.present & _USER_AGENT:
        return None
    head = exchange.request.head
    text = None if head is None else head.value(_USER_AGENT)
    return exchange.request.reading.get("User-Agent") if text is None else text
