# SPDX-License-Identifier: Apache-2.0
"""How does an account speak with the authority? Signed requests, nonces, and waiting: RFC 8555 section 7."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ringback.server.acme.errors import AcmeError
from ringback.server.acme.http import Answer, Http
from ringback.server.acme.jws import AccountKey, encoded

#: How often a request is repeated whose nonce was refused (RFC 8555 section 6.5).
NONCE_TRIES = 6
#: How long an order or an authorization may be pending, and the pauses between two looks, in seconds.
PATIENCE = 180.0
PAUSE, LONGEST_PAUSE = 1.0, 15.0
BAD_NONCE = "urn:ietf:params:acme:error:badNonce"


@dataclass(frozen=True, slots=True)
class Order:
    """RFC 8555 section 7.1.3."""

    url: str
    status: str
    authorizations: Sequence[str]
    finalize: str
    certificate: str
    error: Mapping[str, Any]


class AcmeClient:
    """One account at one authority. `begin` first."""

    def __init__(self, http: Http, key: AccountKey, directory: str) -> None:
        self._http = http
        self.key = key
        self._directory_url = directory
        self._directory: dict[str, Any] = {}
        self._account = ""
        self._nonces: list[str] = []

    async def begin(self, *, email: str = "") -> None:
        """Find the account of our key, or make it and agree to the terms (sections 7.1.1 and 7.3)."""
        answer = await self._http.request("GET", self._directory_url)
        if answer.status != 200:
            raise _refused(answer, f"{self._directory_url} is no directory")
        self._directory = answer.json()
        contact = {"contact": [f"mailto:{email}"]} if email else {}
        made = await self._post(self._place("newAccount"), {"termsOfServiceAgreed": True, **contact})
        self._account = _location(made)

    async def order(self, names: Sequence[str]) -> Order:
        """Ask for a certificate for these names (section 7.4)."""
        identifiers = [{"type": "dns", "value": name} for name in names]
        answer = await self._post(self._place("newOrder"), {"identifiers": identifiers})
        return _order(_location(answer), answer.json())

    async def authorization(self, url: str) -> dict[str, Any]:
        """What must be shown for one name (section 7.5)."""
        return (await self._post(url, None)).json()

    async def respond(self, challenge: str) -> None:
        """The challenge is ready to be looked at (section 7.5.1)."""
        await self._post(challenge, {})

    async def settled(self, url: str) -> dict[str, Any]:
        """An authorization that the authority has decided about."""
        return await self._wait(url, until=("valid", "invalid", "deactivated", "expired", "revoked"))

    async def finalize(self, order: Order, request: bytes) -> Order:
        """Hand in the certificate signing request (DER) and wait for the certificate (section 7.4)."""
        await self._post(order.finalize, {"csr": encoded(request)})
        return _order(order.url, await self._wait(order.url, until=("valid", "invalid")))

    async def certificate(self, order: Order) -> bytes:
        """The chain in PEM, ours first (section 7.4.2)."""
        return (await self._post(order.certificate, None)).body

    # --- inside

    def _place(self, name: str) -> str:
        url = self._directory.get(name)
        if not isinstance(url, str):
            raise AcmeError(f"{self._directory_url} is no directory: it has no {name}")
        return url

    async def _wait(self, url: str, *, until: Collection[str]) -> dict[str, Any]:
        pause, waited = PAUSE, 0.0
        while True:
            answer = await self._post(url, None)
            found = answer.json()
            if found.get("status") in until:
                return found
            if waited > PATIENCE:
                raise AcmeError(f"the authority has not decided within {PATIENCE:g} seconds")
            pause = min(max(_retry_after(answer) or pause, PAUSE), LONGEST_PAUSE)
            await asyncio.sleep(pause)
            waited += pause
            pause *= 1.5

    async def _post(self, url: str, payload: dict[str, Any] | None) -> Answer:
        for _ in range(NONCE_TRIES):
            body = self.key.signed(url, await self._nonce(), payload, account=self._account)
            answer = await self._http.request("POST", url, body)
            self._keep_nonce(answer)
            if answer.status < 300:
                return answer
            refusal = _refused(answer, "the authority refused")
            if refusal.kind != BAD_NONCE:
                raise refusal
        raise AcmeError("the authority refuses each of its own nonces")

    async def _nonce(self) -> str:
        if not self._nonces:
            self._keep_nonce(await self._http.request("HEAD", self._place("newNonce")))
        if not self._nonces:
            raise AcmeError("the authority gives no nonce")
        return self._nonces.pop()

    def _keep_nonce(self, answer: Answer) -> None:
        nonce = answer.headers.get("replay-nonce")
        if nonce:
            self._nonces = [nonce]


def _order(url: str, found: Mapping[str, Any]) -> Order:
    authorizations, error = found.get("authorizations"), found.get("error")
    return Order(
        url=url,
        status=str(found.get("status", "")),
        authorizations=[str(each) for each in authorizations] if isinstance(authorizations, list) else [],
        finalize=str(found.get("finalize", "")),
        certificate=str(found.get("certificate", "")),
        error=error if isinstance(error, dict) else {},
    )


def _location(answer: Answer) -> str:
    try:
        return answer.headers["location"]
    except KeyError:
        raise AcmeError("the authority does not say where what it made is") from None


def _retry_after(answer: Answer) -> float | None:
    """Seconds; the form with a date is left alone (RFC 9110 section 10.2.3)."""
    text = answer.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdecimal() and len(text) < 8 else None


def _refused(answer: Answer, what: str) -> AcmeError:
    """Its problem document (section 6.7) as a sentence."""
    try:
        problem = answer.json()
    except AcmeError:
        problem = {}
    return refusal(problem, what, status=answer.status, retry_after=_retry_after(answer))


def refusal(
    problem: Mapping[str, Any], what: str, *, status: int = 0, retry_after: float | None = None
) -> AcmeError:
    """A problem document, with those of its parts."""
    parts = [problem, *(each for each in problem.get("subproblems") or () if isinstance(each, dict))]
    details = "; ".join(str(each["detail"])[:500] for each in parts if each.get("detail"))
    kind = str(problem.get("type", ""))
    return AcmeError(
        f"{what}: {details or f'status {status}'}{f' ({kind})' if kind else ''}",
        kind=kind,
        retry_after=retry_after,
    )
