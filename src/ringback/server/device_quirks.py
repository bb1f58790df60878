# SPDX-License-Identifier: Apache-2.0
"""Which phones need to be treated otherwise than the RFCs say? One row per quirk."""

from __future__ import annotations

from functools import lru_cache

#: Phones that refuse a whole 401 or 407 when it also offers an algorithm they do not know, instead of
#: passing that challenge over (RFC 8760 2.4). They are offered MD5 alone.
MD5_ONLY = (
    "baresip v0.",
    "baresip v1.",
    "sipp",
    "sipsak 0.",
)


@lru_cache(maxsize=1024)
def speaks_only_md5(user_agent: str | None, more: tuple[str, ...] = ()) -> bool:
    """True for a User-Agent that begins like one of the table, or like one of `more`; case does not count."""
    if not user_agent:
        return False
    name = user_agent.casefold()
    return any(prefix and name.startswith(prefix.casefold()) for prefix in (*MD5_ONLY, *more))
