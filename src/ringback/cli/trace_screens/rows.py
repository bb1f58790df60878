# SPDX-License-Identifier: Apache-2.0
"""How are thousands of rows shown and walked through? Only those that are seen are painted.

Rows are painted by a `Painter`; all are equally high. What is painted is `rich` text, never markup.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol

from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip


class Painter(Protocol):
    """What is shown: so many rows, so high, so wide (0: as wide as the screen)."""

    @property
    def count(self) -> int: ...
    @property
    def height(self) -> int: ...
    @property
    def width(self) -> int: ...
    def paint(self, place: int, width: int) -> Sequence[Text]: ...


class Nothing:
    """No rows."""

    count, height, width = 0, 1, 0

    def paint(self, place: int, width: int) -> Sequence[Text]:
        return ()


class Rows(ScrollView, can_focus=True):
    """A list with a cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("pagedown,ctrl+f", "page(1)", "Page down", show=False),
        Binding("pageup,ctrl+b", "page(-1)", "Page up", show=False),
        Binding("home,g", "go_to(0)", "First", show=False),
        Binding("end,G", "go_to(-1)", "Last", show=False),
        Binding("left", "sideways(-8)", "Left", show=False),
        Binding("right", "sideways(8)", "Right", show=False),
        Binding("enter", "choose", "Show", show=False),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {"rows--cursor"}
    DEFAULT_CSS = """
    Rows { height: 1fr; scrollbar-size-vertical: 1; scrollbar-size-horizontal: 1; }
    Rows > .rows--cursor { background: $boost; }
    Rows:focus > .rows--cursor { background: $primary-muted; }
    """

    class Moved(Message):
        """The cursor stands on another row."""

    class Shifted(Message):
        """The picture moved sideways."""

    class Chosen(Message):
        """Enter, or a second click."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._painter: Painter = Nothing()
        self.cursor = 0

    @property
    def is_at_end(self) -> bool:
        """True where the cursor is on the last row: then it goes with what comes."""
        return self.cursor >= self._painter.count - 1

    def show_rows(self, painter: Painter, cursor: int) -> None:
        """Show these, the cursor on one of them."""
        self._painter = painter
        self.cursor = max(0, min(cursor, painter.count - 1))
        self._measure()
        self._see_cursor()
        self.refresh()

    def move_to(self, place: int) -> None:
        """Put the cursor on a row."""
        place = max(0, min(place, self._painter.count - 1))
        if place != self.cursor:
            self.cursor = place
            self._see_cursor()
            self.refresh()
            self.post_message(self.Moved())

    def render_line(self, y: int) -> Strip:
        left, top = self.scroll_offset
        place, line = divmod(y + top, self._painter.height)
        width = max(self._painter.width, self.size.width)
        if place >= self._painter.count:
            return Strip.blank(self.size.width, self.rich_style)
        lines = self._painter.paint(place, width)
        text = lines[line] if line < len(lines) else Text()
        style = self.rich_style
        if place == self.cursor:
            style += Style(bgcolor=self.get_component_rich_style("rows--cursor").bgcolor)
        strip = Strip(text.render(self.app.console)).adjust_cell_length(width)
        return strip.apply_style(style).crop(left, left + self.size.width)

    def watch_scroll_x(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_x(old_value, new_value)
        self.post_message(self.Shifted())

    def action_move(self, by: int) -> None:
        self.move_to(self.cursor + by)

    def action_page(self, by: int) -> None:
        self.move_to(self.cursor + by * max(1, self.size.height // self._painter.height - 1))

    def action_go_to(self, place: int) -> None:
        self.move_to(place if place >= 0 else self._painter.count - 1)

    def action_sideways(self, by: int) -> None:
        self.scroll_to(x=self.scroll_offset.x + by, animate=False)

    def action_choose(self) -> None:
        if self._painter.count:
            self.post_message(self.Chosen())

    def on_click(self, event: events.Click) -> None:
        place = (event.y + self.scroll_offset.y) // self._painter.height
        if place < self._painter.count:
            was = self.cursor
            self.move_to(place)
            if was == place:
                self.action_choose()

    def on_resize(self) -> None:
        self._measure()
        self._see_cursor()

    def _measure(self) -> None:
        self.virtual_size = Size(self._painter.width, self._painter.count * self._painter.height)

    def _see_cursor(self) -> None:
        height = self._painter.height
        region = Region(self.scroll_offset.x, self.cursor * height, 1, height)
        self.scroll_to_region(region, animate=False, force=True, x_axis=False)
