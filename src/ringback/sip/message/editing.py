# SPDX-License-Identifier: Apache-2.0
"""How is a message changed whose header fields were taken apart already? As the kernel does, field by field.

`apply_edit` and `remove_top_via` are for messages that were not plain or that somebody changed; the kernel's
`edit_request` and `pop_via` do the same to octets.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from ringback.kernel import BIT, respond, split_head
from ringback.sip.message.headers import checked_line
from ringback.sip.message.names import METHODS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ringback.kernel import Head
    from ringback.sip.message.headers import Headers
    from ringback.sip.message.wire import Edit


def apply_edit(headers: Headers, edit: Edit) -> None:
    """Everything of `edit` that concerns header fields."""
    for _ in range(edit.drop_routes):
        headers.remove_first_value("Route")
    remove_fields(headers, edit.without)
    if edit.max_forwards >= 0:
        headers["Max-Forwards"] = str(edit.max_forwards)
    for name, value in reversed(_lines_of(edit.on_top)):
        headers.prepend(name.decode("ascii"), value)
    for name, value in _lines_of(edit.at_end):
        headers.add(name.decode("ascii"), value)


def remove_top_via(headers: Headers, without: int) -> bool:
    """Remove the first Via value and the fields of `without`. False when no Via is left."""
    headers.remove_first_value("Via")
    if "Via" not in headers:
        return False
    remove_fields(headers, without)
    return True


def remove_fields(headers: Headers, without: int) -> None:
    """Remove every line of the fields whose bit of `kernel.BIT` is set."""
    if without:
        for key in list(headers.by_key):
            if BIT.get(key, 0) & without:
                headers.remove(key)


def plain_response(
    head: Head,
    status: int,
    reason: str,
    *,
    to_tag: str | None,
    headers: Iterable[tuple[str, str]],
    body: bytes,
    content_type: str | None,
) -> bytes | None:
    """The octets of the response to a plain request (8.2.6.2); None when it is not to be had so cheaply."""
    lines = [header_line(name, value) for name, value in headers]
    if content_type is not None:
        lines.append(header_line("Content-Type", content_type))
    lines.append(b"Content-Length: %d\r\n\r\n" % len(body))
    lines.append(body)
    return respond(
        head.data,
        b"SIP/2.0 %d %b" % (status, reason.encode("utf-8", "surrogateescape")),
        to_tag=to_tag if status > 100 else None,
        at_end=b"".join(lines),
        with_record_route=100 < status < 300 and METHODS[head.method].creates_dialog,
        with_timestamp=status == 100,
    )


@lru_cache(maxsize=1024)
def header_line(name: str, value: str) -> bytes:
    """One line of a head, with its end. InvalidState for a value that would be more than one."""
    return b"%b: %b\r\n" % checked_line(name, value)


def _lines_of(text: bytes) -> list[tuple[bytes, bytes]]:
    return split_head(b"\r\n" + text + b"\r\n")[1] if text else []
