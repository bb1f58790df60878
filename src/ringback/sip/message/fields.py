# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: E501 - one row, one line
"""Which header fields are there, and how is each read? The table (RFC 3261 section 20 and IANA's registry).

To add a header field, add a row: its name, how often it may come, what reads one line of it, the RFC, an example
(a test parses, prints and parses it again), its compact form.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from ringback.sip.errors import PeerError
from ringback.sip.message.body import ContentType
from ringback.sip.message.credentials import AuthenticationResult, Challenge, Credentials
from ringback.sip.message.dates import Date
from ringback.sip.message.numbers import MAX_32, decimal
from ringback.sip.message.parameters import Parameterised, filled, is_token, split_list, token
from ringback.sip.message.uri import NameAddr
from ringback.sip.message.values import (
    CSeq,
    DialogReference,
    RAck,
    Reason,
    RetryAfter,
    SessionExpires,
    Timestamp,
    Warning,  # noqa: A004 - the RFC's noun
    call_id,
)
from ringback.sip.message.via import Via


class Shape(IntEnum):
    """How often a header field may come, and what stands in one line of it."""

    ONE = 0  # once, one value; twice is an error where both cannot be obeyed
    LIST = 1  # any number of lines, each a comma list (7.3.1)
    LINES = 2  # any number of lines, each one value, commas belong to it (20.7, 20.44)


@dataclass(frozen=True, slots=True)
class Field:
    """One row of the table. `parse` reads one unfolded line: a value, or a list of them if `is_list`."""

    name: str
    shape: Shape
    parse: Callable[[str], object]
    rfc: str
    example: str
    compact: str = ""

    @property
    def is_list(self) -> bool:
        """True for comma lists."""
        return self.shape is Shape.LIST


def print_value(value: object) -> str:
    """The text of a typed value: the inverse of the row's `parse`."""
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def list_of(parse: Callable[[str], object]) -> Callable[[str], list[object]]:
    """A comma list that may not hold empty elements."""

    def parse_list(text: str) -> list[object]:
        return [parse(element) for element in filled(split_list(text))]

    return parse_list


def _number(text: str) -> int:
    return decimal(text, limit=MAX_32)


def _small_number(text: str) -> int:
    return decimal(text, limit=255)


def _text(text: str) -> str:
    return text


def _words(text: str) -> list[str]:
    """Tokens of no case; empty elements say nothing and are dropped."""
    return [token(word).lower() for word in split_list(text) if word]


def _methods(text: str) -> list[str]:
    return [token(word).upper() for word in split_list(text) if word]


def _privacy(text: str) -> list[str]:
    """Separated by semicolons in RFC 3323 4.2, by commas in RFC 7044's examples: both are read."""
    return [token(word.strip(" \t")).lower() for word in text.replace(",", ";").split(";")]


def _tagged(text: str) -> NameAddr:
    """From or To: a tag without a value is none, and would be answered with a second one (19.3)."""
    address = NameAddr.parse(text)
    if address.parameters and not address.tag and address.has_parameter("tag"):
        raise PeerError("empty tag", section="RFC 3261 19.3")
    return address


def _contacts(text: str) -> list[NameAddr]:
    """ "*" stands for all bindings (10.2.2) and is no address: the list is empty."""
    return [] if text == "*" else [NameAddr.parse(element) for element in filled(split_list(text))]


ONE, LIST, LINES = Shape.ONE, Shape.LIST, Shape.LINES
_addresses = list_of(NameAddr.parse)
_elements = list_of(Parameterised.parse)
_media = list_of(ContentType.parse)

