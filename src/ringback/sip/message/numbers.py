# SPDX-License-Identifier: Apache-2.0
"""How is a number on the wire read? ASCII digits only, bounded in length and in size (RFC 3261 25.1)."""

import re

from ringback.sip.errors import PeerError

#: Leading zeros are allowed (RFC 4475 3.1.1.1), but not without end.
_TEXT = re.compile(r"[0-9]{1,24}")
_BYTES = re.compile(rb"[0-9]{1,24}")

MAX_32 = 2**32 - 1
MAX_CSEQ = 2**31 - 1


def decimal(text: str | bytes, *, limit: int) -> int:
    """The number that `text` spells; PeerError if it spells none or one above `limit`."""
    digits = _TEXT.fullmatch(text) if isinstance(text, str) else _BYTES.fullmatch(text)
    if digits is None:
        raise PeerError("not a decimal number")
    number = int(text)
    if number > limit:
        raise PeerError(f"number above {limit}")
    return number
