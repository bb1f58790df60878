# SPDX-License-Identifier: Apache-2.0
"""Which octets, names and sizes make a message plain? One table for both kernels (RFC 3261 25.1).

Plain is what a fast reader may take without a second look. It is narrower than the grammar, on purpose:
whatever is doubtful, rare or merely tolerated goes to the careful parser in `sip/message`.
"""

import re

MAX_MESSAGE = 65536
MAX_LINE = 8192
MAX_LINES = 256
MAX_TARGET = 2048
MAX_HOST = 255
MAX_CSEQ = 2**31 - 1
MAX_EXPIRES = 2**32 - 1
#: Parameters of one URI, one Via or one address.
MAX_PARAMETERS = 16
#: How many values a list may have, over all its lines.
MAX_VALUES = {"via": 70, "contact": 32, "route": 32, "record-route": 70, "require": 32, "proxy-require": 32}

#: RFC 3261 8.1.1.7: what a branch of our age begins with.
MAGIC_COOKIE = b"z9hG4bK"

METHODS = (
    b"INVITE",
    b"ACK",
    b"BYE",
    b"CANCEL",
    b"REGISTER",
    b"OPTIONS",
    b"MESSAGE",
    b"INFO",
    b"UPDATE",
    b"PRACK",
    b"REFER",
    b"SUBSCRIBE",
    b"NOTIFY",
    b"PUBLISH",
)

#: The header fields whose presence a message tells at once. The compiled kernel knows the first fifteen by
#: their places.
NAMES = (
    "via",
    "from",
    "to",
    "call-id",
    "cseq",
    "max-forwards",
    "contact",
    "route",
    "record-route",
    "content-type",
    "content-length",
    "expires",
    "require",
    "proxy-require",
    "timestamp",
    "supported",
    "unsupported",
    "allow",
    "authorization",
    "proxy-authorization",
    "www-authenticate",
    "proxy-authenticate",
    "max-breadth",
    "privacy",
    "path",
    "event",
    "accept-contact",
    "reject-contact",
    "request-disposition",
    "user-agent",
    "server",
    "min-expires",
    "date",
    "session-expires",
    "min-se",
    "rseq",
    "rack",
    "replaces",
    "referred-by",
    "refer-to",
    "reason",
    "retry-after",
    "p-asserted-identity",
    "p-preferred-identity",
    "p-asserted-service",
    "p-associated-uri",
    "p-called-party-id",
    "p-charging-function-addresses",
    "p-charging-vector",
    "p-profile-key",
    "p-served-user",
    "p-user-database",
    "p-visited-network-id",
    "remote-party-id",
    "diversion",
)

#: The bit of each of them in `Head.present`, and in `without`.
BIT: dict[str, int] = {name: 1 << place for place, name in enumerate(NAMES)}

#: Compact forms of these names (RFC 3261 7.3.3 and IANA's registry).
COMPACT = {
    "v": "via",
    "f": "from",
    "t": "to",
    "i": "call-id",
    "m": "contact",
    "c": "content-type",
    "l": "content-length",
    "k": "supported",
    "o": "event",
    "a": "accept-contact",
    "j": "reject-contact",
    "d": "request-disposition",
    "x": "session-expires",
    "b": "referred-by",
    "r": "refer-to",
}

#: What must stand once, and what may not stand twice.
REQUIRED = ("from", "to", "call-id", "cseq", "content-length")
ONCE = (*REQUIRED, "max-forwards", "contact", "content-type", "expires")

#: The parameters of digest challenges and credentials, as all phones write them (RFC 7616 3.3 and 3.4).
AUTH_NAMES = (
    "username",
    "realm",
    "nonce",
    "uri",
    "response",
    "algorithm",
    "cnonce",
    "opaque",
    "qop",
    "nc",
    "stale",
    "userhash",
    "domain",
    "charset",
)

# Sets of octets, written as the inside of a bracket expression.
TOKEN = rb"A-Za-z0-9\-.!%*_+`'~"
#: An unquoted parameter value: see `sip.message.parameters`.
VALUE = rb"!#-+\--:=?@A-Z\[\]^_`a-z{|}~"
HOST = rb"A-Za-z0-9_.\-"
#: The user part of a URI, without escapes, and without what would end an addr-spec.
USER = rb"A-Za-z0-9\-_.!~*'()&=+$;/#"
URI_PARAMETER = rb"A-Za-z0-9\-_.!~*'()\[\]/:&+$"
#: `word`, of which a Call-ID is made.
WORD = rb"A-Za-z0-9\-.!%*_+`'~()<>:\\\"/\[\]?{}"
#: A display name without quotes.
DISPLAY = rb"A-Za-z0-9\-.!%*_+`'~ \t\x80-\xff"
DIGIT = rb"0-9"
HEXADECIMAL = rb"0-9A-Fa-f"
#: The classes as the compiled kernel numbers them.
CLASSES = (TOKEN, VALUE, HOST, USER, URI_PARAMETER, WORD, DISPLAY, DIGIT, HEXADECIMAL)


def octets(inside: bytes) -> bytes:
    """The octets of a class, in order."""
    return b"".join(re.findall(b"[" + inside + b"]", bytes(range(256))))
