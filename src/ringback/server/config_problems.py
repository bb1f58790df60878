# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a setting, said so that its owner can put it right: the rule, the value, the nearest
name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, get_args

from ringback.server.config_schema import (
    all_settings,
    annotation_at,
    bare,
    bounds,
    is_list,
    section_class,
    setting_at,
)

MAX_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. `place` is file:line:column, a variable or a flag."""

    place: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.place}: {self.sentence}"

    def order(self) -> tuple[str, list[int], str]:
        """From the top of the file to its end."""
        file, _, _ = self.place.partition(":")
        return file, [int(number) for number in re.findall(r":([0-9]{1,9})", self.place)], self.sentence


def explain(path: tuple[str | int, ...], detail: Mapping[str, Any]) -> str:
    """A sentence for one finding of pydantic's."""
    name = _dotted(path)
    if detail["type"] == "extra_forbidden":
        return _unknown(path)
    if detail["type"] == "value_error":
        return f"{name}: {detail['ctx']['error']}"
    sentence = f"{name} must be {_expectation(path, detail)}, not {_shown(detail.get('input'))}"
    return sentence + _nearest_value(path, detail)


def nearest_name(wrong: str, names: Iterable[str]) -> str:
    """The name somebody probably meant; empty when none is near."""
    near = get_close_matches(wrong, list(names), n=1, cutoff=0.6)
    return near[0] if near else ""


def _unknown(path: tuple[str | int, ...]) -> str:
    """An unknown name: the nearest one beside it, else the same name in another section."""
    wrong, around = str(path[-1]), path[:-1]
    kind = "setting" if around else "section or setting"
    sentence = f"there is no {kind} {_dotted(path)!r}"
    beside = [str(known[-1]) for known, _ in all_settings() if known[:-1] == around]
    if not around:
        beside += sorted({known[0] for known, _ in all_settings() if len(known) > 1})
    if near := nearest_name(wrong, beside):
        return f"{sentence}; did you mean {near!r}?"
    for known, _ in all_settings():
        if known[-1] == wrong or "_".join(known) == wrong:
            return (
                f"{sentence}; did you mean {known[-1]!r} in [{known[0]}]?"
                if len(known) > 1
                else f"{sentence}; {wrong!r} stands above all sections"
            )
    if near := nearest_name(wrong, [known[-1] for known, _ in all_settings()]):
        section = next(known[0] for known, _ in all_settings() if known[-1] == near)
        return f"{sentence}; did you mean {near!r} in [{section}]?"
    return f"{sentence}; {_choices(beside)}" if beside else sentence


def _expectation(path: tuple[str | int, ...], detail: Mapping[str, Any]) -> str:
    info, kind = setting_at(path), annotation_at(path)
    if detail["type"] in ("too_short", "too_long") and info is not None:
        return "a list of " + _length(info.metadata)
    if info is None or section_class(kind) is not None:
        return f"a table, written as [{path[0]}]"
    inside_list = isinstance(path[-1], int)
    if is_list(kind) and not inside_list:
        return "a list of texts in quotes"
    allowed = get_args(bare(get_args(kind)[0] if is_list(kind) else kind))
    if detail["type"] == "literal_error":
        return "one of " + ", ".join(f'"{word}"' for word in allowed)
    words = {int: "a whole number", float: "a number", bool: "true or false"}
    text = (
        words.get(kind, "a text in quotes")
        if isinstance(kind, type) and not inside_list
        else "a text in quotes"
    )
    low, high = bounds(info)
    return (
        f"{text} from {low} to {high}"
        if low is not None and high is not None and kind in (int, float)
        else text
    )


def _length(metadata: Iterable[object]) -> str:
    low = next((rule.min_length for rule in metadata if hasattr(rule, "min_length")), 0)
    high = next((rule.max_length for rule in metadata if hasattr(rule, "max_length")), None)
    return f"{low} to {high} entries" if high is not None else f"at least {low} entry"


def _nearest_value(path: tuple[str | int, ...], detail: Mapping[str, Any]) -> str:
    if detail["type"] != "literal_error" or not isinstance(detail.get("input"), str):
        return ""
    kind = annotation_at(path)
    allowed = [str(word) for word in get_args(bare(get_args(kind)[0] if is_list(kind) else kind))]
    lower = {word.lower(): word for word in allowed}
    near = nearest_name(str(detail["input"]).lower(), lower)
    return f'; did you mean "{lower[near]}"?' if near else ""


def _dotted(path: tuple[str | int, ...]) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _shown(value: object) -> str:
    text = {True: "true", False: "false"}[value] if isinstance(value, bool) else repr(value).replace("'", '"')
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 3] + "..."


def _choices(names: list[str]) -> str:
    return "there are: " + ", ".join(names)
