# SPDX-License-Identifier: Apache-2.0
"""Which calls are there? The list, live, with the keys of sngrep."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, cast

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Footer, Static

from ringback.cli.text import printable
from ringback.cli.trace_calls import CALLS_ONLY, Filter, Line
from ringback.cli.trace_screens.call_rows import CallRows, heading
from ringback.cli.trace_screens.dialogs import FilterDialog, KeysDialog
from ringback.cli.trace_screens.finding import Finding
from ringback.cli.trace_screens.ladder_screen import LadderScreen
from ringback.cli.trace_screens.reading import Reading, raw_messages
from ringback.cli.trace_screens.rows import Rows
from ringback.cli.trace_source import Flow

if TYPE_CHECKING:
    from ringback.cli.trace_screens.app import TraceApp

KEYS = """\
arrows       walk through the calls (also PgUp PgDn Home End)
Enter        the ladder of the call, or of all that are marked
Space        mark a call, to see several in one flow
F7 f /       show only some: from, to, method, words
a            all methods, or calls only
F3           search; n finds the next
F2 s         save as pcap, text, page or JSON
F5           clear: only what begins from now on
F6 r         the raw messages
p            pause, and go on
q Esc        end"""


class ListScreen(Finding):
    """The calls that fit the filter, the newest at the bottom."""

    CSS = """
    ListScreen > #heading { height: 1; background: $boost; text-style: bold; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "show", "Show", show=False),
        Binding("space", "mark", "Mark", key_display="Space"),
        Binding("f1,h,question_mark", "keys", "Keys", key_display="F1"),
        Binding("f2,s", "save", "Save", key_display="F2"),
        Binding("f3", "search", "Find", key_display="F3"),
        Binding("n", "search_on", "Next", show=False),
        Binding("f5,ctrl+l", "clear", "Clear", key_display="F5"),
        Binding("f6,r", "raw", "Raw", key_display="F6"),
        Binding("f7,f,slash", "filter", "Filter", key_display="F7"),
        Binding("a", "all", "All", show=False),
        Binding("p", "pause", "Pause", show=False),
        Binding("escape,q", "app.quit", "Quit", key_display="q"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._lines: list[Line] = []
        self._marked: set[str] = set()

    @property
    def _app(self) -> TraceApp:
        return cast("TraceApp", self.app)

    def compose(self) -> ComposeResult:
        yield Static(classes="title", id="title")
        yield Static(id="heading")
        yield Rows(id="calls")
        yield Static(classes="empty", markup=False)
        yield Footer()

    def on_mount(self) -> None:
        """The keys go to the list."""
        self._rows.focus()
        self.heard(set())

    def on_resize(self) -> None:
        """Columns have other widths."""
        self.query_one("#heading", Static).update(heading(self.size.width - 1))

    def heard(self, call_ids: set[str]) -> None:
        """Something is new. The cursor stays on its call; at the end it goes with what comes."""
        rows, key = self._rows, self._key
        was_at_end = rows.is_at_end
        self._lines = self._app.table.lines(self._app.wanted)
        places = {line.call_id: place for place, line in enumerate(self._lines)}
        self._marked &= places.keys()
        place = len(self._lines) - 1 if was_at_end else places.get(key, rows.cursor)
        rows.show_rows(CallRows(self._lines, self._marked), place)
        self._show_state()

    def action_show(self) -> None:
        self._with_flow(lambda flow: self.app.push_screen(LadderScreen(flow)))

    def on_rows_chosen(self) -> None:
        """Enter on a line."""
        self.action_show()

    def action_mark(self) -> None:
        if self._key:
            self._marked ^= {self._key}
            self._rows.refresh()
            self._rows.action_move(1)
            self._show_state()

    def action_raw(self) -> None:
        def show(flow: Flow) -> None:
            title = Text(f"{len(flow.messages)} messages")
            self.app.push_screen(Reading(title, raw_messages(flow.messages)))

        self._with_flow(show)

    def action_save(self) -> None:
        self._with_flow(self._app.ask_for_file)

    def action_clear(self) -> None:
        self._app.clear_calls()

    def action_pause(self) -> None:
        self._app.is_paused = not self._app.is_paused
        self._show_state()

    def action_all(self) -> None:
        now = self._app.wanted
        method = "" if now.method == CALLS_ONLY else CALLS_ONLY
        self._show_only(Filter(now.caller, now.callee, method, now.words))

    def action_filter(self) -> None:
        self.app.push_screen(FilterDialog(self._app.wanted), self._show_only)

    def action_keys(self) -> None:
        self.app.push_screen(KeysDialog(KEYS))

    def _count(self) -> int:
        return len(self._lines)

    def _here(self) -> int:
        return self._rows.cursor

    def _letters(self, place: int) -> str:
        return self._lines[place].words

    def _go(self, place: int) -> None:
        self._rows.move_to(place)

    @property
    def _rows(self) -> Rows:
        return self.query_one("#calls", Rows)

    @property
    def _key(self) -> str:
        place = self._rows.cursor
        return self._lines[place].call_id if place < len(self._lines) else ""

    def _show_only(self, wanted: Filter | None) -> None:
        if wanted is not None:
            self._app.wanted = wanted
            self.heard(set())
            self._app.reload()

    def _with_flow(self, use: Callable[[Flow], object]) -> None:
        """With the calls that are marked, or the one under the cursor."""
        calls = [line.call_id for line in self._lines if line.call_id in self._marked] or [self._key]

        async def ask() -> None:
            flow = await self._app.asked(lambda: self._app.source.flow(calls))
            if flow is not None:
                use(flow)
            self._show_state()

        if calls[0]:
            self.run_worker(ask(), group="flow", exclusive=True)

    def _show_state(self) -> None:
        app = self._app
        title = Text(no_wrap=True, overflow="ellipsis")
        title.append("ringback trace", "bold").append(f"  {printable(app.wanted.described)}  ")
        title.append(f"{len(self._lines)} shown")
        if app.wanted.method == CALLS_ONLY and (others := self._others()):
            title.append(f", a shows {others} others")
        if self._marked:
            title.append(f", {len(self._marked)} marked", "bold yellow")
        if app.is_paused:
            title.append("  PAUSED", "bold yellow")
        if app.trouble:
            title.append("  ").append(f" {app.trouble} ", "bold white on red")
        self.query_one("#title", Static).update(title)
        empty = self.query_one(".empty", Static)
        empty.display = not self._lines
        self._rows.display = bool(self._lines)
        if not self._lines:
            empty.update(self._why_empty())
        elif self.focused is None:
            self._rows.focus()

    def _others(self) -> int:
        """What is hidden since it is no call."""
        wanted = self._app.wanted
        everything = Filter(wanted.caller, wanted.callee, "", wanted.words)
        return len(self._app.table.lines(everything)) - len(self._lines)

    def _why_empty(self) -> str:
        if others := self._others():
            return f"No call, but {others} others: a shows them."
        return "No call that fits.  This list is live: calls appear here as they begin."
