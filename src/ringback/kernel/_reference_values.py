# SPDX-License-Identifier: Apache-2.0
"""Is this a plain host, URI, address or Via, and what does it say? The patterns, and what they cannot check.

Everything here raises NotPlain for what is doubtful. Narrower than `sip/message`, never wider.
"""

import ipaddress
import re
from functools import lru_cache

from ringback.kernel._grammar import (
    DISPLAY,
    HOST,
    MAX_HOST,
    MAX_PARAMETERS,
    TOKEN,
    URI_PARAMETER,
    USER,
    VALUE,
)

_BYTE = rb"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = rb"%b\.%b\.%b\.%b(?![%b])" % (_BYTE, _BYTE, _BYTE, _BYTE, HOST)
#: The last label begins with no digit: "127.1" and "0x7f.1" are addresses to some resolvers.
_NAME = rb"(?!-|[%b]{%d})(?:[A-Za-z0-9_\-]++\.)*+[A-Za-z_\-][A-Za-z0-9_\-]*+(?![.])" % (HOST, MAX_HOST + 1)
_ANY_HOST = rb"(?:%b|%b|\[[0-9a-f:]{2,39}\])" % (_IPV4, _NAME)
#: 1 to 65535, without leading zeros.
_PORT = rb"(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])(?![0-9])"
_HEX = rb"%[0-9A-Fa-f]{2}"
_URI = (
    rb"sips?:(?:(?:[" + USER + rb"]|" + _HEX + rb")++@)?"
    rb"(" + _ANY_HOST + rb")(?::" + _PORT + rb")?"
    rb"((?:;[" + URI_PARAMETER + rb"]++(?:=(?:[" + URI_PARAMETER + rb"]|" + _HEX + rb")++)?)*+)"
)
#: Quotes without backslashes in them.
_QUOTED = rb'"[^"\\]*+"'
PARAMETERS = rb"(?:;[%b]++(?:=(?:[%b]++|%b))?)*+" % (TOKEN, VALUE, _QUOTED)
_IS_URI = re.compile(_URI)
#: (name-addr, its URI, or addr-spec, parameters)
_ADDRESS = re.compile(
    rb"(?:(?:%b[ \t]*+|[%b]*+)<([^<>\" \t]++)>|([^<>\"; \t,?]++))(%b)" % (_QUOTED, DISPLAY, PARAMETERS)
)
_PARAMETER = re.compile(rb";([%b]++)(?:=([%b]++|%b))?" % (TOKEN, VALUE, _QUOTED))
_SEPARATOR = re.compile(rb",[ \t]*+")
_HOP = re.compile(rb"SIP/2\.0/([%b]++) (%b)(?::(%b))?(%b)" % (TOKEN, _ANY_HOST, _PORT, PARAMETERS))
_IS_PORT = re.compile(_PORT)
_STAMP = re.compile(rb"[%b]++" % VALUE)


class NotPlain(Exception):
    """Leave it to the careful parser."""


class Hop:
    """One Via value: where it ends in its line, and what of it is asked."""

    __slots__ = ("branch", "end", "host", "parameters", "port", "rport", "text", "transport")

    def __init__(self, line: bytes, start: int) -> None:
        found = _HOP.match(line, start)
        if found is None:
            raise NotPlain
        transport, host, port, parameters = found.groups()
        self.end = found.end()
        self.text = found[0]
        self.transport = transport.decode("ascii").upper()
        self.host = checked_host(host).decode("ascii").lower()
        self.port = 0 if port is None else _digits(port)
        self.parameters = parameters_of(parameters)
        named = unique(self.parameters)
        self.branch = named.get(b"branch", b"")
        if b"maddr" in named or b"ttl" in named or self.branch[:1] == b'"':
            raise NotPlain
        #: 0: asked for, not filled in; -1: not asked for
        self.rport = _rport(named[b"rport"]) if b"rport" in named else -1

    @property
    def sent_by(self) -> str:
        """The one spelling by which sent-by values are compared."""
        return f"{self.host}:{self.port}" if self.port else self.host


