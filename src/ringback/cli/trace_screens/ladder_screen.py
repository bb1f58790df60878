# SPDX-License-Identifier: Apache-2.0
"""What happened in this call? Its ladder, each message beside it, and what went wrong on a key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, cast

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical, VerticalScroll
from textual.widgets import Footer, Static

from ringback.cli.trace_screens.dialogs import KeysDialog
from ringback.cli.trace_screens.finding import Finding
from ringback.cli.trace_screens.ladder_rows import COLOURINGS, Drawing
from ringback.cli.trace_screens.reading import Reading, raw_messages
from ringback.cli.trace_screens.rows import Rows
from ringback.cli.trace_screens.words import explanation_text, headline, lane_text, message_text, title_of
from ringback.cli.trace_source import Flow, flow_of

if TYPE_CHECKING:
    from ringback.cli.trace_screens.app import TraceApp

#: From how wide a screen the text stands beside the ladder; on narrower ones t shows it below.
WIDE = 110
#: From how high a screen an arrow has two lines.
HIGH = 36
#: The sound of a call that is on is asked for so often, in seconds.
SOUND_PACE = 3.0

KEYS = """\
arrows       walk through the messages, move a wide picture
Enter        the whole message
F6 r         all messages, raw
e v F4       what went wrong, and who decided what
c F7         colours by kind, by call, by transaction
F5 k         an arrow on one line, or on two
t            the text of the message beside the ladder
9 0          more or less room for it
F3 /         search in the messages; n finds the next
F2 s         save as pcap, text, page or JSON
q Esc        back to the list

