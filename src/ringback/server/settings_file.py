# SPDX-License-Identifier: Apache-2.0
"""How are settings written back into the file without losing what its owner wrote there: order and comments?

What is to be written is judged as the server will read it, with flags and variables on top, before a byte is
changed; the file is replaced as a whole. `version` is the fingerprint of what somebody saw.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomlkit
from pydantic import ValidationError
from tomlkit.exceptions import TOMLKitError

from ringback.server.config import Settings, contradictions
from ringback.server.config_file import Loaded, wrap_single_values
from ringback.server.config_problems import explain, nearest_name
from ringback.server.config_schema import all_settings, is_section, setting_at
from ringback.server.reload import value_at
from ringback.sip.errors import RingbackError

FILE_NAME = "ringback.toml"

#: What the page of the console shows and does not set, and why. Whoever looks after the telephones is not yet
#: somebody who may run programs as this server, or let it write wherever it can.
ONLY_BY_HAND: Mapping[tuple[str, ...], str] = {
    ("data",): "the data directory is where this file is looked for; set it with --data",
    ("acme", "dns_hook"): "it names a program that this server runs; write it into the settings file by hand",
    (
        "web",
        "turn_secret_file",
    ): "it names a file that this server reads; write it into the settings file by hand",
    (
        "web",
        "webhook_allow",
    ): "it opens your other machines to webhooks; write it into the settings file by hand",
    ("log", "trace_file"): "it names a file that this server writes; write it into the settings file by hand",
}

#: "sip.port" -> what is wrong with it
Problems = dict[str, str]
Value = bool | int | float | str | list[str] | None


class NotWritable(RingbackError):
    """The settings file cannot be changed; the text says why."""


@dataclass(slots=True)
class Draft:
    """New text for the file, and what is wrong with it."""

    text: str = ""
    problems: Problems = field(default_factory=dict)


def file_of(loaded: Loaded, directory: Path) -> Path:
    """The file that is read, or the one that would be once it is there."""
    return loaded.file or directory / FILE_NAME


def text_of(file: Path) -> str:
    """What stands in the file; nothing while it is not there."""
    try:
        return file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise NotWritable(f"{file} cannot be read: {error}") from error


def version_of(text: str) -> str:
    """The fingerprint of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def drafted(text: str, changes: Mapping[str, Value], loaded: Loaded) -> Draft:
    """The text with the changes in it; None takes a setting out, so that its default holds."""
    draft = Draft()
    for name in changes:
        if problem := _unchangeable(name, loaded):
            draft.problems[name] = problem
    if draft.problems:
        return draft
    try:
        draft.text = _edited(text, changes)
        values = tomllib.loads(draft.text)
    except (TOMLKitError, tomllib.TOMLDecodeError, RecursionError, UnicodeError) as error:
        raise NotWritable(
            f"the settings file is damaged; put it right in an editor first ({error})"
        ) from error
    draft.problems = _problems(values, loaded)
    return draft


def write(file: Path, text: str) -> None:
    """Replace the file as a whole: a crash leaves the old one or the new one."""
    real = file.resolve()
    temporary = ""
    try:
        mode = real.stat().st_mode & 0o777 if real.exists() else 0o600
        descriptor, temporary = tempfile.mkstemp(dir=real.parent, prefix=".ringback-", suffix=".toml")
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, mode)
        os.replace(temporary, real)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise NotWritable(f"{file} cannot be written: {error.strerror or error}") from error


def why_not_writable(file: Path) -> str:
    """Empty when it can be replaced."""
    folder = file.resolve().parent
    if not folder.is_dir():
        return f"the folder {folder} is not there"
    return "" if os.access(folder, os.W_OK) else f"this server may not write in {folder}"


def is_fixed(origin: str) -> bool:
    """True for what a flag or a variable sets: the file is not heard."""
    return origin.startswith(("--", "RINGBACK_"))


def _unchangeable(name: str, loaded: Loaded) -> str:
    path = tuple(name.split("."))
    info = setting_at(path)
    if info is None or is_section(info.annotation) or len(path) > 2:
        near = nearest_name(name, [".".join(known) for known, _ in all_settings()])
        return f"there is no setting {name!r}" + (f"; did you mean {near!r}?" if near else "")
    if path in ONLY_BY_HAND:
        return ONLY_BY_HAND[path]
    origin = loaded.origins.get(path, "")
    return f"{origin} sets it, which the file cannot change" if is_fixed(origin) else ""


def _edited(text: str, changes: Mapping[str, Value]) -> str:
    document = tomlkit.parse(text)
    for name, value in changes.items():
        *sections, key = name.split(".")
        table: Any = document
        for section in sections:
            if section not in table:
                if value is None:
                    break
                table[section] = tomlkit.table()
            table = table[section]
        else:
            _put(table, key, value)
    return tomlkit.dumps(document)


def _put(table: Any, key: str, value: Value) -> None:
    """Change a value in its place: the comment behind it stays."""
    if value is None:
        table.pop(key, None)
    elif key in table and hasattr(table[key], "trivia"):
        item = tomlkit.item(value)
        item.trivia.indent = table[key].trivia.indent
        item.trivia.comment_ws = table[key].trivia.comment_ws
        item.trivia.comment = table[key].trivia.comment
        table[key] = item
    else:
        table[key] = value


def _problems(values: dict[str, Any], loaded: Loaded) -> Problems:
    """What the server would say of these values. Those that flags and variables set lie on top."""
    for path, _ in all_settings():
        if is_fixed(loaded.origins.get(path, "")):
            table = values.setdefault(path[0], {}) if len(path) > 1 else values
            if isinstance(table, dict):
                table[path[-1]] = plain(value_at(loaded.settings, path))
    wrap_single_values(values)
    try:
        settings = Settings.model_validate_json(
            json.dumps(values, default=lambda value: [str(value)]), strict=True
        )
    except ValidationError as error:
        return dict(_found(error))
    return {".".join(path): f"{'.'.join(path)} {sentence}" for path, sentence in contradictions(settings)}


def _found(error: ValidationError) -> Iterator[tuple[str, str]]:
    """A list that is short only because its elements are wrong is not called short."""
    details = error.errors(include_url=False)
    around_wrong_elements = {detail["loc"][:-1] for detail in details}
    for detail in details:
        path = tuple(detail["loc"])
        if detail["type"] != "too_short" or path not in around_wrong_elements:
            name = ".".join(part for part in path if isinstance(part, str))
            yield name, explain(path, detail) if path else str(detail["msg"])


def plain(value: object) -> Value:
    """A value as JSON and TOML know it."""
    if isinstance(value, tuple):
        return [str(each) for each in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)
