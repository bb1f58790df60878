# SPDX-License-Identifier: Apache-2.0
"""How does a flow get into a file? As pcap for Wireshark, as a page, as JSON or as text, by its ending."""

from __future__ import annotations

import json
import os
from pathlib import Path

from ringback.cli.output import Failure
from ringback.cli.text import printable
from ringback.cli.trace_lines import when
from ringback.cli.trace_source import Flow, Told
from ringback.server.tracing.message import Message
from ringback.server.tracing.page import html_page
from ringback.server.tracing.pcap import pcap

ENDINGS = (".pcap", ".txt", ".html", ".json")


def save(flow: Flow, name: str) -> Path:
    """Write a new file that only its owner may read: in it is who calls whom. Raises `Failure`."""
    file = Path(name).expanduser()
    if not name.strip(" "):
        raise Failure("say the name of a file", code=2)
    if file.suffix.lower() not in ENDINGS:
        raise Failure(f"the name of the file must end with one of {' '.join(ENDINGS)}", code=2)
    data = _contents(flow, file.suffix.lower())
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise Failure(f"{file} is there already; say another name") from None
    except (OSError, ValueError) as error:  # ValueError: a name with a zero octet
        raise Failure(f"{file} cannot be written: {getattr(error, 'strerror', None) or error}") from error
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(data)
    return file


def _contents(flow: Flow, ending: str) -> bytes:
    if ending == ".pcap":
        return pcap(flow.messages)
    if ending == ".html":
        return html_page(_record(flow.calls[0]), flow.messages).encode()
    if ending == ".json":
        return "".join(f"{json.dumps(message)}\n" for message in flow.messages).encode("ascii")
    return text_of(flow).encode()


def text_of(flow: Flow) -> str:
    """What is wrong, and every message whole."""
    parts = [_head(call) for call in flow.calls]
    parts += [f"--- {origin_of(message)}\n{shown_text(message)}\n" for message in flow.messages]
    return "\n".join(parts)


def origin_of(message: Message) -> str:
    """When, and from or to whom."""
    way = "to" if message["direction"] == "sent" else "from"
    return f"{when(message['at'])} {way} {message['remote']} by {message['transport']}"


def shown_text(message: Message) -> str:
    """A message line by line; what a stranger wrote into it steers no terminal."""
    return printable(message["text"].replace("\r\n", "\n"), keep_lines=True).rstrip("\n")


def _head(call: Told) -> str:
    lines = [f"Call-ID  {printable(call.call_id)}"]
    if call.record and call.record.get("how_ended"):
        lines.append(f"Ended    {printable(str(call.record['how_ended']))}")
    lines += [f"{each['code']}  {printable(str(each['text']))}" for each in call.verdicts]
    return "\n".join([*lines, ""])


def _record(call: Told) -> dict[str, object] | None:
    if call.record is None:
        return None
    return {**call.record, "decisions": call.decisions, "verdicts": call.verdicts}
