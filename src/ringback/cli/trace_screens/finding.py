# SPDX-License-Identifier: Apache-2.0
"""How are words found on a screen? F3 asks for them, n goes on to the next place that has them."""

from __future__ import annotations

from textual.screen import Screen

from ringback.cli.trace_screens.dialogs import LineDialog


class Finding(Screen[None]):
    """A screen with places in a row, each of which may have the words. Screens say which places."""

    _words = ""

    def action_search(self) -> None:
        """F3."""

        def search(words: str | None) -> None:
            if words is not None:
                self._words = words
                self.action_search_on()

        self.app.push_screen(LineDialog("Search", self._words, "Enter finds it, n finds the next"), search)

    def action_search_on(self) -> None:
        """From behind the place where we are, and around."""
        words, count, here = self._words.lower(), self._count(), self._here()
        places = ((here + 1 + step) % count for step in range(count)) if words else iter(())
        place = next((place for place in places if words in self._letters(place).lower()), None)
        if place is None:
            self.app.bell()
        else:
            self._go(place)

    def _count(self) -> int:
        raise NotImplementedError

    def _here(self) -> int:
        raise NotImplementedError

    def _letters(self, place: int) -> str:
        raise NotImplementedError

    def _go(self, place: int) -> None:
        raise NotImplementedError
