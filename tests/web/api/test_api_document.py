# SPDX-License-Identifier: Apache-2.0
"""The OpenAPI document: complete, kept beside the pages that are typed by it, and shown without anything from
outside.
"""

import re
from html.parser import HTMLParser
from pathlib import Path

from office_rig import Office

from ringback.web.api.scopes import SCOPES
from ringback.web.openapi import document, printed

KEPT = Path(__file__).parents[3] / "frontend" / "openapi.json"


def test_the_kept_document_is_the_one_that_is_served() -> None:
    assert KEPT.read_text() == printed(), "run: python -m ringback.web.openapi > frontend/openapi.json"


def test_every_operation_has_a_name_of_its_own_and_says_what_it_does() -> None:
    found = [each for path in document()["paths"].values() for each in path.values()]
    names = [each["operationId"] for each in found]
    assert len(names) == len(set(names))
    assert [each["operationId"] for each in found if not each.get("description")] == []


def test_every_refusal_is_a_problem() -> None:
    for path in document()["paths"].values():
        for operation in path.values():
            for status, response in operation["responses"].items():
                if status.startswith(("4", "5")):
                    assert list(response["content"]) == ["application/problem+json"]


def test_every_scope_that_a_route_asks_for_can_be_given() -> None:
    source = Path(__file__).parents[3] / "src" / "ringback" / "web"
    asked = {
        scope for file in source.rglob("*.py") for scope in re.findall(r'"([a-z]+:(?:read|write|use))"', file.read_text())
    }  # fmt: skip
    assert asked - {"x:read", "x:write"} == set(SCOPES)


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.inline: list[str] = []
        self.links: list[str] = []
        self.forms = 0
        self._in_script = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = dict(attrs)
        self.inline += [name for name in names if name == "style" or name.startswith("on")]
        self.links += [str(names[name]) for name in ("src", "href") if names.get(name)]
        self.forms += tag == "form"
        if tag == "style" or (tag == "script" and not names.get("src")):
            self.inline.append(tag)


async def test_the_page_of_the_document_needs_nothing_inline_and_nothing_from_outside(office: Office) -> None:
    answer = await office.stranger().get("/docs")
    page = _Page()
    page.feed(answer.text)
    assert page.inline == []
    assert page.forms == sum(len(path) for path in document()["paths"].values())
    for link in {link for link in page.links if not link.startswith("#")}:
        assert link.startswith("/")
        if link != "/":
            assert (await office.stranger().get(link)).status == 200
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert (await office.stranger().get("/openapi.json")).json == document()
