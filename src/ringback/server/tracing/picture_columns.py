# SPDX-License-Identifier: Apache-2.0
"""Who stands where in the picture of a call? A column for each peer, the server between caller and called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ringback.server.tracing.message import Message, user_of

Column = dict[str, str]

SERVER = "server"
LONGEST_LABEL = 60


def columns_of(messages: Sequence[Message], record: Mapping[str, Any] | None) -> list[Column]:
    """Peers that spoke to us first, we, and peers that we spoke to, each in the order they appear."""
    callers: dict[str, Column] = {}
    others: dict[str, Column] = {}
    names = _names(record)
    for message in messages:
        peer = message["remote"]
        if peer in callers or peer in others:
            continue
        is_received = message["direction"] == "received"
        side = callers if is_received and (not callers or not others) else others
        user = user_of(_party(message))
        side[peer] = {
            "id": f"peer{len(callers) + len(others) + 1}",
            "label": visible(names.get(user, user) or peer),
            "address": peer,
        }
    address = messages[0]["local"] if messages else ""
    server = {"id": SERVER, "label": "Ringback", "address": address}
    return [*callers.values(), server, *others.values()]


def column_ids(columns: Sequence[Column]) -> dict[str, str]:
    """The column of each peer's address."""
    return {column["address"]: column["id"] for column in columns if column["id"] != SERVER}


def visible(text: str) -> str:
    """Short, and without what steers a terminal or turns the direction of writing (RELIABILITY row 14)."""
    shown = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
    return shown if len(shown) <= LONGEST_LABEL else shown[: LONGEST_LABEL - 1] + "…"


def _party(message: Message) -> str:
    """Who the peer of a message is: requests come from the one in From, and go to the one in To; responses
    come from the one in To.
    """
    is_request = "status" not in message
    is_sender = message["direction"] == ("received" if is_request else "sent")
    return str(message["from"] if is_sender else message["to"])


def _names(record: Mapping[str, Any] | None) -> dict[str, str]:
    """What the record calls people: "102 Ben"."""
    found: dict[str, str] = {}
    for role in ("caller", "callee"):
        person = (record or {}).get(role) or {}
        number, name = str(person.get("number") or ""), str(person.get("name") or "")
        if number:
            found[number] = f"{number} {name}".strip(" ")
    return found
