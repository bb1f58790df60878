# SPDX-License-Identifier: Apache-2.0
"""Every key of a TOML text is found where it stands, in texts laid out in any way TOML allows."""

import tomllib
from dataclasses import dataclass, field
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from ringback.server.toml_positions import KeyPath, Place, Position, toml_positions


def at(line: int, key: int, value: int) -> Place:
    return Place(Position(line, key), Position(line, value))


def test_keys_and_values_of_tables_have_their_places() -> None:
    text = '[sip]\ndomain = "a.example" # home\nports = [\n  5060,\n  5061 ]\n'
    assert toml_positions(text) == {
        ("sip",): at(1, 2, 2),
        ("sip", "domain"): at(2, 1, 10),
        ("sip", "ports"): at(3, 1, 9),
        ("sip", "ports", 0): at(4, 3, 3),
        ("sip", "ports", 1): at(5, 3, 3),
    }


def test_dotted_quoted_and_inline_keys_are_one_path() -> None:
    text = 'a."b c" . \'d\' = { e = 1, "\\u0066".g = [ {h = 2} ] }'
    assert toml_positions(text) == {
        ("a",): at(1, 1, 1),
        ("a", "b c"): at(1, 1, 1),
        ("a", "b c", "d"): at(1, 1, 17),
        ("a", "b c", "d", "e"): at(1, 19, 23),
        ("a", "b c", "d", "f"): at(1, 26, 26),
        ("a", "b c", "d", "f", "g"): at(1, 26, 39),
        ("a", "b c", "d", "f", "g", 0): at(1, 41, 41),
        ("a", "b c", "d", "f", "g", 0, "h"): at(1, 42, 46),
    }


def test_arrays_of_tables_count_their_elements() -> None:
    text = "[[a]]\nx = 1\n[[a.b]]\ny = 2\n[[a]]\n[a.c]\nz = 3\n"
    found = toml_positions(text)
    assert found[("a", 0, "x")] == at(2, 1, 5)
    assert found[("a", 0, "b", 0, "y")] == at(4, 1, 5)
    assert found[("a", 1, "c", "z")] == at(7, 1, 5)


def test_strings_hide_what_looks_like_toml() -> None:
    text = 'a = "x # [no]\\" y"\nb = """\n[no]\nc = 1 \\""" ""\n""""\nd = \'\'\'\ne = 1\'\'\'\'\'\nf = 1\n'
    tomllib.loads(text)
    assert set(toml_positions(text)) == {("a",), ("b",), ("d",), ("f",)}
    assert toml_positions(text)[("f",)] == at(8, 1, 5)


def test_windows_line_ends_count_once() -> None:
    assert toml_positions("a = 1\r\nb = 2\r\n")[("b",)] == at(2, 1, 5)


def paths(value: Any, prefix: KeyPath = ()) -> set[KeyPath]:
    """All paths of a parsed document."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found: set[KeyPath] = {prefix} if prefix else set()
    return found.union(*(paths(inner, (*prefix, key)) for key, inner in parts))


@dataclass
class Printer:
    """Prints a document with random spacing, and remembers where it put things."""

    space: Any
    text: str = ""
    places: dict[KeyPath, Place] = field(default_factory=dict)

    def here(self) -> Position:
        return Position(self.text.count("\n") + 1, len(self.text) - self.text.rfind("\n"))

    def blank(self) -> None:
        self.text += self.space(("", " ", "\t", "  "))

    def gap(self) -> None:
        self.text += self.space(("", " ", "\n", ' # ] } = "\n', "\t\n\n"))

    def document(self, value: dict[str, Any]) -> None:
        tables = {key: inner for key, inner in value.items() if isinstance(inner, dict)}
        for key, inner in value.items():
            if key not in tables:
                self.gap()
                self.pair((key,), inner)
                self.text += "\n"
        for key, inner in tables.items():
            self.gap()
            self.text += "["
            self.blank()
            header = self.here()
            self.places[(key,)] = Place(header, header)
            self.key(key)
            self.text += "]\n"
            for name, value_in_table in inner.items():
                self.gap()
                self.pair((key, name), value_in_table)
                self.text += "\n"

    def pair(self, path: KeyPath, value: Any) -> None:
        key = self.here()
        self.key(str(path[-1]))
        self.blank()
        self.text += "="
        self.blank()
        self.places[path] = Place(key, self.here())
        self.value(path, value)

    def key(self, key: str) -> None:
        self.text += key if key.isascii() and key.isalnum() else f'"{escaped(key)}"'

    def value(self, path: KeyPath, value: Any) -> None:
        if isinstance(value, dict):
            self.text += "{"
            for index, (key, inner) in enumerate(value.items()):
                self.text += "," if index else ""
                self.blank()
                self.pair((*path, key), inner)
            self.text += "}"
        elif isinstance(value, list):
            self.text += "["
            for index, inner in enumerate(value):
                self.gap()
                self.places[(*path, index)] = Place(self.here(), self.here())
                self.value((*path, index), inner)
                self.gap()
                self.text += ","
            self.text += "]"
        else:
            self.text += f'"{escaped(value)}"' if isinstance(value, str) else str(value).lower()


def escaped(text: str) -> str:
    """A TOML basic string's inside."""
    return "".join(
        character if character.isprintable() and character not in '"\\' else f"\\U{ord(character):08x}"
        for character in text
    )


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
values = st.recursive(
    st.booleans() | st.integers(-(2**62), 2**62) | texts | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(texts, values, max_size=5), st.randoms(use_true_random=False))
def test_any_document_however_spaced_gives_back_every_place(document: dict[str, Any], chance: Any) -> None:
    printer = Printer(chance.choice)
    printer.document(document)
    assert paths(tomllib.loads(printer.text)) == set(printer.places)
    assert toml_positions(printer.text) == printer.places


@given(st.text("abc.=[]{}\"'\\#, \t\n\r15-_", max_size=60))
@example('"""' * 3)
@example("a=" + "[" * 30)
def test_any_text_is_scanned_to_its_end_and_valid_toml_completely(text: str) -> None:
    found = toml_positions(text)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    assert paths(document) <= set(found)


def test_deep_nesting_ends_the_scan_and_not_the_program() -> None:
    assert isinstance(toml_positions("a = " + "[" * 100_000), dict)
