# SPDX-License-Identifier: Apache-2.0
"""What holds the screens of `ringback trace` together? A question a second to the server, and who hears."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, ClassVar, Protocol, TypeVar, runtime_checkable

from textual.app import App
from textual.binding import Binding, BindingType

from ringback.cli.output import Failure
from ringback.cli.text import printable
from ringback.cli.trace_calls import CallTable, Filter
from ringback.cli.trace_saving import save
from ringback.cli.trace_screens.dialogs import LineDialog
from ringback.cli.trace_screens.ladder_screen import LadderScreen
from ringback.cli.trace_screens.list_screen import ListScreen
from ringback.cli.trace_source import Cursor, Flow, Record, TraceSource
from ringback.server.tracing.message import Message
from ringback.sip.errors import RingbackError

Answer = TypeVar("Answer")

#: The server is asked so often what is new, in seconds.
PACE = 1.0
#: Records that are read again when a call has ended, and how long they may take to be written.
FRESH, WRITTEN_AFTER = 50, 3.0


@runtime_checkable
class Hears(Protocol):
    """A screen that shows what is new."""

    def heard(self, call_ids: set[str]) -> None: ...


class TraceApp(App[None]):
    """The screens, the calls, and the filter that is set."""

    TITLE = "ringback trace"
    ENABLE_COMMAND_PALETTE = False
    CSS = """
    .title { height: 1; background: $primary-darken-2; color: $text; padding: 0 1; }
    .state { height: 1; color: $text-muted; padding: 0 1; }
    .empty { height: 1fr; content-align: center middle; color: $text-muted; display: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+c", "quit", "Quit", show=False, priority=True)]

    def __init__(
        self, source: TraceSource, wanted: Filter, *, flow: Flow | None = None, only_new: bool = False
    ) -> None:
        super().__init__()
        self.source = source
        self.wanted = wanted
        self.table = CallTable()
        self.is_paused = False
        self.trouble = ""
        self._flow = flow
        self._since = time.time() if only_new else 0.0
        self._cursor: Cursor | None = None
        self._is_asking = False
        self._records_until = time.monotonic() + WRITTEN_AFTER
        if only_new:
            self.table.clear()

    async def on_mount(self) -> None:
        """The list, and above it the call that was asked for."""
        await self.push_screen(ListScreen())
        if self._flow is not None:
            await self.push_screen(LadderScreen(self._flow))
        self.run_worker(self._first())
        self.set_interval(PACE, self._tick)

    def reload(self) -> None:
        """Ask for all calls anew, since other ones are wanted."""
        self.run_worker(self._load(), group="load", exclusive=True)

    def clear_calls(self) -> None:
        """Only what begins from now on."""
        self._since = time.time()
        self.table.clear()
        self._tell(set())

    async def asked(self, question: Callable[[], Answer]) -> Answer | None:
        """What the server answers; None while it is away, which is said on the screen."""
        try:
            answer = await asyncio.to_thread(question)
        except (Failure, RingbackError, OSError) as error:
            self.trouble = printable(str(error))
            return None
        self.trouble = ""
        return answer

    def ask_for_file(self, flow: Flow) -> None:
        """F2: where the flow goes."""
        name = f"ringback-{time.strftime('%Y%m%d-%H%M%S')}.pcap"
        hint = f"{len(flow.messages)} messages; the ending says what: .pcap .txt .html .json"

        def saved(file: str | None) -> None:
            if file is not None:
                self.notify(f"{len(flow.messages)} messages are in {printable(file)}", markup=False)

        self.push_screen(LineDialog("Save as", name, hint, lambda file: save(flow, file)), saved)

    async def _first(self) -> None:
        """Where what is new begins is asked before what is there, or something would be missed."""
        self._cursor = await self.asked(self.source.now)
        await self._load()

    async def _load(self) -> None:
        wanted, since = self.wanted, self._since
        calls = await self.asked(
            lambda: self.source.calls(caller=wanted.caller, callee=wanted.callee, since=since)
        )
        if calls is not None:
            self.table.load(calls)
        self.table.learn(await self.asked(self.source.records) or [])
        self._tell(set())

    def _tick(self) -> None:
        if not self.is_paused and not self._is_asking:
            self._is_asking = True
            self.run_worker(self._hear(), group="hear")

    async def _hear(self) -> None:
        try:
            if self._cursor is None:
                await self._first()
                return
            cursor = self._cursor
            answer = await self.asked(lambda: self.source.since(cursor))
            if answer is None:
                self._tell(set())
                return
            messages, self._cursor, is_gap = answer
            heard = self.table.hear(messages)
            if is_gap:
                self.trouble = "more comes than can be shown: some messages are left out"
            self.table.learn(await self._fresh_records(messages))
            self._tell(heard)
        finally:
            self._is_asking = False

    async def _fresh_records(self, messages: list[Message]) -> list[Record]:
        """Of calls that are on, and for a while after the last message also of those that ended."""
        if messages:
            self._records_until = time.monotonic() + WRITTEN_AFTER
        if time.monotonic() > self._records_until:
            return []
        found: list[dict[str, Any]] | None = await self.asked(lambda: self.source.records(size=FRESH))
        return found or []

    def _tell(self, heard: set[str]) -> None:
        for screen in self.screen_stack:
            if isinstance(screen, Hears):
                screen.heard(heard)