# fmt: off
_ROWS = (
    Field("Accept",                  LIST,  _media,          "RFC 3261 20.1",  'application/sdp;level=1, application/x-private, text/*;q="0.5"'),
    Field("Accept-Contact",          LIST,  _elements,       "RFC 3841 9.2",   '*;audio;require, *;methods="INVITE,BYE";explicit', "a"),
    Field("Accept-Encoding",         LIST,  _elements,       "RFC 3261 20.2",  "gzip, identity;q=0.5"),
    Field("Accept-Language",         LIST,  _elements,       "RFC 3261 20.3",  "da, en-gb;q=0.8, en;q=0.7"),
    Field("Accept-Resource-Priority", LIST, _words,          "RFC 4412 3.2",   "dsn.flash-override, dsn.flash"),
    Field("Alert-Info",              LIST,  _addresses,      "RFC 3261 20.4",  "<http://www.example.com/sounds/moo.wav>;info=alert"),
    Field("Allow",                   LIST,  _methods,        "RFC 3261 20.5",  "INVITE, ACK, OPTIONS, CANCEL, BYE"),
    Field("Allow-Events",            LIST,  _words,          "RFC 6665 8.2.2", "presence, dialog, message-summary", "u"),
    Field("Answer-Mode",             ONE,   Parameterised.parse, "RFC 5373",   "Manual;require"),
    Field("Authentication-Info",     ONE,   AuthenticationResult.parse, "RFC 3261 20.6", 'nextnonce="47364c23432d2e131a5fb210812c", qop=auth, nc=00000001'),
    Field("Authorization",           LINES, Credentials.parse, "RFC 3261 20.7", 'Digest username="Alice", realm="atlanta.com", nonce="84a4", uri="sip:atlanta.com", response="7587", algorithm=MD5, qop=auth, nc=00000001, cnonce="0a4f"'),
    Field("Call-ID",                 ONE,   call_id,         "RFC 3261 20.8",  "f81d4fae-7dec-11d0-a765-00a0c91e6bf6@biloxi.com", "i"),
    Field("Call-Info",               LIST,  _addresses,      "RFC 3261 20.9",  "<http://www.example.com/alice/photo.jpg>;purpose=icon, <http://www.example.com/alice/>;purpose=info"),
    Field("Contact",                 LIST,  _contacts,       "RFC 3261 20.10", '"Mr. Watson, \\"W\\"" <sip:watson@worcester.example.com;lr>;q=0.7;expires=3600, "Mr. Watson" <mailto:watson@example.com>;q=0.1;+sip.instance="<urn:uuid:1>"', "m"),
    Field("Content-Disposition",     ONE,   Parameterised.parse, "RFC 3261 20.11", "session;handling=optional"),
    Field("Content-Encoding",        LIST,  _words,          "RFC 3261 20.12", "gzip", "e"),
    Field("Content-ID",              ONE,   _text,           "RFC 8262",       "<target123@atlanta.example.com>"),
    Field("Content-Language",        LIST,  _words,          "RFC 3261 20.13", "fr, en-gb"),
    Field("Content-Length",          ONE,   _number,         "RFC 3261 20.14", "349", "l"),
    Field("Content-Type",            ONE,   ContentType.parse, "RFC 3261 20.15", 'multipart/mixed;boundary="a b"', "c"),
    Field("CSeq",                    ONE,   CSeq.parse,      "RFC 3261 20.16", "4711 INVITE"),
    Field("Date",                    ONE,   Date.parse,      "RFC 3261 20.17", "Sat, 13 Nov 2010 23:29:00 GMT"),
    Field("Diversion",               LIST,  _addresses,      "RFC 5806",       '"Bob" <sip:bob@example.com>;reason=user-busy;counter=1'),
    Field("Error-Info",              LIST,  _addresses,      "RFC 3261 20.18", "<sip:not-in-service-recording@atlanta.com>"),
    Field("Event",                   ONE,   Parameterised.parse, "RFC 6665 8.2.1", "dialog;id=1234", "o"),
    Field("Expires",                 ONE,   _number,         "RFC 3261 20.19", "5"),
    Field("Feature-Caps",            LIST,  _elements,       "RFC 6809",       '*;+g.3gpp.srvcc;+g.x="<a>"'),
    Field("Flow-Timer",              ONE,   _number,         "RFC 5626 10",    "120"),
    Field("From",                    ONE,   _tagged,         "RFC 3261 20.20", '"A. G. Bell" <sip:agb@bell-telephone.com>;tag=a48s', "f"),
    Field("Geolocation",             LIST,  _addresses,      "RFC 6442 4.1",   "<cid:target123@atlanta.example.com>, <https://lis.example.com/d77>"),
    Field("Geolocation-Error",       ONE,   Parameterised.parse, "RFC 6442 4.3", '100;code="Cannot Process Location"'),
    Field("Geolocation-Routing",     ONE,   Parameterised.parse, "RFC 6442 4.2", "yes"),
    Field("History-Info",            LIST,  _addresses,      "RFC 7044 5",     "<sip:bob@example.com?Reason=SIP%3Bcause%3D302>;index=1, <sip:carol@example.com>;index=1.1;rc=1"),
    Field("Identity",                LINES, _text,           "RFC 8224 4",     "eyJhbGciOiJFUzI1NiJ9..sv7CTo;info=<https://cert.example.com/a.cer>;alg=ES256", "y"),
    Field("In-Reply-To",             LIST,  list_of(call_id), "RFC 3261 20.21", "70710@saturn.bell-tel.com, 17320@saturn.bell-tel.com"),
    Field("Info-Package",            ONE,   Parameterised.parse, "RFC 6086 7.1", "foo;bar=1"),
    Field("Join",                    ONE,   DialogReference.parse, "RFC 3911 7.1", "12345600@atlanta.example.com;from-tag=1234567;to-tag=23431"),
    Field("Max-Breadth",             ONE,   _number,         "RFC 5393 5.3",   "60"),
    Field("Max-Forwards",            ONE,   _small_number,   "RFC 3261 20.22", "6"),
    Field("MIME-Version",            ONE,   _text,           "RFC 3261 20.24", "1.0"),
    Field("Min-Expires",             ONE,   _number,         "RFC 3261 20.23", "60"),
    Field("Min-SE",                  ONE,   SessionExpires.parse, "RFC 4028 5", "90"),
    Field("Organization",            ONE,   _text,           "RFC 3261 20.25", "Boxes by Bob"),
    Field("P-Access-Network-Info",   LIST,  _elements,       "RFC 7315 4.4",   "3GPP-UTRAN-TDD;utran-cell-id-3gpp=C359A3913B20E"),
    Field("P-Asserted-Identity",     LIST,  _addresses,      "RFC 3325 9.1",   '"Cullen Jennings" <sip:fluffy@cisco.com>, <tel:+14085264000>'),
    Field("P-Associated-URI",        LIST,  _addresses,      "RFC 7315 4.1",   "<sip:+14085264000@example.com>"),
    Field("P-Called-Party-ID",       ONE,   NameAddr.parse,  "RFC 7315 4.2",   "<sip:user1-business@example.com>"),
    Field("P-Charging-Vector",       ONE,   _text,           "RFC 7315 4.6",   "icid-value=1234bc9876e;icid-generated-at=192.0.6.8"),
    Field("P-Early-Media",           LIST,  _words,          "RFC 5009 4",     "sendrecv, gated"),
    Field("P-Preferred-Identity",    LIST,  _addresses,      "RFC 3325 9.2",   '"Cullen Jennings" <sip:fluffy@cisco.com>'),
    Field("P-Visited-Network-ID",    LINES, _text,           "RFC 7315 4.3", '"Visited network number 1", other'),
    Field("Path",                    LIST,  _addresses,      "RFC 3327 4",     "<sip:P1.EXAMPLEVISITED.COM;lr>, <sip:P3.EXAMPLEHOME.COM;lr>"),
    Field("Priority",                ONE,   token,           "RFC 3261 20.26", "emergency"),
    Field("Priv-Answer-Mode",        ONE,   Parameterised.parse, "RFC 5373",   "Auto"),
    Field("Privacy",                 ONE,   _privacy,        "RFC 3323 4.2",   "id"),
    Field("Proxy-Authenticate",      LINES, Challenge.parse, "RFC 3261 20.27", 'Digest realm="atlanta.com", qop="auth,auth-int", nonce="f84f", opaque="", stale=FALSE, algorithm=SHA-256'),
    Field("Proxy-Authorization",     LINES, Credentials.parse, "RFC 3261 20.28", 'Digest username="Alice", realm="atlanta.com", nonce="c60f", response="245f"'),
    Field("Proxy-Require",           LIST,  _words,          "RFC 3261 20.29", "foo"),
    Field("RAck",                    ONE,   RAck.parse,      "RFC 3262 7.2",   "776656 1 INVITE"),
    Field("Reason",                  LIST,  list_of(Reason.parse), "RFC 3326 2", 'SIP;cause=200;text="Call completed elsewhere", Q.850;cause=16'),
    Field("Record-Route",            LIST,  _addresses,      "RFC 3261 20.30", "<sip:server10.biloxi.com;lr>, <sip:bigbox3.site3.atlanta.com;lr>"),
    Field("Recv-Info",               LIST,  _elements,       "RFC 6086 7.2",   "foo, bar;x=1"),
    Field("Refer-Sub",               ONE,   Parameterised.parse, "RFC 4488 4", "false"),
    Field("Refer-To",                ONE,   NameAddr.parse,  "RFC 3515 2.1",   "<sip:dave@denver.example.org?Replaces=12345%40192.168.118.3%3Bto-tag%3D12345>", "r"),
    Field("Referred-By",             ONE,   NameAddr.parse,  "RFC 3892 3",     '<sip:referrer@example.com>;cid="20398823.2UWQFN309shb3@referrer.example"', "b"),
    Field("Reject-Contact",          LIST,  _elements,       "RFC 3841 9.2",   '*;actor="msg-taker";video', "j"),
    Field("Remote-Party-ID",         LIST,  _addresses,      "draft-ietf-sip-privacy-04", '"John Doe" <sip:jdoe@foo.com>;party=calling;privacy=off'),
    Field("Replaces",                ONE,   DialogReference.parse, "RFC 3891 6.1", "98732@sip.example.com;from-tag=r33th4x0r;to-tag=ff87ff;early-only"),
    Field("Reply-To",                ONE,   NameAddr.parse,  "RFC 3261 20.31", "Bob <sip:bob@biloxi.com>"),
    Field("Request-Disposition",     LIST,  _words,          "RFC 3841 9.1",   "proxy, recurse, parallel", "d"),
    Field("Require",                 LIST,  _words,          "RFC 3261 20.32", "100rel"),
    Field("Resource-Priority",       LIST,  _words,          "RFC 4412 3.1",   "dsn.flash, wps.3"),
    Field("Retry-After",             ONE,   RetryAfter.parse, "RFC 3261 20.33", "18000 (I'm in a meeting);duration=3600"),
    Field("Route",                   LIST,  _addresses,      "RFC 3261 20.34", "<sip:bigbox3.site3.atlanta.com;lr>, <sip:server10.biloxi.com;lr>"),
    Field("RSeq",                    ONE,   _number,         "RFC 3262 7.1",   "988789"),
    Field("Security-Client",         LIST,  _elements,       "RFC 3329 2.2",   "tls, digest;d-alg=SHA-256"),
    Field("Security-Server",         LIST,  _elements,       "RFC 3329 2.2",   "ipsec-ike;q=0.1, tls;q=0.2"),
    Field("Security-Verify",         LIST,  _elements,       "RFC 3329 2.2",   "tls;q=0.2"),
    Field("Server",                  ONE,   _text,           "RFC 3261 20.35", "HomeServer v2"),
    Field("Service-Route",           LIST,  _addresses,      "RFC 3608 5",     "<sip:P2.HOME.EXAMPLE.COM;lr>, <sip:HSP.HOME.EXAMPLE.COM;lr>"),
    Field("Session-Expires",         ONE,   SessionExpires.parse, "RFC 4028 4", "4000;refresher=uac", "x"),
    Field("Session-ID",              ONE,   Parameterised.parse, "RFC 7989 5", "ab30317f1a784dc48ff824d0d3715d86;remote=47755a9de7794ba387653f2099600ef2"),
    Field("SIP-ETag",                ONE,   token,           "RFC 3903 11.3.1", "dx200xyz"),
    Field("SIP-If-Match",            ONE,   token,           "RFC 3903 11.3.2", "dx200xyz"),
    Field("Subject",                 ONE,   _text,           "RFC 3261 20.36", "Need more boxes; tech, support", "s"),
    Field("Subscription-State",      ONE,   Parameterised.parse, "RFC 6665 8.2.3", "terminated;reason=timeout;retry-after=10"),
    Field("Supported",               LIST,  _words,          "RFC 3261 20.37", "100rel, timer", "k"),
    Field("Suppress-If-Match",       ONE,   token,           "RFC 5839 6",     "b4cf7"),
    Field("Target-Dialog",           ONE,   DialogReference.parse, "RFC 4538 7", "fa77as7dad8-sd98ajzz@host.example.com;local-tag=kkaz-;remote-tag=6544"),
    Field("Timestamp",               ONE,   Timestamp.parse, "RFC 3261 20.38", "54.25 0.5"),
    Field("To",                      ONE,   _tagged,         "RFC 3261 20.39", "The Operator <sip:operator@cs.columbia.edu>;tag=287447", "t"),
    Field("Unsupported",             LIST,  _words,          "RFC 3261 20.40", "foo"),
    Field("User-Agent",              ONE,   _text,           "RFC 3261 20.41", "Softphone Beta1.5 (x; y)"),
    Field("User-to-User",            LIST,  _elements,       "RFC 7433 4.1",   "56a390f3d2b7310023a2;encoding=hex;purpose=foo;content=bar"),
    Field("Via",                     LIST,  Via.parse_list,  "RFC 3261 20.42", "SIP/2.0/UDP erlang.bell-telephone.com:5060;branch=z9hG4bK87asdks7, SIP/2.0/TLS [2001:db8::9:1];received=192.0.2.207;rport", "v"),
    Field("Warning",                 LIST,  list_of(Warning.parse), "RFC 3261 20.43", '307 isi.edu "Session parameter \'foo\' not understood", 301 isi.edu:5060 "Incompatible \\"address\\" type"'),
    Field("WWW-Authenticate",        LINES, Challenge.parse, "RFC 3261 20.44", 'Digest realm="atlanta.com", domain="sip:boxesbybob.com", qop="auth", nonce="f84f1cec", opaque="", stale=FALSE, algorithm=MD5'),
)
# fmt: on

