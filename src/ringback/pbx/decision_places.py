# SPDX-License-Identifier: Apache-2.0
"""Where does the rule of a decision stand? Settings are shown with their value, and with file and line, flag
or variable; only the supervisor knows those.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from ringback.server.config import Settings
from ringback.server.reload import value_at

Origins = Mapping[tuple[str, ...], str]

_SETTING = re.compile(r"setting ([a-z_]+(?:\.[a-z_]+)*)")
#: "/etc/ringback/ringback.toml:12:1", as `config_file.py` writes it.
_FILE_PLACE = re.compile(r"(.+):([0-9]+):[0-9]+")


def located(answer: dict[str, Any], settings: Settings, origins: Origins) -> dict[str, Any]:
    """The answer of "explain" or "dry-run", its sources with values and places."""
    decisions = answer.get("decisions")
    if not isinstance(decisions, list):
        return answer
    for decision in decisions:
        decision["source"] = in_words(str(decision.get("source") or ""), settings, origins)
    return answer


def in_words(source: str, settings: Settings, origins: Origins) -> str:
    """ "setting proxy.ring_time" -> "setting proxy.ring_time = 30 (ringback.toml:12)"."""
    found = _SETTING.fullmatch(source)
    if found is None:
        return source
    path = tuple(found[1].split("."))
    try:
        value = value_at(settings, path)
    except (AttributeError, KeyError, LookupError):
        return source
    return f"{source} = {_shown(value)} ({_place(origins.get(path, ''))})"


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    return f'"{value}"' if isinstance(value, str) else str(value)


def _place(origin: str) -> str:
    """The file by its name, so that the line is seen; a flag or a variable as it is."""
    found = _FILE_PLACE.fullmatch(origin)
    return f"{PurePath(found[1]).name}:{found[2]}" if found else origin or "default"
