# SPDX-License-Identifier: Apache-2.0
"""Where are whole messages and explanations read? On a screen of text that scrolls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Footer, RichLog, Static

from ringback.cli.trace_screens.finding import Finding
from ringback.cli.trace_screens.words import message_text
from ringback.server.tracing.message import Message

#: Messages on one screen of raw text.
MOST = 500
SCROLLING: list[BindingType] = [
    Binding("down,j", "scroll(1)", "Down", show=False),
    Binding("up,k", "scroll(-1)", "Up", show=False),
    Binding("home,g", "home", "Top", show=False),
    Binding("end,G", "end", "Bottom", show=False),
]


class Reading(Finding):
    """A title, and text below it."""

    CSS = """
    Reading > .title { height: 1; background: $primary-darken-2; color: $text; padding: 0 1; }
    Reading > RichLog { padding: 0 1; scrollbar-size-vertical: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,f6,r,e", "app.pop_screen", "Back", key_display="Esc"),
        Binding("f3,slash", "search", "Search", key_display="F3"),
        Binding("n", "search_on", "Next", show=False),
        *SCROLLING,
    ]

    def __init__(self, title: Text, parts: Sequence[Text]) -> None:
        super().__init__()
        self._title, self._parts = title, parts

    def compose(self) -> ComposeResult:
        yield Static(self._title, classes="title")
        yield RichLog(wrap=True, auto_scroll=False, min_width=20)
        yield Footer()

    def on_mount(self) -> None:
        """Filled once the width is known, and again when it changes."""
        self.query_one(RichLog).focus()

    def on_resize(self) -> None:
        """Lines are broken anew."""
        log = self.query_one(RichLog)
        log.clear()
        for part in self._parts:
            log.write(part, width=max(20, log.scrollable_content_region.width))

    def action_scroll(self, by: int) -> None:
        self.query_one(RichLog).scroll_relative(y=by, animate=False)

    def action_home(self) -> None:
        self.query_one(RichLog).scroll_home(animate=False)

    def action_end(self) -> None:
        self.query_one(RichLog).scroll_end(animate=False)

    def _count(self) -> int:
        return len(self.query_one(RichLog).lines)

    def _here(self) -> int:
        return self.query_one(RichLog).scroll_offset.y

    def _letters(self, place: int) -> str:
        return self.query_one(RichLog).lines[place].text

    def _go(self, place: int) -> None:
        self.query_one(RichLog).scroll_to(y=place, animate=False)


def raw_messages(messages: Sequence[Message]) -> list[Text]:
    """Messages whole, the newest ones where there are too many."""
    left_out = len(messages) - MOST
    parts = [Text(f"{left_out} older messages are left out here\n")] if left_out > 0 else []
    return parts + [message_text(message) for message in messages[-MOST:]]
