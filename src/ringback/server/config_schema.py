# SPDX-License-Identifier: Apache-2.0
"""Which names and types do the settings classes have? Asked by the reader, the errors and the reference
page.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from ringback.server.config import Settings


def all_settings() -> Iterator[tuple[tuple[str, ...], FieldInfo]]:
    """Every setting with its path, those at the top first."""
    sections: list[tuple[str, type[BaseModel]]] = []
    for name, info in Settings.model_fields.items():
        if (section := section_class(info.annotation)) is not None:
            sections.append((name, section))
        else:
            yield (name,), info
    for name, section in sections:
        for key, info in section.model_fields.items():
            yield (name, key), info


def setting_at(path: tuple[str | int, ...]) -> FieldInfo | None:
    """The field at a path; indexes of list elements are passed over."""
    fields, info = Settings.model_fields, None
    for part in path:
        if isinstance(part, int):
            continue
        info = fields.get(part)
        if info is None:
            return None
        section = section_class(info.annotation)
        fields = section.model_fields if section else {}
    return info


def annotation_at(path: tuple[str | int, ...]) -> object | None:
    """The bare type of the setting at a path: int, str, tuple[...], a section; None when there is none."""
    info = setting_at(path)
    return None if info is None else bare(info.annotation)


def section_class(annotation: object) -> type[BaseModel] | None:
    """The class of a section, None for a plain setting."""
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def is_section(annotation: object) -> bool:
    return section_class(annotation) is not None


def is_list(annotation: object) -> bool:
    return get_origin(annotation) is tuple


def bare(annotation: object) -> object:
    """Path | None is Path, Annotated[int, ...] is int."""
    if get_origin(annotation) in (Union, UnionType):
        annotation = next(member for member in get_args(annotation) if member is not NoneType)
    if hasattr(annotation, "__metadata__"):
        return bare(get_args(annotation)[0])
    return annotation


def bounds(info: FieldInfo) -> tuple[object | None, object | None]:
    """The least and the greatest value a number may have."""
    low = high = None
    for rule in info.metadata:
        low = getattr(rule, "ge", getattr(rule, "gt", low))
        high = getattr(rule, "le", getattr(rule, "lt", high))
    return low, high
