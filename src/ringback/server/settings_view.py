# SPDX-License-Identifier: Apache-2.0
"""How does a page show the settings? Each with what it is, where that comes from, and what it may be."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic.fields import FieldInfo

from ringback.server.config import Settings
from ringback.server.config_file import Loaded
from ringback.server.config_schema import all_settings, bare, bounds, is_list
from ringback.server.reload import is_live, value_at
from ringback.server.settings_file import ONLY_BY_HAND, is_fixed, plain

TYPES: dict[object, str] = {bool: "boolean", int: "integer", float: "number", Path: "path"}


def described(loaded: Loaded, problems: Mapping[str, str]) -> list[dict[str, Any]]:
    """A row for every setting, in the order of the reference."""
    return [_row(path, info, loaded, problems) for path, info in all_settings()]


def _row(
    path: tuple[str, ...], info: FieldInfo, loaded: Loaded, problems: Mapping[str, str]
) -> dict[str, Any]:
    name, origin = ".".join(path), loaded.origins.get(path, "")
    kind, choices = _kind(info)
    low, high = bounds(info)
    return {
        "path": name,
        "value": plain(value_at(loaded.settings, path)),
        "default": plain(value_at(Settings(), path)),
        "source": origin,
        "doc": " ".join((info.description or "").split()),
        "type": kind,
        "choices": choices,
        "minimum": low,
        "maximum": high,
        "needs_restart": not is_live(path),
        "is_writable": not is_fixed(origin) and path not in ONLY_BY_HAND,
        "problem": problems.get(name, ""),
    }


def _kind(info: FieldInfo) -> tuple[str, list[str]]:
    kind = bare(info.annotation)
    if is_list(kind):
        return "list", [str(each) for each in get_args(bare(get_args(kind)[0]))]
    choices = get_args(kind)
    return ("choice", [str(each) for each in choices]) if choices else (TYPES.get(kind, "text"), [])
