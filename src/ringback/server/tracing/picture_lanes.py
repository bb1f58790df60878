# SPDX-License-Identifier: Apache-2.0
"""How was the sound? A lane for each leg: from when to when, with what codec, how good, when on hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ringback.server.tracing.message import Message, body, method_of
from ringback.server.tracing.picture_columns import SERVER, Column, column_ids
from ringback.server.tracing.picture_notes import HOLD, RESUME, codec_of

Lane = dict[str, Any]


def lanes_of(
    messages: Sequence[Message],
    notes: Sequence[str],
    columns: Sequence[Column],
    record: Mapping[str, Any] | None,
) -> list[Lane]:
    """Of every leg that the record has sound of; else the one that the phones spoke directly."""
    ids = column_ids(columns)
    lanes = [
        _lane(leg, stream, ids, columns, record or {})
        for leg in (record or {}).get("legs") or ()
        for stream in leg.get("streams") or ()
    ]
    if not _is_carried(record or {}):
        lanes = _direct(messages, ids, columns) or lanes
    held = _holds(messages, notes, ids)
    for lane in lanes:
        periods = held.get(lane["from"], []) or held.get(lane["to"], [])
        lane["held"] = [[begin, end if end is not None else lane["ended"]] for begin, end in periods]
    return lanes


def _is_carried(record: Mapping[str, Any]) -> bool:
    """True if the sound came through this server: packets were counted, or will be."""
    if record.get("anchored") or record.get("mode") == "application":
        return True
    streams = (stream for leg in record.get("legs") or () for stream in leg.get("streams") or ())
    return any(stream.get("packets_received") is not None for stream in streams)


def _lane(
    leg: Mapping[str, Any],
    stream: Mapping[str, Any],
    ids: Mapping[str, str],
    columns: Sequence[Column],
    record: Mapping[str, Any],
) -> Lane:
    received, lost = stream.get("packets_received") or 0, stream.get("lost") or 0
    expected = received + lost
    name = str(leg.get("name") or leg.get("number") or "")
    return {
        "leg": name,
        "from": _column(leg, ids, columns),
        "to": SERVER,
        "began": record.get("answered_at") or record.get("began_at"),
        "ended": record.get("ended_at"),
        "codec": str(stream.get("codec") or ""),
        "loss": round(100 * lost / expected, 2) if expected > 0 else None,
        "jitter_ms": stream.get("jitter_ms"),
        "mos": stream.get("mos"),
        "series": [
            {name: point.get(name) for name in ("at", "mos", "loss", "jitter_ms")}
            for point in record.get("quality") or ()
            if str(point.get("leg")) == name
        ],
    }


def _column(leg: Mapping[str, Any], ids: Mapping[str, str], columns: Sequence[Column]) -> str:
    """The leg's peer: by address, by host, by number."""
    address, number = str(leg.get("address") or "").partition(" ")[0], str(leg.get("number") or "")
    if address in ids:
        return ids[address]
    host = address.rpartition(":")[0]
    for peer, column in ids.items():
        if host and peer.rpartition(":")[0] == host:
            return column
    for one in columns:
        if number and one["label"].partition(" ")[0] == number:
            return one["id"]
    return next(iter(ids.values()), SERVER)


def _direct(messages: Sequence[Message], ids: Mapping[str, str], columns: Sequence[Column]) -> list[Lane]:
    """A call whose sound does not pass through us: known is what the answer said."""
    peers = [column["id"] for column in columns if column["id"] != SERVER]
    answer = next(
        (
            message
            for message in messages
            if 200 <= message.get("status", 0) < 300
            and method_of(message) == "INVITE"
            and codec_of(body(message))
        ),
        None,
    )
    if answer is None or len(peers) < 2:
        return []
    end = next((one["at"] for one in messages if method_of(one) == "BYE" and one["at"] > answer["at"]), None)
    other = ids.get(answer["remote"], peers[-1]) if answer["direction"] == "received" else peers[-1]
    return [
        {
            "leg": "direct",
            "from": peers[0],
            "to": other if other != peers[0] else peers[-1],
            "began": answer["at"],
            "ended": end,
            "codec": codec_of(body(answer)),
            "loss": None,
            "jitter_ms": None,
            "mos": None,
            "series": [],
        }
    ]


def _holds(
    messages: Sequence[Message], notes: Sequence[str], ids: Mapping[str, str]
) -> dict[str, list[tuple[float, float | None]]]:
    """From when to when each peer was put, or put others, on hold."""
    found: dict[str, list[tuple[float, float | None]]] = {}
    for message, note in zip(messages, notes, strict=True):
        periods = found.setdefault(ids.get(message["remote"], SERVER), [])
        if note == HOLD and (not periods or periods[-1][1] is not None):
            periods.append((message["at"], None))
        elif note == RESUME and periods and periods[-1][1] is None:
            periods[-1] = (periods[-1][0], message["at"])
    return found
