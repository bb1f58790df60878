# SPDX-License-Identifier: Apache-2.0
"""How do we answer a challenge? RFC 3261 section 22, RFC 7616 section 3.4, RFC 8760 section 2.4.

A client answers a challenge only for realms it was given credentials for, and at most twice for one
request: a server that never tires of new nonces gets nothing for it. Whether a challenge may be answered at
all (an answerer of our call must not get our digest by challenging a BYE) is decided by the dialog, which
knows who called whom.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar, cast

from ringback.sip.digest import (
    NONCE_COUNT_LIMIT,
    Algorithm,
    Proof,
    algorithm_named,
    digest_response,
    ha1,
    printed,
)
from ringback.sip.errors import PeerError
from ringback.sip.message.credentials import Challenge, Credentials
from ringback.sip.message.message import Request, Response

#: Authenticated sendings of one request (RFC 3261 22.1 allows a second one after stale=true).
ATTEMPT_LIMIT = 2

#: Requests and nonces remembered by one client, oldest forgotten first.
MEMORY_LIMIT = 1024

#: Challenges looked at in one response.
CHALLENGE_LIMIT = 16

#: 401 asks in the first and is answered in the second; 407 likewise.
FIELDS = (("WWW-Authenticate", "Authorization"), ("Proxy-Authenticate", "Proxy-Authorization"))


@dataclass(frozen=True, slots=True)
class _Question:
    """A challenge that can be answered: its algorithm and qop are known to us."""

    challenge: Challenge
    algorithm: Algorithm
    realm: str
    nonce: str
    qop: str


Key = TypeVar("Key")


class DigestClient:
    """The credentials of one account.

    `password` or `ha1s` (algorithm name without -sess -> HA1). With `realm` only that realm is answered:
    give it when the account's realm is known.
    """

    __slots__ = ("_attempts", "_ha1s", "_nonce_counts", "_password", "realm", "username")

    def __init__(
        self,
        username: str,
        password: str | None = None,
        *,
        ha1s: Mapping[str, str] | None = None,
        realm: str | None = None,
    ) -> None:
        self.username = username
        self.realm = realm
        self._password = password
        self._ha1s = {name.upper(): value for name, value in (ha1s or {}).items()}
        self._attempts: dict[tuple[str, str, int], int] = {}
        self._nonce_counts: dict[tuple[str, str], int] = {}

    def __repr__(self) -> str:
        return f"DigestClient({self.username!r}, realm={self.realm!r})"

    def authorize(
        self, request: Request, response: Response, *, cnonce: str, cseq: int | None = None
    ) -> Request | None:
        """The request again, with credentials for every realm that can be answered; None if there is none.

        It has the same Call-ID, no Via and the CSeq number `cseq` (by default the next one: 22.1 and
        8.1.3.5). None also when the same nonce was answered before and is not stale, and after two
        attempts.
        """
        number = request.cseq.number
        attempts = self._attempts.get((request.call_id, request.method, number), 0)
        if attempts >= ATTEMPT_LIMIT:
            return None
        again = request.copy()
        answered = [self._answer(again, response, asked, told, cnonce) for asked, told in FIELDS]
        if True not in answered:
            return None
        number = number + 1 if cseq is None else cseq
        again.headers.remove("Via")
        again.headers["CSeq"] = f"{number} {request.method}"
        _remember(self._attempts, (request.call_id, request.method, number), attempts + 1)
        return again

    def _answer(self, request: Request, response: Response, asked: str, told: str, cnonce: str) -> bool:
        """Put credentials for the challenges in field `asked` into field `told`. True if any were added."""
        questions = self._questions(response, asked)
        answerable = [question for question in questions if not _was_answered(request, told, question)]
        if not answerable:
            return False
        realms = {question.realm for question in answerable}
        kept = [each for each in _present(request, told) if each.parameters.get("realm") not in realms]
        request.headers.remove(told)
        for credentials in kept:
            request.headers.add(told, str(credentials))
        for question in answerable:
            request.headers.add(told, self._credentials(request, question, cnonce))
        return True

    def _questions(self, response: Response, field: str) -> list[_Question]:
        """The strongest challenge of each realm we have a secret for; the first among equals (RFC 8760
        2.4).
        """
        best: dict[str, _Question] = {}
        for challenge in _challenges(response, field):
            question = self._understood(challenge)
            if question is None:
                continue
            rival = best.get(question.realm)
            if rival is None or question.algorithm.strength > rival.algorithm.strength:
                best[question.realm] = question
        return list(best.values())

    def _understood(self, challenge: Challenge) -> _Question | None:
        parameters = challenge.parameters
        realm, nonce = parameters.get("realm"), parameters.get("nonce")
        algorithm = algorithm_named(parameters.get("algorithm"))
        if challenge.scheme.lower() != "digest" or realm is None or not nonce or algorithm is None:
            return None
        if self.realm is not None and realm != self.realm:
            return None
        if self._password is None and algorithm.family not in self._ha1s:
            return None
        qop = _chosen_qop(parameters.get("qop"))
        if qop is None:
            return None
        return _Question(challenge, algorithm, realm, nonce, qop)

    def _credentials(self, request: Request, question: _Question, cnonce: str) -> str:
        count = self._next_count(question)
        has_cnonce = bool(question.qop) or question.algorithm.is_session
        proof = Proof(
            question.algorithm,
            question.nonce,
            request.method,
            request.target,
            qop=question.qop,
            nonce_count=f"{count:08x}",
            cnonce=cnonce if has_cnonce else "",
            body=request.body,
        )
        given = question.challenge.parameters
        parameters = [
            ("username", self.username, True),
            ("realm", question.realm, True),
            ("nonce", question.nonce, True),
            ("uri", request.target, True),
            ("response", digest_response(self._secret(question), proof), True),
        ]
        if "algorithm" in given:
            parameters.append(("algorithm", question.algorithm.name, False))
        if has_cnonce:
            parameters.append(("cnonce", cnonce, True))
        if question.qop:
            parameters += [("qop", question.qop, False), ("nc", proof.nonce_count, False)]
        if "opaque" in given:
            parameters.append(("opaque", given["opaque"], True))
        return printed(parameters)

    def _secret(self, question: _Question) -> str:
        stored = self._ha1s.get(question.algorithm.family)
        if stored is not None:
            return stored
        assert self._password is not None
        return ha1(self.username, question.realm, self._password, question.algorithm.name)

    def _next_count(self, question: _Question) -> int:
        key = (question.realm, question.nonce)
        count = min(self._nonce_counts.get(key, 0) + 1, NONCE_COUNT_LIMIT)
        _remember(self._nonce_counts, key, count)
        return count


def realms_answered(request: Request) -> frozenset[str]:
    """The realms a request carries credentials for."""
    return frozenset(
        each.parameters.get("realm", "") for _, told in FIELDS for each in _present(request, told)
    )


def _challenges(response: Response, field: str) -> Iterable[Challenge]:
    try:
        found = cast(list[Challenge], response.parsed(field))
    except PeerError:
        return []
    return found[:CHALLENGE_LIMIT]


def _present(request: Request, field: str) -> list[Credentials]:
    return cast(list[Credentials], request.parsed(field))


def _was_answered(request: Request, field: str, question: _Question) -> bool:
    """True if the request already carried credentials for this realm, and the server says that they are
    wrong.

    A new nonce alone is no second chance: RFC 7616 3.3 says stale=true when the digest was right.
    """
    is_stale = question.challenge.parameters.get("stale", "").lower() == "true"
    answered = [each for each in _present(request, field) if each.parameters.get("realm") == question.realm]
    return any(not is_stale or each.parameters.get("nonce") == question.nonce for each in answered)


def _chosen_qop(offered: str | None) -> str | None:
    """auth if it is offered, else auth-int; "" without qop (RFC 2069); None if only unknown ones are
    offered.
    """
    if offered is None:
        return ""
    words = [word.strip(" \t").lower() for word in offered.split(",")]
    if "auth" in words:
        return "auth"
    return "auth-int" if "auth-int" in words else None


def _remember(memory: dict[Key, int], key: Key, value: int) -> None:
    memory.pop(key, None)
    memory[key] = value
    if len(memory) > MEMORY_LIMIT:
        del memory[next(iter(memory))]


def realms_asked(response: Response) -> frozenset[str]:
    """The realms that challenge us in a response."""
    return frozenset(
        challenge.parameters.get("realm", "")
        for asked, _ in FIELDS
        for challenge in _challenges(response, asked)
    )
