# SPDX-License-Identifier: Apache-2.0
"""How does the OpenAPI document become a page for people? Plain HTML with a form to try each operation.

No script and no style stands in the page: it obeys the policy of all our pages.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape
from typing import Any

from ringback.web.api.docs_shapes import example_of, type_of

Document = dict[str, Any]

METHODS = ("get", "post", "put", "patch", "delete")

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Ringback API</title>
<link rel="stylesheet" href="/docs/docs.css">
<script src="/docs/docs.js" defer></script>
</head>
<body>
<header><h1>Ringback API <small>{version}</small></h1>{introduction}
<p><a href="/openapi.json">openapi.json</a> · <a href="/">Console</a></p>
<p><label>API token to try with (empty: as you are signed in here)
<input id="token" autocomplete="off" spellcheck="false" placeholder="rb_…"></label></p></header>
<nav aria-label="Nouns">{contents}</nav>
<main>
{sections}
<h2 id="scopes">Scopes of tokens</h2>
{scopes}
</main>
</body>
</html>
"""


def docs_page(document: Document) -> str:
    """The whole page."""
    tags = [str(tag["name"]) for tag in document.get("tags", ())]
    return PAGE.format(
        version=escape(document["info"]["version"]),
        introduction=_paragraphs(document["info"].get("description", "")),
        contents=" ".join(f'<a href="#{escape(tag)}">{escape(tag)}</a>' for tag in [*tags, "scopes"]),
        sections="\n".join(_section(document, tag) for tag in tags),
        scopes=_paragraphs(document["components"]["securitySchemes"]["token"]["description"]),
    )


def _section(document: Document, tag: str) -> str:
    operations = "\n".join(
        _operation(document, method, path, operation)
        for method, path, operation in _operations(document)
        if tag in operation.get("tags", ())
    )
    return f'<section id="{escape(tag)}"><h2>{escape(tag)}</h2>\n{operations}\n</section>'


def _operations(document: Document) -> Iterator[tuple[str, str, Document]]:
    for path, methods in document["paths"].items():
        for method in METHODS:
            if method in methods:
                yield method, path, methods[method]


def _operation(document: Document, method: str, path: str, operation: Document) -> str:
    name = escape(str(operation["operationId"]))
    words = _inline(" ".join(str(operation.get("description", "")).split()))
    return (
        f'<details id="{name}"><summary><b class="{method}">{method.upper()}</b> <code>{escape(path)}</code> '
        f"<span>{words}</span></summary>\n"
        f'<form data-method="{method.upper()}" data-path="{escape(path)}">\n'
        f"{_parameters(operation)}{_body(document, operation)}"
        "<p><button>Try it</button></p>"
        '<pre hidden tabindex="0" role="region" aria-label="Answer"></pre></form>\n'
        f"{_answers(document, operation)}</details>"
    )


def _parameters(operation: Document) -> str:
    rows = "".join(_parameter(each) for each in operation.get("parameters", ()))
    return f"<h3>Parameters</h3><table>{rows}</table>\n" if rows else ""


def _parameter(parameter: Document) -> str:
    name, place = escape(parameter["name"]), escape(parameter["in"])
    schema = parameter["schema"]
    needed = " required" if parameter.get("required") else ""
    default = escape(str(schema.get("default", "")))
    words = escape(str(parameter.get("description") or schema.get("description") or ""))
    return (
        f"<tr><th>{name}</th><td>{place}, {escape(type_of(schema))}</td>"
        f'<td><input aria-label="{name}" name="{name}" data-in="{place}" value="{default}"{needed}></td>'
        f"<td>{words}</td></tr>"
    )


def _body(document: Document, operation: Document) -> str:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return ""
    example = json.dumps(example_of(document, content["schema"]), indent=2, ensure_ascii=False)
    lines = min(example.count("\n") + 2, 20)
    return (
        f"<h3>Body</h3>{_fields(document, content['schema'])}"
        f'<textarea aria-label="Body" rows="{lines}" spellcheck="false">{escape(example)}</textarea>\n'
    )


def _answers(document: Document, operation: Document) -> str:
    text = ""
    for status, response in operation["responses"].items():
        if status.startswith("2"):
            schema = response.get("content", {}).get("application/json", {}).get("schema", {})
            shape = _fields(document, schema) if schema else "<p>A file, or nothing.</p>"
            text += f"<h3>Answer {escape(status)}</h3>{shape}"
    return text


def _fields(document: Document, schema: Document) -> str:
    """The fields of a shape, those of the shapes in it below."""
    found = "".join(_shape(name, shape) for name, shape in _shapes_in(document, schema))
    return found or f"<p>{escape(type_of(schema))}</p>"


def _shape(name: str, shape: Document) -> str:
    needed = shape.get("required", ())
    rows = "".join(
        f"<tr><th>{escape(field)}{'' if field in needed else ' <i>optional</i>'}</th>"
        f"<td>{escape(type_of(schema))}</td>"
        f"<td>{escape(' '.join(str(schema.get('description', '')).split()))}</td></tr>"
        for field, schema in shape.get("properties", {}).items()
    )
    words = escape(" ".join(str(shape.get("description", "")).split()))
    return f"<h4>{escape(name)}</h4><p>{words}</p><table>{rows}</table>"


def _shapes_in(document: Document, schema: Document) -> Iterator[tuple[str, Document]]:
    """The shape of a schema and all shapes in it, each once."""
    schemas = document["components"]["schemas"]
    waiting: list[Any] = [schema]
    seen: set[str] = set()
    while waiting:
        current = waiting.pop(0)
        if isinstance(current, list):
            waiting += current
        elif isinstance(current, dict):
            name = str(current.get("$ref", "")).rpartition("/")[2]
            if name and name not in seen:
                seen.add(name)
                yield name, schemas[name]
                waiting.append(schemas[name])
            waiting += current.values()


def _paragraphs(text: str) -> str:
    """The little Markdown that our descriptions use: paragraphs, lists, and code in backquotes."""
    found = ""
    for paragraph in text.strip().split("\n\n"):
        lines = paragraph.split("\n")
        if all(line.startswith("- ") for line in lines):
            found += "<ul>" + "".join(f"<li>{_inline(line[2:])}</li>" for line in lines) + "</ul>"
        else:
            found += f"<p>{_inline(' '.join(lines))}</p>"
    return found


def _inline(text: str) -> str:
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if index % 2 else part for index, part in enumerate(parts))
