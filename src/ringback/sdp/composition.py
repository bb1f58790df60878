# SPDX-License-Identifier: Apache-2.0
"""How is a description of our own written? The frame, the transport of a stream, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ringback.sdp.bundle import identification
from ringback.sdp.crypto import answering_crypto
from ringback.sdp.dtls import Setup, answering_setup, dtls_lines
from ringback.sdp.errors import UnacceptableSession
from ringback.sdp.local_stream import LocalStream
from ringback.sdp.security import Security, is_dtls
from ringback.sdp.session import (
    Line,
    MediaDescription,
    MediaLine,
    Origin,
    SessionDescription,
    connection_line,
)
from ringback.sdp.stream import StreamDescription


def compose(
    host: str,
    media: Sequence[MediaDescription],
    *,
    session_id: int,
    previous: SessionDescription | None,
    more: Sequence[Line] = (),
) -> SessionDescription:
    """The whole text; `more` are lines of the session.

    The version of o= grows by one when anything else changed (RFC 3264 section 8).
    """
    origin = previous.origin if previous else Origin("-", str(session_id), str(session_id), host)

    def written(version: str) -> SessionDescription:
        bandwidths = [line for line in more if line.type == "b"]
        head = (
            Line("v", "0"),
            Line("o", str(replace(origin, version=version, host=host))),
            Line("s", "-"),
            connection_line(host),
            *bandwidths,
            Line("t", "0 0"),
            *(line for line in more if line.type != "b"),
        )
        return SessionDescription(head, tuple(media))

    same = written(origin.version)
    if previous is None or same == previous:
        return same
    return written(str(int(origin.version) + 1))  # checked: our own number


def refused(line: MediaLine, mid: str | None = None) -> MediaDescription:
    """The same m= line with port 0: no stream here (RFC 3264 section 6).

    The mid stays, by which browsers know the stream again (RFC 8829 section 5.3.1).
    """
    lines = () if mid is None else (Line("a", f"mid:{mid}"),)
    return MediaDescription.new(replace(line, port=0, port_count=None), lines)


def refused_as_it_was(media: MediaDescription) -> MediaDescription:
    """`refused` for an m= line of somebody, whose mid may be malformed."""
    try:
        return refused(media.line, identification(media))
    except UnacceptableSession:
        return refused(media.line)


def transport_lines(own: LocalStream, *, offered: StreamDescription | None = None) -> list[Line]:
    """Where `own` listens and how it is secured; `offered` is the stream that this answers, if any."""
    values: list[Line] = []
    has_mux = own.rtcp_mux and (offered is None or offered.rtcp_mux)
    if own.ice is not None and (offered is None or offered.ice is not None):
        values += own.ice.lines
    if has_mux:
        values.append(Line("a", "rtcp-mux"))
    elif own.rtcp is not None and own.rtcp != own.address._replace(port=own.address.port + 1):
        values.append(_rtcp_line(own))
    return values + (_offered_keys(own) if offered is None else _answered_keys(own, offered))


def bundle_lines(groups: Sequence[Sequence[str]]) -> list[Line]:
    """a=group:BUNDLE for every group that has members (RFC 8843 section 5)."""
    return [Line("a", f"group:BUNDLE {' '.join(mids)}") for mids in groups if mids]


def lite_lines(own: Sequence[LocalStream | None]) -> list[Line]:
    """a=ice-lite when that is what we do (RFC 8839 section 5.3)."""
    is_lite = any(each is not None and each.ice is not None and each.ice.is_lite for each in own)
    return [Line("a", "ice-lite")] if is_lite else []


@dataclass(slots=True)
class Bundle:
    """The group of a description being written: who shares the first one's transport, numbers in use."""

    mids: list[str] = field(default_factory=list)
    tagged: LocalStream | None = None
    numbers: set[int] = field(default_factory=set)

    def joins(self, mid: str, own: LocalStream) -> bool:
        """Take `mid` in where it fits; True when an earlier stream already says all about the transport."""
        is_first = self.tagged is None
        self.tagged = self.tagged or own
        if self.tagged.address != own.address:
            return False
        self.mids.append(mid)
        return not is_first


def _rtcp_line(own: LocalStream) -> Line:
    """a=rtcp where RTCP is not on the next port (RFC 3605 section 2.1)."""
    assert own.rtcp is not None
    host = own.rtcp.host
    where = "" if host == own.address.host else f" IN {'IP6' if ':' in host else 'IP4'} {host}"
    return Line("a", f"rtcp:{own.rtcp.port}{where}")


def _offered_keys(own: LocalStream) -> list[Line]:
    if is_dtls(own.protocol) and own.fingerprint is not None:
        return list(dtls_lines(own.fingerprint, own.setup))
    return [Line("a", f"crypto:{line}") for line in own.crypto]


def _answered_keys(own: LocalStream, offered: StreamDescription) -> list[Line]:
    security = offered.security
    if security is Security.DTLS:
        if own.fingerprint is None or offered.dtls is None:
            raise _no_keys(offered)
        setup = answering_setup(offered.dtls.setup) if own.setup is Setup.ACTPASS else own.setup
        return list(dtls_lines(own.fingerprint, setup))
    line = answering_crypto(offered.crypto, own.crypto)
    if line is None and security is Security.SDES:
        raise _no_keys(offered)
    return [] if line is None else [Line("a", f"crypto:{line}")]


def _no_keys(offered: StreamDescription) -> UnacceptableSession:
    return UnacceptableSession(
        f"m= line {offered.index + 1} ({offered.kind}): no way to encrypt in common", section="RFC 4568 5.1.2"
    )
