# SPDX-License-Identifier: Apache-2.0
"""Are the pages that a wheel carries small, and do they load nothing from elsewhere?"""

import gzip
import os
import re
from pathlib import Path

import pytest

import ringback.web

STATIC = Path(ringback.web.__file__).parent / "static"
FRONTEND = Path(__file__).parents[2] / "frontend"
KILOBYTE = 1000
#: Gzipped script that a page loads before it shows anything; the console's menu and home page count as well.
BUDGETS = {"index.html": 150, "phone.html": 200, "guest.html": 200}
HOME_PAGES = ("Home",)

IMPORTED = re.compile(r"""(?:from|import)\s*["']\./([\w.-]+\.js)["']""")
LOADED = re.compile(r"""(?:src|href)="/(assets/[\w.-]+\.js)\"""")
OUTSIDE = re.compile(
    rb"""(?:src|href)=["']https?://|url\(["']?https?://|@import\s+(?:url\()?["']?https?://"""
)


@pytest.fixture(autouse=True, scope="module")
def _built() -> None:
    if (STATIC / "index.html").exists():
        return
    if os.environ.get("CI") == "true":
        pytest.fail("the pages are not built: make frontend")
    pytest.skip("the pages are not built: make frontend")


def scripts_of(page: str) -> set[Path]:
    """All scripts that a page needs at once: those it names, and what they import."""
    waiting = [STATIC / name for name in LOADED.findall((STATIC / page).read_text())]
    if page == "index.html":
        waiting += [file for name in HOME_PAGES for file in (STATIC / "assets").glob(f"{name}-*.js")]
    found: set[Path] = set()
    while waiting:
        script = waiting.pop()
        if script not in found:
            found.add(script)
            waiting += [script.parent / name for name in IMPORTED.findall(script.read_text())]
    return found


@pytest.mark.parametrize("page", BUDGETS)
def test_a_page_shows_itself_after_few_kilobytes_of_script(page: str) -> None:
    scripts = scripts_of(page)
    size = sum(len(gzip.compress(script.read_bytes(), 9)) for script in scripts)
    assert scripts
    assert size < BUDGETS[page] * KILOBYTE


@pytest.mark.parametrize("page", BUDGETS)
def test_a_page_has_no_script_or_style_inside(page: str) -> None:
    text = (STATIC / page).read_text()
    assert not re.search(r"<script(?![^>]*\bsrc=)", text)
    assert "<style" not in text
    assert not re.search(r"\sstyle=", text)


def test_nothing_is_loaded_from_elsewhere() -> None:
    files = [file for file in STATIC.rglob("*") if file.suffix in {".html", ".js", ".css"}]
    assert len(files) > len(BUDGETS)
    assert [file.name for file in files if OUTSIDE.search(file.read_bytes())] == []


def test_the_lock_file_names_no_place_to_download_from() -> None:
    assert '"resolved"' not in (FRONTEND / "package-lock.json").read_text()


def test_every_source_says_its_licence_and_the_question_it_answers() -> None:
    sources = [
        file
        for file in (FRONTEND / "src").rglob("*")
        if file.suffix in {".ts", ".svelte", ".css"} and file.name != "schema.ts"
    ]
    assert len(sources) > 50
    for file in sources:
        first, second = file.read_text().splitlines()[:2]
        assert "SPDX-License-Identifier: Apache-2.0" in first, file
        assert "?" in second or second.startswith(("//", "/*", "<!--")), file
