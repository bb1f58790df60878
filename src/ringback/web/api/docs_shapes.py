# SPDX-License-Identifier: Apache-2.0
"""How is a JSON Schema said in few words, and what is an example of it?"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

WORDS: dict[str, str] = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "object": "object",
    "null": "null",
}
EXAMPLES: dict[str, Any] = {"string": "", "integer": 0, "number": 0, "boolean": False, "null": None}
#: Names that say more than their type.
BY_NAME: dict[str, Any] = {
    "name": "Anna",
    "email": "anna@example.com",
    "number": "101",
    "from": "101",
    "to": "102",
    "text": "Anna, anna@example.com\nBen, ben@example.com",
    "url": "https://example.com/hook",
    "scopes": ["calls:read"],
    "transport": "UDP",
    "country": "DE",
    "operator": ["101"],
    "changes": {"calls.mode": "bridge"},
    "message": "INVITE sip:102@office.example SIP/2.0\r\n...",
}
DEEPEST = 6


def type_of(schema: Schema) -> str:
    """ "text", "list of Call", "text or null", "one of a, b"."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(type_of(each) for each in schema["anyOf"]))
    if "enum" in schema:
        return "one of " + ", ".join(repr(each) if each == "" else str(each) for each in schema["enum"])
    if "const" in schema:
        return str(schema["const"])
    if schema.get("type") == "array":
        return f"list of {type_of(schema.get('items', {}))}"
    return WORDS.get(str(schema.get("type")), "anything")


def example_of(document: Schema, schema: Schema, name: str = "", depth: int = 0) -> Any:
    """A value that fits, or nearly: something to begin with."""
    if "$ref" in schema:
        schema = document["components"]["schemas"][str(schema["$ref"]).rpartition("/")[2]]
    if "anyOf" in schema:
        return example_of(document, schema["anyOf"][0], name, depth)
    if schema.get("type") == "object" and schema.get("properties") and depth < DEEPEST:
        return {
            key: example_of(document, value, key, depth + 1) for key, value in schema["properties"].items()
        }
    return _plain_example(schema, name)


def _plain_example(schema: Schema, name: str) -> Any:
    if name in BY_NAME:
        return BY_NAME[name]
    if "default" in schema:
        return schema["default"]
    if "enum" in schema:
        return schema["enum"][0]
    if schema.get("type") == "array":
        return []
    return EXAMPLES.get(str(schema.get("type")), {})