def stamped(hops: list[Hop], line: bytes, host: str, port: int) -> bytes:
    """A Via line whose top value says where the request came from (RFC 3261 18.2.1, RFC 3581 4)."""
    source = host.encode("utf-8", "surrogateescape")
    if len(source) > MAX_HOST or _STAMP.fullmatch(source) is None:
        raise NotPlain
    hop, *others = hops
    parameters: list[tuple[bytes, bytes]] = []
    for name, value in hop.parameters:
        if name.lower() == b"rport":
            parameters.append((b"rport", b"%d" % port))
        elif name.lower() != b"received":
            parameters.append((name, value))
    if hop.rport >= 0 or hop.host.strip("[]") != host:
        parameters.append((b"received", source))
    if parameters == hop.parameters:
        return line
    text = f"SIP/2.0/{hop.transport} {hop.sent_by}".encode("ascii")
    text += b"".join(b";" + name + (b"=" + value if value else b"") for name, value in parameters)
    return b", ".join([text, *(other.text for other in others)])


def vias(line: bytes) -> list[Hop]:
    """The values of one Via line."""
    hops = [Hop(line, 0)]
    while hops[-1].end < len(line):
        separator = _SEPARATOR.match(line, hops[-1].end)
        if separator is None:
            raise NotPlain
        hops.append(Hop(line, separator.end()))
    return hops


def addresses(line: bytes, *, bracketed: bool = False) -> list[tuple[str, list[tuple[bytes, bytes]]]]:
    """The values of a line of addresses: URI, and the parameters behind it."""
    values, place = [], 0
    while True:
        found = _ADDRESS.match(line, place)
        if found is None or (bracketed and found[1] is None):
            raise NotPlain
        parameters = parameters_of(found[3])
        unique(parameters)
        values.append((uri(found[1] or found[2]), parameters))
        if found.end() == len(line):
            return values
        separator = _SEPARATOR.match(line, found.end())
        if separator is None:
            raise NotPlain
        place = separator.end()


def tagged(line: bytes) -> tuple[str, str | None]:
    """From or To: its URI and its tag."""
    values = addresses(line)
    if len(values) > 1:
        raise NotPlain
    for name, value in values[0][1]:
        if name.lower() == b"tag":
            if not value or value[:1] == b'"':
                raise NotPlain
            return values[0][0], value.decode("ascii")
    return values[0][0], None


def uri(text: bytes) -> str:
    """A SIP or SIPS URI without header fields and without a password."""
    return _short_uri(text) if len(text) <= _SHORT else _uri(text)


def _uri(text: bytes) -> str:
    found = _IS_URI.fullmatch(text)
    if found is None:
        raise NotPlain
    checked_host(found[1])
    unique([parameter.partition(b"=")[::2] for parameter in found[2].split(b";")[1:]])
    return text.decode("ascii")


#: The same few URIs come in every message of a call and of a phone's life.
_SHORT = 128
_short_uri = lru_cache(maxsize=4096)(_uri)


def parameters_of(text: bytes) -> list[tuple[bytes, bytes]]:
    """The pairs of ";name=value" that matched PARAMETERS; no value is the empty one."""
    return _PARAMETER.findall(text) if text else []


def unique(parameters: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """The parameters by name; none may come twice (RFC 3261 7.3.1)."""
    named = {name.lower(): value for name, value in parameters}
    if len(named) < len(parameters) or len(parameters) > MAX_PARAMETERS:
        raise NotPlain
    return named


def checked_host(host: bytes) -> bytes:
    """An IPv6 address must have its one spelling already (RFC 5952)."""
    if host[:1] == b"[":
        text = host[1:-1].decode("ascii")
        try:
            address = ipaddress.IPv6Address(text)
        except ValueError:
            raise NotPlain from None
        # Mapped and compatible addresses: some print them with dots, others without.
        if (not any(address.packed[:10]) and any(address.packed[10:14])) or str(address) != text:
            raise NotPlain
    return host


def _rport(value: bytes) -> int:
    if value and _IS_PORT.fullmatch(value) is None:
        raise NotPlain
    return _digits(value) if value else 0


def _digits(text: bytes) -> int:
    return int(text)  # checked: _PORT has matched it
