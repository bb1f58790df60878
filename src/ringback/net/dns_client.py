# SPDX-License-Identifier: Apache-2.0
"""Which DNS servers does this machine have, and what do they say? `dns_questions.py` asks them.

That takes a library of sixty modules, 7 MB and 45 ms: it is loaded with the first question, in a thread. A
server whose phones are all registered never asks one.
"""

from __future__ import annotations

import asyncio
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ringback.net.dns import DnsAnswer
    from ringback.net.dns_questions import DnsQuestions
    from ringback.sip.flow import Address

RESOLV_CONF = Path("/etc/resolv.conf")
LIFETIME = 5.0


class SystemDns:
    """The DNS servers of /etc/resolv.conf (or those given). A `ringback.net.dns.DnsClient`."""

    def __init__(
        self,
        servers: list[Address] | None = None,
        *,
        resolv_conf: Path = RESOLV_CONF,
        lifetime: float = LIFETIME,
    ) -> None:
        self._servers = servers
        self._resolv_conf = resolv_conf
        self._lifetime = lifetime
        self._questions: DnsQuestions | None = None

    async def query(self, name: str, kind: str) -> DnsAnswer:
        """Ask; an absent name or kind is an empty answer. Raises `DnsFailure`."""
        if self._questions is None:
            module = await asyncio.to_thread(import_module, "ringback.net.dns_questions")
            self._questions = module.DnsQuestions(
                self._servers, resolv_conf=self._resolv_conf, lifetime=self._lifetime
            )
        assert self._questions is not None
        return await self._questions.query(name, kind)
