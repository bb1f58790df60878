# SPDX-License-Identifier: Apache-2.0
"""How settings are found and put together: flag, then environment, then file, then default.

Everything that is wrong is told at once, each problem with the place it stands at (file:line:column, the
name of the variable, the flag), what is wrong, and what would be right.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ringback.server.config import Settings, contradictions
from ringback.server.config_problems import Problem, explain, nearest_name
from ringback.server.config_schema import all_settings, annotation_at, is_list, is_section
from ringback.server.toml_positions import KeyPath, Place, Position, toml_positions
from ringback.sip.errors import RingbackError

MAX_FILE = 1_048_576

#: The flags of `ringback serve`, each also a variable: --sip-port and RINGBACK_SIP_PORT set sip.port.
FLAGS: dict[str, tuple[str, ...]] = {
    "data": ("data",),
    "domain": ("sip", "domain"),
    "host": ("sip", "host"),
    "advertise": ("sip", "advertise"),
    "sip_port": ("sip", "port"),
    "tls_port": ("sip", "tls_port"),
    "http_port": ("web", "http_port"),
    "https_port": ("web", "https_port"),
    "log_level": ("log", "level"),
    "trace": ("log", "trace_file"),
    "workers": ("workers",),
    "demo": ("demo",),
}
#: Variables of ours that are no settings.
OTHER_VARIABLES = frozenset({"RINGBACK_CONFIG", "RINGBACK_KERNEL", "RINGBACK_PASSWORD"})
#: Variables of programs that answer calls (`ringback.ua.app`), which may run beside us.
APP_VARIABLES = "RINGBACK_APP_"
SYSTEM_FILE = Path("/etc/ringback/ringback.toml")


class ConfigurationError(RingbackError):
    """The settings cannot be used; `problems` says all that is wrong."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings, where each one that is not a default came from, and what looks odd but is no error."""

    settings: Settings
    file: Path | None = None
    origins: Mapping[tuple[str, ...], str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass(slots=True)
class _Draft:
    """Values as they were given, one layer over the other."""

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[KeyPath, str] = field(default_factory=dict)  # what a flag or variable set
    places: dict[KeyPath, Place] = field(default_factory=dict)  # what the file set
    file: Path | None = None
    problems: list[Problem] = field(default_factory=list)

    def put(self, path: tuple[str, ...], value: object, origin: str) -> None:
        table = self.values
        for part in path[:-1]:
            inner = table.get(part)
            if not isinstance(inner, dict):
                inner = table[part] = {}
            table = inner
        table[path[-1]] = value
        self.origins[path] = origin

    def where(self, path: KeyPath, *, at_key: bool = False) -> str:
        """The place of a setting, or of the nearest table around it."""
        for length in range(len(path), 0, -1):
            prefix = path[:length]
            if prefix in self.origins:
                return self.origins[prefix]
            if place := self.places.get(prefix):
                return _file_place(self.file, place.key if at_key else place.value)
        return str(self.file or "settings")


def load_settings(
    flags: Mapping[str, object] | None = None, environment: Mapping[str, str] | None = None
) -> Loaded:
    """Settings from all places. `flags` uses the names of FLAGS, and "config" for the file; None means not
    given.
    """
    flags = flags or {}
    environment = os.environ if environment is None else environment
    draft = _Draft()
    file = _file_to_read(flags, environment)
    if file is not None:
        _read_file(draft, file)
    warnings = _read_environment(draft, environment)
    for name, path in FLAGS.items():
        value = flags.get(name)
        if value is not None and value not in ((), ""):
            draft.put(path, _plain(value), f"--{name.replace('_', '-')}")
    return _finished(draft, warnings)


def check_file(file: Path) -> Loaded:
    """One file alone, without environment and flags."""
    draft = _Draft()
    _read_file(draft, file)
    return _finished(draft, [])


def default_data_directory(environment: Mapping[str, str]) -> Path:
    """Where the data is when nobody says where."""
    home = environment.get("XDG_DATA_HOME", "")
    return (Path(home) if home.startswith("/") else Path("~/.local/share").expanduser()) / "ringback"


def _file_to_read(flags: Mapping[str, object], environment: Mapping[str, str]) -> Path | None:
    """The file that was named; else ringback.toml in the data directory; else the one of the system."""
    named = flags.get("config") or environment.get("RINGBACK_CONFIG")
    if named:
        return Path(str(named)).expanduser()
    data = flags.get("data") or environment.get("RINGBACK_DATA") or default_data_directory(environment)
    for file in (Path(str(data)).expanduser() / "ringback.toml", SYSTEM_FILE):
        if file.is_file():
            return file
    return None


def _read_file(draft: _Draft, file: Path) -> None:
    draft.file = file
    try:
        with file.open("rb") as stream:
            raw = stream.read(MAX_FILE + 1)
    except OSError as error:
        raise ConfigurationError(
            [Problem(str(file), f"cannot be read: {error.strerror or error}")]
        ) from error
    if len(raw) > MAX_FILE:
        raise ConfigurationError(
            [Problem(str(file), f"is longer than {MAX_FILE} bytes; this is no settings file")]
        )
    text = _decoded(file, raw)
    try:
        draft.values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError([_syntax_problem(file, text, str(error))]) from error
    except RecursionError as error:
        raise ConfigurationError([Problem(str(file), "has lists or tables nested too deeply")]) from error
    draft.places = toml_positions(text)


def _decoded(file: Path, raw: bytes) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8-sig", "replace")
        position = Position(before.count("\n") + 1, len(before) - before.rfind("\n"))
        problem = Problem(_file_place(file, position), f"the byte 0x{raw[error.start]:02x} is not UTF-8 text")
        raise ConfigurationError([problem]) from error


def _syntax_problem(file: Path, text: str, message: str) -> Problem:
    """tomllib's own words, with the place where we put places."""
    what = message.partition(" (at ")[0]
    found = re.search(r"\(at line ([0-9]+), column ([0-9]+)\)", message)
    normal = text.replace("\r\n", "\n")
    end = Position(normal.count("\n") + 1, len(normal) - normal.rfind("\n"))
    position = Position(int(found[1]), int(found[2])) if found else end
    return Problem(_file_place(file, position), f"this is not TOML: {what[:1].lower()}{what[1:]}")


def _read_environment(draft: _Draft, environment: Mapping[str, str]) -> list[str]:
    """RINGBACK_SIP__DOMAIN and the short forms; a short form wins over the long one."""
    warnings: list[str] = []
    short = {f"RINGBACK_{name.upper()}": path for name, path in FLAGS.items()}
    for variable in sorted(environment, key=lambda name: (name in short, name)):
        text = environment[variable]
        is_ours = variable.startswith("RINGBACK_") and not variable.startswith(APP_VARIABLES)
        if not is_ours or variable in OTHER_VARIABLES or not text:
            continue
        path = short.get(variable) or tuple(variable.removeprefix("RINGBACK_").lower().split("__"))
        annotation = annotation_at(path)
        if annotation is None or is_section(annotation):
            near = nearest_name(variable, [*short, *_long_variables()])
            warnings.append(
                f"{variable} is no setting and is ignored" + (f"; did you mean {near}?" if near else "")
            )
            continue
        draft.put(path, _from_text(annotation, text), variable)
    return warnings


def _long_variables() -> list[str]:
    return ["RINGBACK_" + "__".join(path).upper() for path, _ in all_settings()]


def _from_text(annotation: object, text: str) -> object:
    """The value a text in the environment stands for. What does not fit stays text, and is refused."""
    if is_list(annotation):
        return [part.strip() for part in text.split(",") if part.strip()]
    if annotation is bool:
        words = {
            "1": True,
            "true": True,
            "yes": True,
            "on": True,
            "0": False,
            "false": False,
            "no": False,
            "off": False,
        }
        return words.get(text.strip().lower(), text)
    if annotation is int and re.fullmatch(r"[+-]?[0-9]{1,18}", text.strip()):
        return int(text)
    if annotation is float and re.fullmatch(r"[+-]?[0-9]{1,18}(\.[0-9]{1,18})?", text.strip()):
        return float(text)
    return text


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else str(value) if isinstance(value, Path) else value


def _finished(draft: _Draft, warnings: list[str]) -> Loaded:
    """Validate everything; raise with all problems, or return settings with absolute paths."""
    wrap_single_values(draft.values)
    settings = _validated(draft)
    if settings is not None:
        draft.problems += [
            Problem(draft.where(path), f"{'.'.join(path)} {sentence}")
            for path, sentence in contradictions(settings)
        ]
    if settings is None or draft.problems:
        raise ConfigurationError(sorted(draft.problems, key=Problem.order))
    origins = {tuple(map(str, path)): draft.where(path) for path in (*draft.places, *draft.origins)}
    return Loaded(_with_absolute_paths(settings, draft), draft.file, origins, tuple(warnings))


def _validated(draft: _Draft) -> Settings | None:
    try:
        return Settings.model_validate_json(
            json.dumps(draft.values, default=lambda value: [str(value)]), strict=True
        )
    except ValidationError as error:
        details = error.errors(include_url=False)
        wrong_elements = {detail["loc"][:-1] for detail in details}
        for detail in details:
            path = tuple(detail["loc"])
            if detail["type"] == "too_short" and path in wrong_elements:
                continue  # short only because elements that are wrong were not counted
            place = draft.where(path, at_key=detail["type"] == "extra_forbidden")
            draft.problems.append(Problem(place, explain(path, detail)))
        return None


def wrap_single_values(values: dict[str, Any]) -> None:
    """host = "10.0.0.1" means host = ["10.0.0.1"]."""
    for name, section in values.items():
        for key, value in section.items() if isinstance(section, dict) else ():
            if isinstance(value, str) and is_list(annotation_at((name, key))):
                section[key] = [value]


def _with_absolute_paths(settings: Settings, draft: _Draft) -> Settings:
    """A path in the file is relative to the file; elsewhere to where the program was started."""

    def absolute(path: Path | None, name: KeyPath) -> Path | None:
        if path is None:
            return None
        start = (
            draft.file.parent if draft.file and name in draft.places and name not in draft.origins else Path()
        )
        return (start / path.expanduser()).absolute()

    tls = settings.tls.model_copy(
        update={
            "certificate": absolute(settings.tls.certificate, ("tls", "certificate")),
            "key": absolute(settings.tls.key, ("tls", "key")),
        }
    )
    log = settings.log.model_copy(
        update={"trace_file": absolute(settings.log.trace_file, ("log", "trace_file"))}
    )
    return settings.model_copy(update={"data": absolute(settings.data, ("data",)), "tls": tls, "log": log})


def _file_place(file: Path | None, position: Position) -> str:
    return f"{file}:{position.line}:{position.column}"
