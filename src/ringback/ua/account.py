# SPDX-License-Identifier: Apache-2.0
"""Who is this phone, where is its server, and whom does a typed number mean?

An account is an address of record (RFC 3261 section 6) with the way to its registrar. What people type
as a target becomes a SIP URI here: "102", "+44 20 7946 0018", "bob@example.com", "tel:+1-201-555-0123".
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ringback.sip.errors import PeerError, RingbackError
from ringback.sip.flow import Transport
from ringback.sip.message import NameAddr, OtherUri, SipUri, TelUri, Uri, parse_uri
from ringback.sip.message.numbers import decimal

#: Who calls without an account (RFC 3261 8.1.1.3, RFC 3323 section 4.1.1.3).
ANONYMOUS = NameAddr(SipUri("anonymous", "anonymous.invalid"), "Anonymous")

#: What people put between digits so that they can read them (RFC 3966 section 3, and blanks).
SEPARATORS = re.compile(r"[ .()\-]")
DIALLED = re.compile(r"\+?[0-9*#ABCDabcd .()\-]+", re.ASCII)
#: A name without an "@" is the user part of an address; blanks only stand in numbers.
NAME = re.compile(r"[^:/@<>\"\x00-\x1f]+")
#: What a server offers besides phones, as "queue:sales" or "voicemail:102": the whole word is the user part.
SERVICE = re.compile(r"(?:app|group|queue|room|voicemail):[^:/@<>\"\x00-\x1f]+")
HOST_AND_PORT = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.\-]+)(?::([0-9]{1,5}))?", re.ASCII)


class InvalidAddress(RingbackError):
    """What was typed as an address is none. A mistake of ours or of our user, never of a peer."""


@dataclass(frozen=True, slots=True)
class Account:
    """An address of record, and the way to its server.

    `route` is the outbound proxy (RFC 3261 8.1.2) with `lr`, or None: then the domain is looked up in DNS,
    unless the address came with a `port`. The port says where the server is; it is no part of anybody's name.
    """

    address: NameAddr
    username: str
    realm: str | None = None
    route: NameAddr | None = None
    transport: Transport | None = None
    port: int | None = None

    @property
    def uri(self) -> SipUri:
        """The address of record."""
        assert isinstance(self.address.uri, SipUri)
        return self.address.uri

    @property
    def is_anonymous(self) -> bool:
        """True when there is no domain to dial numbers in."""
        return self.uri.host == "anonymous.invalid"

    @property
    def registrar(self) -> SipUri:
        """The Request-URI of REGISTER: the domain alone, without a user (RFC 3261 10.2)."""
        return self._by_transport(SipUri(None, self.uri.host, self.port, secure=self.uri.secure))

    def first_hop(self, target: SipUri | None = None) -> SipUri:
        """Where a request to `target` leaves to: the outbound proxy, or the target itself."""
        if self.route is not None:
            assert isinstance(self.route.uri, SipUri)
            return self.route.uri
        return target if target is not None else self.registrar

    def is_home(self, uri: SipUri) -> bool:
        """True for addresses in our own domain."""
        return uri.host == self.uri.host and uri.port in (None, self.port)

    def resolve(self, target: str, near: Uri | None = None) -> SipUri:
        """The SIP URI that `target`, as typed, means for the owner of this account. Who has no domain may
        mean that of somebody they talk with, who is `near`.
        """
        text = target.strip(" \t")
        if not text or any(character in text for character in "\r\n\0"):
            raise InvalidAddress("an address must not be empty")
        if text[:4].lower() in ("sip:", "sips", "tel:") or "<" in text:
            return self._from_uri(text)
        user, at, _host = text.partition("@")
        if at and NAME.fullmatch(user):
            return self._from_uri(f"{self._scheme}:{text}")
        return self._in_domain(text, near)

    def _from_uri(self, text: str) -> SipUri:
        uri = _parse(text)
        if isinstance(uri, TelUri):
            return self._in_domain(uri.number).with_parameter("user", "phone")
        if isinstance(uri, OtherUri):
            raise InvalidAddress(f"{text!r} is no SIP address: only sip:, sips: and tel: can be called")
        if not self.is_home(uri):
            return uri
        return self._by_transport(uri if uri.port == self.port else uri.replace(port=self.port))

    def _in_domain(self, text: str, near: Uri | None = None) -> SipUri:
        is_service = SERVICE.fullmatch(text) is not None
        if self.is_anonymous and _looks_like_host(text) and not is_service:
            return self._from_uri(f"sip:{text}")
        if not is_service and not NAME.fullmatch(text):
            raise InvalidAddress(f"{text!r} is no number, name or SIP address")
        user = SEPARATORS.sub("", text) if DIALLED.fullmatch(text) else text
        if not self.is_anonymous:
            return self._by_transport(self.uri.replace(user=user, port=self.port))
        if self.route is not None and isinstance(self.route.uri, SipUri):
            return SipUri(user, self.route.uri.host, secure=self.route.uri.secure)
        if isinstance(near, SipUri):
            return near.address_of_record().replace(user=user)
        raise InvalidAddress(
            f"{text!r} needs a domain: give an account, or a whole address like sip:{text}@example.com"
        )

    def _by_transport(self, uri: SipUri) -> SipUri:
        if self.route is None and self.transport is not None and uri.transport is None:
            return with_transport(uri, self.transport)
        return uri

    @property
    def _scheme(self) -> str:
        return "sips" if self.uri.secure else "sip"


def parse_account(
    address: str | None,
    *,
    server: str | None = None,
    transport: str | None = None,
    username: str | None = None,
    realm: str | None = None,
) -> Account:
    """The account of "sip:101@example.com", `Anna <sip:101@example.com>` or "101@example.com"; None is
    nobody.
    """
    word = parse_transport(transport)
    identity = ANONYMOUS if address is None else _parse_identity(address)
    uri = identity.uri
    assert isinstance(uri, SipUri)
    word = word or parse_transport(uri.transport)
    named = NameAddr(uri.address_of_record().replace(port=None), identity.display_name)
    route = parse_server(server, transport=word, secure=uri.secure) if server else None
    return Account(named, username or uri.user or "", realm, route, word, uri.port)


def parse_server(text: str, *, transport: Transport | None = None, secure: bool = False) -> NameAddr:
    """The outbound proxy as a Route value: "host", "host:port", "[::1]:5060" or
    "sip:host:port;transport=tcp".
    """
    shape = HOST_AND_PORT.fullmatch(text)
    if shape is not None:
        host, port = shape[1].strip("[]"), shape[2]
        uri = SipUri(None, host, _port(port) if port else None, secure=secure)
    else:
        parsed = _parse(text)
        if not isinstance(parsed, SipUri):
            raise InvalidAddress(
                f"{text!r} is no SIP server: expected HOST, HOST:PORT or sip:HOST;transport=tcp"
            )
        uri = parsed.replace(headers=())
    if transport is not None and uri.transport is None:
        uri = with_transport(uri, transport)
    return NameAddr(uri.with_parameter("lr"))


def parse_transport(text: str | None) -> Transport | None:
    """The transport named by a word of any case; None stays None."""
    if text is None:
        return None
    try:
        return Transport(text.upper())
    except ValueError:
        known = ", ".join(word.lower() for word in Transport)
        raise InvalidAddress(f"no transport {text!r}; there are: {known}") from None


def with_transport(uri: SipUri, transport: Transport) -> SipUri:
    """`uri` reached over `transport`. UDP is what a plain sip: URI means, but said aloud it skips SRV for
    others.
    """
    return uri.with_parameter("transport", transport.lower())


def _parse_identity(text: str) -> NameAddr:
    bare = text if "<" in text or text[:4].lower() in ("sip:", "sips") else f"sip:{text}"
    try:
        identity = NameAddr.parse(bare)
    except PeerError as error:
        raise InvalidAddress(f"{text!r} is no SIP address: {error}") from None
    if not isinstance(identity.uri, SipUri) or not identity.uri.user:
        raise InvalidAddress(f"{text!r} is no address of a user: expected something like sip:101@example.com")
    return identity


def _parse(text: str) -> SipUri | TelUri | OtherUri:
    try:
        return NameAddr.parse(text).uri if "<" in text else parse_uri(text)
    except PeerError as error:
        raise InvalidAddress(f"{text!r} is no SIP address: {error}") from None


def _looks_like_host(text: str) -> bool:
    """True for "192.0.2.1", "[::1]:5060", "pbx.example.com" and "localhost:5070", not for a number or a
    name.
    """
    return HOST_AND_PORT.fullmatch(text) is not None and any(sign in text for sign in ".:[")


def _port(text: str) -> int:
    try:
        return decimal(text, limit=65535)
    except PeerError:
        raise InvalidAddress(f"{text} is no port: ports go up to 65535") from None
