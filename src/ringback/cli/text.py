# SPDX-License-Identifier: Apache-2.0
"""What others wrote, made safe to print: no byte of a phone's name may steer the terminal it is shown on."""

import unicodedata

#: Categories that are not shown as themselves: controls, formats (bidirectional overrides), surrogates,
#: private use, unassigned, line and paragraph separators.
HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def printable(text: str, *, keep_lines: bool = False) -> str:
    """The same text with everything that is not visible written as an escape."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_visible(character, keep_lines=keep_lines) for character in text)


def _visible(character: str, *, keep_lines: bool) -> str:
    if keep_lines and character == "\n":
        return character
    if unicodedata.category(character) in HIDDEN:
        return character.encode("unicode_escape").decode("ascii")
    return character
