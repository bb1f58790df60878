# SPDX-License-Identifier: Apache-2.0
"""How is the authority reached? Over https, one request after the other, with limits on all it may say."""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import aiohttp

from ringback.server.acme.errors import AcmeError
from ringback.version import VERSION

PATIENCE = 30.0
#: Longer answers are none of ACME.
MAX_ANSWER = 1_048_576


@dataclass(frozen=True, slots=True)
class Answer:
    """A response; `headers` with names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> dict[str, Any]:
        """The body as an object. Raises AcmeError if it is none."""
        try:
            found = json.loads(self.body)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise AcmeError(f"the authority said something that is no JSON object (status {self.status})")
        return found


class Http(Protocol):
    """What the client needs of a connection."""

    async def request(self, method: str, url: str, body: bytes = b"") -> Answer:
        """Raises AcmeError when the authority cannot be reached."""
        ...


class HttpsConnection:
    """`Http` over real sockets: `async with HttpsConnection(authorities) as http`."""

    __slots__ = ("_authorities", "_session")

    def __init__(self, authorities: Path | None = None) -> None:
        self._authorities = authorities
        self._session: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        try:
            context = ssl.create_default_context(cafile=self._authorities)
        except (OSError, ValueError) as error:
            raise AcmeError(f"acme.authorities: {self._authorities} cannot be read: {error}") from error
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=context),
            timeout=aiohttp.ClientTimeout(total=PATIENCE),
            headers={"User-Agent": f"Ringback/{VERSION}"},
            trust_env=True,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def request(self, method: str, url: str, body: bytes = b"") -> Answer:
        if not url.startswith("https://"):
            raise AcmeError(f"the authority names an address without https: {url[:200]!r}")
        headers = {"Content-Type": "application/jose+json"} if body else {}
        try:
            async with self._session.request(
                method, url, data=body or None, headers=headers, allow_redirects=False
            ) as response:
                found = await response.content.read(MAX_ANSWER)
                names = {name.lower(): value for name, value in response.headers.items()}
                return Answer(response.status, names, found)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            reason = str(error) or type(error).__name__
            raise AcmeError(f"the authority at {url} cannot be reached: {reason}") from error
