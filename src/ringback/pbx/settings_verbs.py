# SPDX-License-Identifier: Apache-2.0
"""How are the settings of a running server seen and changed from outside? The verbs "settings" and
"settings-change"; the supervisor answers them, since it knows the flags and the environment.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from ringback.server.config import Settings
from ringback.server.config_file import ConfigurationError, Loaded
from ringback.server.control import Answer, Verb
from ringback.server.reload import PIN, is_live, value_at
from ringback.server.settings_file import (
    Value,
    drafted,
    file_of,
    plain,
    text_of,
    version_of,
    why_not_writable,
    write,
)
from ringback.server.settings_view import described
from ringback.sip.errors import RingbackError


class SettingsVerbs:
    """Reads and writes the settings file of one server."""

    def __init__(
        self,
        directory: Path,
        running: Settings,
        *,
        load: Callable[[], Loaded],
        reload: Callable[[], Awaitable[object]],
        post: Callable[..., None],
    ) -> None:
        self._directory = directory
        self._last = Loaded(running)
        self._load = load
        self._reload = reload
        self._post = post
        self._changing = asyncio.Lock()

    def verbs(self) -> dict[str, Verb]:
        """For the control socket and the web process."""
        return {"settings": self._settings, "settings-change": self._change}

    async def _settings(self, _: Mapping[str, Any]) -> Answer:
        return await asyncio.to_thread(self._page)

    def _page(self) -> Answer:
        """With a file that cannot be used: what was read last, and what is wrong."""
        problem = ""
        try:
            self._last = self._load()
        except ConfigurationError as error:
            problem = str(error)
        file = file_of(self._last, self._directory)
        refusal = why_not_writable(file)
        items = described(self._last, {})
        return {
            "items": items,
            "total": len(items),
            "version": version_of(text_of(file)),
            "file": str(file),
            "is_writable": not refusal,
            "problem": problem or refusal,
        }

    async def _change(self, arguments: Mapping[str, Any]) -> Answer:
        changes = arguments.get("changes")
        if not isinstance(changes, dict) or not all(isinstance(name, str) for name in changes):
            raise RingbackError('"changes" holds new values by the names of settings')
        async with self._changing:
            before = await asyncio.to_thread(self._load)
            file = file_of(before, self._directory)
            old = await asyncio.to_thread(text_of, file)
            if arguments.get("version") and arguments["version"] != version_of(old):
                return {"stale": True}
            draft = await asyncio.to_thread(drafted, old, changes, before)
            if draft.problems:
                problems = draft.problems.items()
                return {"problems": [{"field": name, "message": text} for name, text in problems]}
            if draft.text != old:
                await self._take_over(file, old, draft.text)
            after = await asyncio.to_thread(self._load)
            return self._told(changes, before, after, version_of(draft.text))

    async def _take_over(self, file: Path, old: str, new: str) -> None:
        """What the running server refuses (a certificate that cannot be read) is taken back."""
        await asyncio.to_thread(write, file, new)
        try:
            await self._reload()
        except RingbackError:
            await asyncio.to_thread(write, file, old)
            raise

    def _told(self, changes: Mapping[str, Value], before: Loaded, after: Loaded, version: str) -> Answer:
        """What is different now. A room's PIN is nobody's business who reads the audit log."""
        found: dict[str, tuple[Value, Value]] = {}
        for name in changes:
            path = tuple(name.split("."))
            old, new = plain(value_at(before.settings, path)), plain(value_at(after.settings, path))
            if old != new:
                found[name] = _discreet(old), _discreet(new)
        if found:
            self._post("settings.changed", settings=list(found))
        return {
            "changed": list(found),
            "needs_restart": [name for name in found if not is_live(tuple(name.split(".")))],
            "version": version,
            "before": {name: old for name, (old, _) in found.items()},
            "after": {name: new for name, (_, new) in found.items()},
        }


def _discreet(value: Value) -> Value:
    if isinstance(value, list):
        return [re.sub(PIN, "pin=***", each) for each in value]
    return value
