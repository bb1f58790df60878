# SPDX-License-Identifier: Apache-2.0
"""The reference of all settings (`docs/settings.md`), printed from the classes in `config.py`.

`ringback config reference > docs/settings.md` writes it; a test holds the page to what this prints.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from ringback.server.config import Settings
from ringback.server.config_file import FLAGS
from ringback.server.config_schema import bare, bounds, is_list, section_class
from ringback.server.reload import LIVE_SECTIONS

WORDS: dict[type, str] = {int: "a whole number", float: "a number", bool: "true or false", Path: "a path"}

HEAD = """# Settings

Every setting has a default: a server starts without any file. What is set in several places is taken from the
first of these:

1. the flag of `ringback serve`, for the settings that have one,
2. the environment: `RINGBACK_SIP__DOMAIN` for `domain` in `[sip]`; the settings with a flag also have a short
   name, such as `RINGBACK_DOMAIN`; lists are written with commas,
3. the file: the one named with `--config` or `RINGBACK_CONFIG`, else `ringback.toml` in the data directory,
   else `/etc/ringback/ringback.toml`,
4. the default.

`ringback config check FILE` says what is wrong with a file, with line and column. `ringback reload` (or
SIGHUP) reads the settings again; a file with a mistake changes nothing. Sections that need a restart say so.

This page is printed by `ringback config reference`; its text stands in `server/config.py`.
"""


def settings_page() -> str:
    """The whole page in Markdown."""
    return "\n".join([HEAD, *_sections()]).rstrip() + "\n"


def _sections() -> Iterator[str]:
    plain = {
        name: info for name, info in Settings.model_fields.items() if section_class(info.annotation) is None
    }
    yield "## Above all sections\n"
    yield "A change needs a restart.\n"
    for name, info in plain.items():
        yield _setting((name,), info)
    for name, info in Settings.model_fields.items():
        section = section_class(info.annotation)
        if section is not None:
            yield from _section(name, section)


def _section(name: str, section: type[BaseModel]) -> Iterator[str]:
    yield f"## [{name}]\n"
    when = "A change takes effect with a reload." if name in LIVE_SECTIONS else "A change needs a restart."
    yield f"{_one_line(section.__doc__)} {when}\n"
    for key, info in section.model_fields.items():
        yield _setting((name, key), info)


def _setting(path: tuple[str, ...], info: FieldInfo) -> str:
    facts = [_kind(info), f"default `{_default(info.default)}`"]
    flag = next((flag for flag, target in FLAGS.items() if target == path), None)
    if flag is not None:
        facts.append(f"flag `--{flag.replace('_', '-')}`, variable `RINGBACK_{flag.upper()}`")
    return f"### {'.'.join(path)}\n\n{_one_line(info.description)}\n\n*{'; '.join(facts)}*\n"


def _kind(info: FieldInfo) -> str:
    kind = bare(info.annotation)
    choices = get_args(bare(get_args(kind)[0])) if is_list(kind) else get_args(kind)
    if choices:
        words = ", ".join(f"`{word}`" for word in choices)
        return f"a list of {words}" if is_list(kind) else f"one of {words}"
    if is_list(kind):
        return "a list of texts"
    word = WORDS.get(kind, "a text") if isinstance(kind, type) else "a text"
    low, high = bounds(info)
    return f"{word} from {low} to {high}" if low is not None and high is not None else word


def _default(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return "[" + ", ".join(f'"{entry}"' for entry in value) + "]"
    return '""' if value is None else f'"{value}"' if isinstance(value, str) else str(value)


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split())
