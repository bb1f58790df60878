# SPDX-License-Identifier: Apache-2.0
"""How does the authority see that a name is ours? By a page of the web server, or a record in the zone:
RFC 8555 section 8.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from pathlib import Path
from typing import Protocol

from ringback.server.acme.errors import AcmeError
from ringback.server.acme.jws import record_value
from ringback.server.secret import write_private

#: RFC 8555 section 8: base64url only. It becomes a file name.
TOKEN = re.compile(r"[A-Za-z0-9_-]{16,200}")
HOOK_PATIENCE = 600.0
#: What a hook said that is shown.
MAX_COMPLAINT = 500


class Challenges(Protocol):
    """One way to show it. `kind` is the type of the challenge."""

    kind: str

    async def show(self, name: str, token: str, authorization: str) -> None: ...
    async def clear(self, name: str, token: str, authorization: str) -> None: ...


class HttpChallenges:
    """Section 8.3: a file each, in a folder that the web process reads."""

    kind = "http-01"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def show(self, name: str, token: str, authorization: str) -> None:
        if not TOKEN.fullmatch(token):
            raise AcmeError("the authority's token has characters that no token has")
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(self._folder / token, authorization.encode("ascii"))

    async def clear(self, name: str, token: str, authorization: str) -> None:
        if TOKEN.fullmatch(token):
            (self._folder / token).unlink(missing_ok=True)


def answer_for(folder: Path, token: str) -> str | None:
    """What the page of a token says; None when nobody asked us for it."""
    if not TOKEN.fullmatch(token):
        return None
    try:
        return (folder / token).read_text("ascii")
    except (OSError, UnicodeDecodeError):
        return None


class DnsChallenges:
    """Section 8.4: a TXT record, put into the zone by its owner's program."""

    kind = "dns-01"

    def __init__(self, hook: Path) -> None:
        self._hook = hook

    async def show(self, name: str, token: str, authorization: str) -> None:
        await self._call("add", f"_acme-challenge.{name}", record_value(authorization))

    async def clear(self, name: str, token: str, authorization: str) -> None:
        await self._call("remove", f"_acme-challenge.{name}", record_value(authorization))

    async def _call(self, *arguments: str) -> None:
        try:
            process = await asyncio.create_subprocess_exec(
                self._hook,
                *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
            )
        except OSError as error:
            raise AcmeError(f"acme.dns_hook: {self._hook}: {error.strerror or error}") from error
        try:
            _, complaint = await asyncio.wait_for(process.communicate(), HOOK_PATIENCE)
        except BaseException as error:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            if isinstance(error, TimeoutError):
                raise AcmeError(f"acme.dns_hook: {self._hook} does not end") from error
            raise
        if process.returncode:
            words = complaint.decode("utf-8", "replace").strip()[-MAX_COMPLAINT:]
            ending = f"ended with exit code {process.returncode}: {words}"
            raise AcmeError(f"acme.dns_hook: {self._hook} {arguments[0]} {ending}")
