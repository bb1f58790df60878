# SPDX-License-Identifier: Apache-2.0
"""What must change in a description so that it continues what its reader was told before? RFC 3264 section 8.

As long as a phone hears of one other, all passes as it is. When the other end is replaced (a transfer) or the
media plane steps in, the reader still sees one author: the origin stays and its version grows, and no stream
(m= line) ever goes away.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_ORIGIN = re.compile(rb"^o=([^ \r\n]+) ([^ \r\n]+) ([0-9]{1,20}) (IN IP[46] [^ \r\n]+)(\r?)$", re.MULTILINE)
_MEDIA = re.compile(rb"^m=([^ \r\n]+) ([^ \r\n]+) ([^ \r\n]+) ([^\r\n]*?)\r?$", re.MULTILINE)
_DIRECTION = re.compile(rb"^a=(?:sendonly|recvonly|inactive)\r?\n", re.MULTILINE)


@dataclass(slots=True)
class Told:
    """What one leg was told so far."""

    identity: tuple[bytes, bytes, bytes] | None = None
    """User name, session id and address of the origin."""
    version: int = 0
    body: bytes = b""
    """The last description without its origin."""
    streams: list[bytes] = field(default_factory=list)
    """Its m= lines."""

    def offer(self, sdp: bytes) -> bytes:
        """The offer as the leg is to get it: with as many streams as it knows of."""
        return self._continued(_padded(sdp, self.streams))

    def answer(self, sdp: bytes, *, streams: int) -> bytes:
        """The answer as the leg is to get it: with as many streams as it offered."""
        return self._continued(_cut(sdp, streams))

    def _continued(self, sdp: bytes) -> bytes:
        found = _ORIGIN.search(sdp)
        self.streams = [line[0].rstrip(b"\r") for line in _MEDIA.finditer(sdp)]
        if found is None:
            return sdp
        user, session, version, place, end = found.groups()
        number = int(version)  # checked: digits
        body = sdp[: found.start()] + sdp[found.end() :]
        identity = (user, session, place)
        if self.identity is None or (identity == self.identity and number >= self.version):
            self.identity, self.version, self.body = identity, number, body
            return sdp
        if body != self.body:
            self.version, self.body = self.version + 1, body
        line = b"o=%b %b %d %b%b" % (self.identity[0], self.identity[1], self.version, self.identity[2], end)
        return sdp[: found.start()] + line + sdp[found.end() :]


def stream_count(sdp: bytes | None) -> int:
    """How many m= lines a description has."""
    return 0 if sdp is None else len(_MEDIA.findall(sdp))


def without_hold(sdp: bytes) -> bytes:
    """The description of somebody who is ready to speak: hold was meant for another."""
    return _DIRECTION.sub(b"", sdp)


def _padded(sdp: bytes, known: list[bytes]) -> bytes:
    """RFC 3264 8: an offer has all streams of the one before; those that nobody wants have port 0."""
    missing = known[stream_count(sdp) :]
    if not missing:
        return sdp
    refused = [_MEDIA.sub(rb"m=\1 0 \3 \4", line) for line in missing]
    end = b"" if sdp.endswith(b"\n") else b"\r\n"
    return sdp + end + b"".join(line + b"\r\n" for line in refused)


def _cut(sdp: bytes, streams: int) -> bytes:
    """The streams that were added for the one who answers are not part of what was asked."""
    starts = [line.start() for line in _MEDIA.finditer(sdp)]
    return sdp[: starts[streams]] if 0 < streams < len(starts) else sdp
