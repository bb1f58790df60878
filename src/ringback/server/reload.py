# SPDX-License-Identifier: Apache-2.0
"""What does a reload change at once, and what has to wait for a restart?"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ringback.server.config import Settings
from ringback.server.config_schema import all_settings

#: Sections that are read again while the server runs. Everything else is fixed when sockets are opened.
LIVE_SECTIONS = frozenset(
    {
        "authentication",
        "registrar",
        "proxy",
        "nat",
        "calls",
        "tls",
        "acme",
        "overload",
        "log",
        "trace",
        "records",
    }
)

#: ... and single settings of the others.
LIVE_IN_WEB = frozenset({"session_hours", "webhook_allow"})


PIN = r"\bpin=\S+"


@dataclass(frozen=True, slots=True)
class Change:
    """One setting that differs between the running settings and the new ones."""

    name: str
    before: str
    after: str
    needs_restart: bool

    def __str__(self) -> str:
        when = " (after a restart)" if self.needs_restart else ""
        return f"{self.name}: {self.before} -> {self.after}{when}"


def changes(running: Settings, new: Settings) -> list[Change]:
    """What is different, in the order of the settings page."""
    found = []
    for path, _ in all_settings():
        before, after = value_at(running, path), value_at(new, path)
        if before != after:
            found.append(Change(".".join(path), _shown(before), _shown(after), not is_live(path)))
    return found


def applicable(running: Settings, new: Settings) -> Settings:
    """The new settings as far as they can hold now; the rest stays as it is running."""
    kept = {name: getattr(running, name) for name in Settings.model_fields if name not in LIVE_SECTIONS}
    live = {name: getattr(new.web, name) for name in LIVE_IN_WEB}
    return new.model_copy(update={**kept, "web": running.web.model_copy(update=live)})


def is_live(path: tuple[str, ...]) -> bool:
    """True for what a reload changes at once."""
    return path[0] in LIVE_SECTIONS or (path[0] == "web" and path[-1] in LIVE_IN_WEB)


def value_at(settings: Settings, path: tuple[str, ...]) -> object:
    """What stands there."""
    value: object = settings
    for part in path:
        value = getattr(value, part)
    return value


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):  # a room's PIN is nobody's business who reads the log
        return "[" + ", ".join(f'"{re.sub(PIN, "pin=***", str(entry))}"' for entry in value) + "]"
    if value is None or value == "":
        return "(empty)"
    return str(value)
