# SPDX-License-Identifier: Apache-2.0
"""The reference page in docs/ says what the classes say."""

from pathlib import Path

from ringback.server.config_schema import all_settings
from ringback.server.settings_page import settings_page

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


def test_the_page_in_the_docs_is_the_page_that_is_printed() -> None:
    assert PAGE.read_text() == settings_page(), "run: ringback config reference > docs/settings.md"


def test_every_setting_is_on_the_page_once() -> None:
    page = settings_page()
    for path, _ in all_settings():
        assert page.count(f"### {'.'.join(path)}\n") == 1
