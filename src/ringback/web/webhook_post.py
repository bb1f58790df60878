# SPDX-License-Identifier: Apache-2.0
"""How is one event sent to one webhook? A signed POST to an address that was checked; nothing else is heard.

The body of the answer is not read, redirections are not followed, and proxies of the environment are not
used: each would lead somewhere that nobody has checked.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import aiohttp

from ringback.version import VERSION
from ringback.web.webhook_destination import GuardedResolver, NotAllowed, check_host, networks
from ringback.web.webhook_signature import HEADER, signature

TIMEOUT = 10.0
MAX_CONNECTIONS = 16
MAX_FAILURE = 200


@dataclass(frozen=True, slots=True)
class Posted:
    """How it went: the HTTP status (0 when there was no answer), and why it failed, empty when it did not."""

    status: int
    failure: str = ""


class Post(Protocol):
    """Sends one event."""

    async def __call__(
        self, url: str, body: bytes, *, secret: str, event: str, delivery: int, now: float
    ) -> Posted: ...


class Sender:
    """A `Post` over HTTP. Make it in a running loop, and close it."""

    def __init__(
        self,
        *,
        allowed: Sequence[str] = (),
        resolver: aiohttp.abc.AbstractResolver | None = None,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self._allowed = networks(allowed)
        guarded = GuardedResolver(resolver or aiohttp.ThreadedResolver(), self._allowed)
        connector = aiohttp.TCPConnector(
            resolver=guarded, use_dns_cache=False, limit=MAX_CONNECTIONS, ssl=True if trust is None else trust
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=TIMEOUT),
            trust_env=False,
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def __call__(
        self, url: str, body: bytes, *, secret: str, event: str, delivery: int, now: float
    ) -> Posted:
        """Never raises for what the other side does."""
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"Ringback/{VERSION}",
            "Ringback-Event": event,
            "Ringback-Delivery": str(delivery),
            HEADER: signature(secret, body, at=int(now)),
        }
        try:
            check_host(url, self._allowed)
            async with self._session.post(url, data=body, headers=headers, allow_redirects=False) as response:
                return _judged(response.status)
        except TimeoutError:
            return Posted(0, f"no answer within {TIMEOUT:g} seconds")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Posted(0, _sentence(error))

    async def close(self) -> None:
        """End the connections."""
        await self._session.close()


def _judged(status: int) -> Posted:
    if 200 <= status < 300:
        return Posted(status)
    if 300 <= status < 400:
        return Posted(status, f"it answered {status}, a redirection, which is not followed: enter its target")
    return Posted(status, f"it answered {status}")


def _sentence(error: BaseException) -> str:
    """The innermost reason: aiohttp wraps those of the resolver and of TLS."""
    inner = getattr(error, "os_error", None) or getattr(error, "certificate_error", None) or error
    if isinstance(inner, NotAllowed):
        return str(inner)
    return (re.sub(r"^\[Errno -?\d+\] ", "", str(inner)) or type(inner).__name__)[:MAX_FAILURE]
