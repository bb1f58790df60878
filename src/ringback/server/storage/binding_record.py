# SPDX-License-Identifier: Apache-2.0
"""How a binding is written down: JSON with a version, read back only if every field is what it should be.

A newer version may add fields; they are kept in `more` and written again, so that two versions can share a
store.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from ringback.server.storage.store import BindingRecord

VERSION = 1
MAX_TEXT = 8192
MAX_PATH = 32

_TYPES: dict[str, type] = {
    "user": str,
    "key": str,
    "contact": str,
    "expires_at": float,
    "q": float,
    "call_id": str,
    "cseq": int,
    "transport": str,
    "local_host": str,
    "local_port": int,
    "remote_host": str,
    "remote_port": int,
    "instance": str,
    "reg_id": int,
    "user_agent": str,
    "registered_at": float,
}


def encode(binding: BindingRecord) -> str:
    """One line of JSON. Fields at their default are left out."""
    values: dict[str, Any] = {"v": VERSION, **binding.more}
    for field in dataclasses.fields(binding):
        value = getattr(binding, field.name)
        if field.name != "more" and value != field.default:
            values[field.name] = value
    return json.dumps(values, ensure_ascii=True, separators=(",", ":"))


def decode(text: str) -> BindingRecord | None:
    """The binding, or None if the text is none: a store may be damaged, or written by somebody else."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(values, dict) or not isinstance(values.get("v"), int):
        return None
    known = {name: _checked(values, name) for name in _TYPES if name in values}
    path = values.get("path", [])
    if (
        None in known.values()
        or not {"user", "key", "contact", "expires_at"} <= known.keys()
        or not _is_path(path)
    ):
        return None
    more = {name: value for name, value in values.items() if name not in _TYPES and name not in ("v", "path")}
    return BindingRecord(**known, path=tuple(path), more=more)


def _checked(values: Mapping[str, Any], name: str) -> Any:
    """The value if it has the type of its field, else None."""
    value: Any = values[name]
    kind = _TYPES[name]
    fits = isinstance(value, int | float) if kind is float else isinstance(value, kind)
    if isinstance(value, bool) or not fits:
        return None
    if kind is str:
        return value if len(value) <= MAX_TEXT else None
    return kind(value) if -1e15 < value < 1e15 else None


def _is_path(path: object) -> bool:
    return (
        isinstance(path, list)
        and len(path) <= MAX_PATH
        and all(isinstance(entry, str) and len(entry) <= MAX_TEXT for entry in path)
    )
