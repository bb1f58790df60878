# SPDX-License-Identifier: Apache-2.0
"""What is asked on top of a screen: which calls, into which file, which words, and what the keys are."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from ringback.cli.output import Failure
from ringback.cli.text import printable
from ringback.cli.trace_calls import Filter

STYLE = """
{0} {{ align: center middle; }}
{0} > .box {{
    width: 66; max-width: 100%; height: auto; max-height: 100%;
    border: round $primary; background: $surface; padding: 0 1;
}}
{0} Input {{ border: none; height: 1; margin: 0 0 1 0; padding: 0 1; background: $boost; }}
{0} Input:focus {{ background: $primary-darken-2; }}
{0} .problem {{ color: $error; }}
{0} .hint {{ color: $text-muted; }}
"""


class FilterDialog(ModalScreen[Filter | None]):
    """F7: who, whom, which methods, which words."""

    CSS = STYLE.format("FilterDialog")
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Back")]
    FIELDS = (
        ("caller", "From (a number, or +4420*)"),
        ("callee", "To"),
        ("method", "Methods, such as INVITE,REGISTER (empty: all)"),
        ("words", "Words anywhere in the line"),
    )

    def __init__(self, now: Filter) -> None:
        super().__init__()
        self._now = now

    def compose(self) -> ComposeResult:
        with Vertical(classes="box") as box:
            box.border_title = "Show only"
            for name, label in self.FIELDS:
                yield Static(label, markup=False)
                yield Input(getattr(self._now, name), id=name, max_length=200)
            yield Static("Enter filters, Tab goes on, Esc leaves it as it is", classes="hint", markup=False)

    def on_input_submitted(self) -> None:
        """Enter in any field."""
        values = {name: self.query_one(f"#{name}", Input).value.strip(" ") for name, _ in self.FIELDS}
        self.dismiss(Filter(**values))


class LineDialog(ModalScreen[str | None]):
    """One question with one line as the answer; a wrong one is asked again."""

    CSS = STYLE.format("LineDialog")
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Back")]

    def __init__(
        self, title: str, value: str, hint: str, attempt: Callable[[str], object] | None = None
    ) -> None:
        super().__init__()
        self._title, self._value, self._hint, self._attempt = title, value, hint, attempt

    def compose(self) -> ComposeResult:
        with Vertical(classes="box") as box:
            box.border_title = self._title
            yield Input(self._value, max_length=4096)
            yield Static("", classes="problem", markup=False)
            yield Static(self._hint, classes="hint", markup=False)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter."""
        try:
            if self._attempt is not None:
                self._attempt(event.value)
        except (Failure, OSError) as error:
            self.query_one(".problem", Static).update(printable(str(error)))
        else:
            self.dismiss(event.value)


class KeysDialog(ModalScreen[None]):
    """F1: what the keys do."""

    CSS = STYLE.format("KeysDialog")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,f1,enter,h,question_mark", "dismiss(None)", "Back")
    ]

    def __init__(self, keys: str) -> None:
        super().__init__()
        self._keys = keys

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="box") as box:
            box.border_title = "Keys"
            yield Static(self._keys, markup=False)