×3 was sent three times. ! marks what a verdict rests on."""


class Painted:
    """A drawing for `Rows`."""

    def __init__(self, drawing: Drawing) -> None:
        self._drawing = drawing
        self.count, self.height, self.width = len(drawing.rows), drawing.height, drawing.width

    def paint(self, place: int, width: int) -> Sequence[Text]:
        return self._drawing.paint(place)


class LadderScreen(Finding):
    """The ladder of one flow. A call that is on goes on being drawn."""

    CSS = """
    LadderScreen > .verdict { height: 1; padding: 0 1; }
    LadderScreen > #both { height: 1fr; layout: horizontal; }
    LadderScreen.narrow > #both { layout: vertical; }
    LadderScreen #ladder { width: 1fr; height: 1fr; }
    LadderScreen #names { height: 2; text-wrap: nowrap; text-overflow: clip; }
    LadderScreen #side { width: 40%; height: 100%; border-left: solid $primary-darken-2; padding: 0 1; }
    LadderScreen.narrow #side {
        width: 100%; height: 45%; border-left: none; border-top: solid $primary-darken-2;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f1,h,question_mark", "keys", "Keys", key_display="F1"),
        Binding("f2,s", "save", "Save", key_display="F2"),
        Binding("f3,slash", "search", "Find", key_display="F3"),
        Binding("n", "search_on", "Next", show=False),
        Binding("e,v,f4", "explain", "Why", key_display="e"),
        Binding("f5,k", "compress", "Lines", key_display="F5"),
        Binding("f6,r", "raw", "Raw", key_display="F6"),
        Binding("c,f7", "colour", "Colour", key_display="c"),
        Binding("t", "text", "Text"),
        Binding("9", "share(5)", "More text", show=False),
        Binding("0", "share(-5)", "Less text", show=False),
        Binding("escape,q", "app.pop_screen", "Back", key_display="Esc"),
    ]

    def __init__(self, flow: Flow) -> None:
        super().__init__()
        self._flow = flow
        self._drawing = Drawing(flow, width=80)
        self._colouring = 0
        self._is_tall: bool | None = None
        self._has_text: bool | None = None
        self._share = 40

    @property
    def _app(self) -> TraceApp:
        return cast("TraceApp", self.app)

    def compose(self) -> ComposeResult:
        yield Static(classes="title", id="title")
        yield Static(classes="verdict")
        with Container(id="both"):
            with Vertical(id="ladder"):
                yield Static(id="names")
                yield Rows(id="arrows")
            with VerticalScroll(id="side", can_focus=False):
                yield Static(id="text")
        yield Footer()

    def on_mount(self) -> None:
        """The keys go to the ladder."""
        self._rows.focus()
        self.set_interval(SOUND_PACE, self._hear_sound)

    def on_resize(self) -> None:
        """Another width is another drawing."""
        self._draw()

    def heard(self, call_ids: set[str]) -> None:
        """Something is new: perhaps in this flow."""
        if call_ids & self._flow.call_ids:
            self._ask()

    def on_rows_moved(self) -> None:
        """The text beside the ladder is that of the row under the cursor."""
        self._show_text()

    def on_rows_shifted(self) -> None:
        """The names stay above their bars."""
        start = self._rows.scroll_offset.x
        lines = [line[start:] for line in self._drawing.head()]
        self.query_one("#names", Static).update(Text("\n", no_wrap=True, overflow="crop").join(lines))

    def on_rows_chosen(self) -> None:
        """Enter on a row."""
        self.app.push_screen(Reading(title_of(self._flow.calls[0]), [self._text()]))

    def action_raw(self) -> None:
        title = Text(f"{len(self._flow.messages)} messages")
        self.app.push_screen(Reading(title, raw_messages(self._flow.messages)))

    def action_explain(self) -> None:
        self.app.push_screen(
            Reading(Text("What went wrong, and who decided what"), [explanation_text(self._flow)])
        )

    def action_save(self) -> None:
        self._app.ask_for_file(self._flow)

    def action_keys(self) -> None:
        self.app.push_screen(KeysDialog(KEYS))

    def action_colour(self) -> None:
        self._colouring = (self._colouring + 1) % len(COLOURINGS)
        self._draw()
        self.notify(f"Colours by {COLOURINGS[self._colouring]}", timeout=2, markup=False)

    def action_compress(self) -> None:
        self._is_tall = self._drawing.height == 1
        self._draw()

    def action_text(self) -> None:
        self._has_text = not self.query_one("#side").display
        self._draw()

    def action_share(self, by: int) -> None:
        self._share = min(75, max(20, self._share + by))
        self._draw()

    def _count(self) -> int:
        return len(self._drawing.rows)

    def _here(self) -> int:
        return self._rows.cursor

    def _letters(self, place: int) -> str:
        return self._text(place).plain

    def _go(self, place: int) -> None:
        self._rows.move_to(place)

    @property
    def _rows(self) -> Rows:
        return self.query_one("#arrows", Rows)

    def _hear_sound(self) -> None:
        if not self._app.is_paused and any(call.is_on for call in self._flow.calls):
            self._ask()

    def _ask(self) -> None:
        calls = [call.call_id for call in self._flow.calls]

        async def ask() -> None:
            flow = await self._app.asked(lambda: self._app.source.flow(calls))
            if flow is not None:
                before = {call.call_id: call for call in self._flow.calls}
                self._flow = flow_of([call.after(before.get(call.call_id)) for call in flow.calls])
                self._draw()

        self.run_worker(ask(), group="flow", exclusive=True)

    def _draw(self) -> None:
        """Anew, the cursor where it was; at the end it goes with what comes."""
        if not self.is_mounted:
            return
        size = self.size
        is_narrow = size.width < WIDE
        self.set_class(is_narrow, "narrow")
        side = self.query_one("#side")
        side.display = not is_narrow if self._has_text is None else self._has_text
        side.styles.width = "100%" if is_narrow else f"{self._share}%"
        width = size.width - 1
        if side.display and not is_narrow:
            width -= size.width * self._share // 100
        follows = self._rows.cursor > 0 and self._rows.is_at_end
        is_tall = size.height >= HIGH if self._is_tall is None else self._is_tall
        colouring = COLOURINGS[self._colouring]
        self._drawing = Drawing(self._flow, width=width, is_tall=is_tall, colouring=colouring)
        cursor = len(self._drawing.rows) - 1 if follows else self._rows.cursor
        self._rows.show_rows(Painted(self._drawing), cursor)
        self._show_head()
        self._show_text()

    def _show_head(self) -> None:
        calls = self._flow.calls
        title = title_of(calls[0]) if len(calls) == 1 else Text(f"{len(calls)} calls in one flow", "bold")
        self.query_one("#title", Static).update(title)
        verdict = self.query_one(".verdict", Static)
        line = headline(self._flow)
        verdict.display = bool(line)
        verdict.update(line)
        self.on_rows_shifted()

    def _show_text(self) -> None:
        self.query_one("#text", Static).update(self._text())
        self.query_one("#side", VerticalScroll).scroll_home(animate=False)

    def _text(self, place: int | None = None) -> Text:
        """Of a message, or of a lane."""
        rows = self._drawing.rows
        place = self._rows.cursor if place is None else place
        if place >= len(rows):
            return Text("No message of this call is kept.")
        row = rows[place]
        if row.arrow is None:
            return lane_text(row.lane or {})
        return message_text(self._flow.messages[row.arrow["index"]], row.arrow["note"])