FIELDS: dict[str, Field] = {row.name.lower(): row for row in _ROWS}

#: Two of these leave open which one counts; the peers behind us might choose otherwise (RFC 4475 3.3.8).
NEVER_TWICE = ("call-id", "cseq", "from", "to", "max-forwards", "content-length", "content-type", "expires")

_COMPACT = {row.compact: row.name.lower() for row in _ROWS if row.compact}
_MAX_CACHED = 2048
_MAX_CACHED_LENGTH = 64


def _usual_spellings() -> dict[str, str]:
    spellings = dict(_COMPACT)
    spellings.update((compact.upper(), key) for compact, key in _COMPACT.items())
    for row in _ROWS:
        spellings.update((name, row.name.lower()) for name in (row.name, row.name.lower(), row.name.upper()))
    return spellings


_KEYS_OF_TEXT: dict[str, str] = _usual_spellings()
#: The key of each spelling met so far, all of them tokens: for the one loop that cannot afford a call.
KEYS: dict[bytes, str] = {name.encode("ascii"): key for name, key in _KEYS_OF_TEXT.items()}


def canonical(name: bytes) -> str:
    """The key of a header field's name: lower case, long form (7.3.1, 7.3.3)."""
    key = KEYS.get(name)
    if key is None:
        key = name.lower().decode("utf-8", "surrogateescape")
        key = _COMPACT.get(key, key)
        if len(KEYS) < _MAX_CACHED and len(name) <= _MAX_CACHED_LENGTH and is_token(key):
            KEYS[name] = key
    return key


def canonical_text(name: str) -> str:
    """`canonical` for a name our own code wrote."""
    return _KEYS_OF_TEXT.get(name) or canonical(name.encode("utf-8", "surrogateescape"))


def long_name(key: str, name: bytes) -> str:
    """How the name is written out: as in the table, or as it came."""
    row = FIELDS.get(key)
    return row.name if row else name.decode("utf-8", "surrogateescape")
