# SPDX-License-Identifier: Apache-2.0
"""Which messages make two kernels disagree, if any? Plain ones, with odd pieces put in at odd places."""

import importlib
from types import ModuleType
from typing import Any

import pytest
from hypothesis import strategies as st

from ringback.kernel import BIT, _reference

try:
    compiled: ModuleType | None = importlib.import_module("ringback.kernel._compiled")
except ModuleNotFoundError:
    compiled = None

reference = _reference
kernels = pytest.mark.parametrize(
    "kernel",
    [
        pytest.param(reference, id="python"),
        pytest.param(compiled, id="compiled", marks=pytest.mark.skipif(compiled is None, reason="not built")),
    ],
)
needs_both = pytest.mark.skipif(compiled is None, reason="the compiled kernel was not built")

ATTRIBUTES = (
    "data",
    "status",
    "method",
    "target",
    "branch",
    "sent_by",
    "via_transport",
    "via_count",
    "reply_port",
    "call_id",
    "cseq",
    "from_tag",
    "to_tag",
    "from_uri",
    "to_uri",
    "contact_uri",
    "max_forwards",
    "body_start",
    "present",
    "routes",
)

INVITE = (
    b"INVITE sip:bob@192.0.2.7:5070;transport=udp SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK776asdhds;rport\r\n"
    b"Max-Forwards: 70\r\n"
    b"Route: <sip:proxy.example.com;lr>, <sip:proxy2.example.com;lr>\r\n"
    b'From: "Alice" <sip:alice@example.com>;tag=1928301774\r\n'
    b"To: Bob <sip:bob@example.com>\r\n"
    b"Call-ID: a84b4c76e66710@pc33.example.com\r\n"
    b"CSeq: 314159 INVITE\r\n"
    b"Contact: <sip:alice@192.0.2.1:5060;transport=udp>;expires=60\r\n"
    b"Record-Route: <sip:first.example.com;lr>\r\n"
    b"Timestamp: 54\r\n"
    b"X-Unknown: kept\r\n"
    b"Content-Type: application/sdp\r\n"
    b"Content-Length: 4\r\n"
    b"\r\n"
    b"v=0\n"
)
OK = (
    b"SIP/2.0 200 Fine\r\n"
    b"Via: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bKours;rport=5060;received=192.0.2.9\r\n"
    b"Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK776asdhds;rport=5060\r\n"
    b"From: <sip:alice@example.com>;tag=1928301774\r\n"
    b"To: <sip:bob@example.com>;tag=a6c85cf\r\n"
    b"Call-ID: a84b4c76e66710@pc33.example.com\r\n"
    b"CSeq: 314159 INVITE\r\n"
    b"Contact: <sip:bob@192.0.2.4>\r\n"
    b"Content-Length: 0\r\n"
    b"\r\n"
)

HOSTS = [
    "192.0.2.1",
    "example.com",
    "UPPER.Example",
    "a_b-c.d",
    "[2001:db8::1]",
    "[::1]",
    "1.2.3.256",
    "01.2.3.4",
    "1.2.3",
    "127.1",
    "1.2.3.4.5",
    "3com",
    "com.3com",
    "a..b",
    "a.",
    "-a",
    "a.-b",
    "[2001:DB8::1]",
    "[2001:db8:0::1]",
    "[::ffff:1.2.3.4]",
    "[::102:304]",
    "[::ffff:102:304]",
    "[::1:0]",
    "[fe80::1%1]",
    "[]",
    "[1:2]",
    "0x7f.1",
    "x" * 255,
    "x" * 256,
]
PORTS = ["", "", ":5060", ":1", ":65535", ":65536", ":0", ":05060", ":", ":5060x"]
URI_PARAMETERS = [
    "",
    "",
    ";lr",
    ";transport=udp",
    ";lr;lr",
    ";lr;LR",
    ";a=%41",
    ";a=%4",
    ";a=",
    ";=b",
    ";a=b=c",
    ";a=[x]:&",
]
USERS = [
    "alice@",
    "",
    "",
    "a.b-c@",
    "+49(30)@",
    "a%40b@",
    "a%4@",
    "a;p=1@",
    "a,b@",
    "a?b@",
    "al:pw@",
    "@",
    "a@b@",
    "#31#@",
    "é@",
]
SCHEMES = ["sip:", "sip:", "sips:", "SIP:", "tel:", "sipx:", "http:", "sip", ""]


def uris() -> st.SearchStrategy[str]:
    """URIs, most of them plain."""
    pick = st.sampled_from
    parts = (
        pick(SCHEMES),
        pick(USERS),
        pick(HOSTS),
        pick(PORTS),
        pick(URI_PARAMETERS),
        pick(["", "", "", "?a=b"]),
    )
    odd = st.tuples(*parts).map("".join)
    return st.one_of(pick(["sip:alice@example.com", "sip:192.0.2.1:5070;lr", "sips:bob@b.example"]), odd)


PARAMETERS = ["", "", ";tag=1", ";tag=a=b/c", ";tag", ";tag=", ';tag="x"', ";TAG=x", ";tag=1;tag=2", ";a;b=1", ';a="q;,>\xe9"', ';a="q\\"', ';a="', "; a=1", ";a =1", ";a=1;A=2", ";q=0.5;expires=0", ";é=1", "".join(f";p{i}" for i in range(17))]  # fmt: skip
DISPLAYS = ["", "", "Bob ", '"Bob" ', '"B, <o> b"', '"B\\"b" ', "Bob, the ", "é ", '"', "a:b ", "\t", "Bob"]


def addresses() -> st.SearchStrategy[str]:
    """Values of From, To, Contact, Route."""
    pick = st.sampled_from
    bracketed = st.tuples(pick(DISPLAYS), st.just("<"), uris(), st.just(">"), pick(PARAMETERS)).map("".join)
    bare = st.tuples(uris(), pick(PARAMETERS)).map("".join)
    return st.one_of(bracketed, bracketed, bare)


def lists(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Comma lists of one to four values, and a few of very many."""
    separators = st.sampled_from([",", ", ", ",\t ", " , ", ",,", " "])
    short = st.builds(str.join, separators, st.lists(values, min_size=1, max_size=4))
    return st.one_of(
        values,
        short,
        st.builds(lambda value, count: ",".join([value] * count), values, st.sampled_from([31, 33, 69, 71])),
    )


VIA_PARAMETERS = [";branch=z9hG4bKx", ";branch=z9hG4bKx;rport", ";rport;branch=z9hG4bKx", ";branch=z9hG4bKx;rport=5060;received=192.0.2.1", ";received=192.0.2.1;branch=z9hG4bKx", ";branch=z9hG4bKx;received=192.0.2.1", ";rport=99;received=9.9.9.9;branch=z9hG4bKy;x", ";RPORT=5061;branch=z9hG4bKx;received=10.0.0.1", ";rport=5061;branch=z9hG4bKx;received=10.0.0.1", ";branch=z9hG4bK", ";branch=z9hg4bkx", ";branch", ";branch=abc", "", ";branch=z9hG4bKx;maddr=1.2.3.4", ";ttl=1;branch=z9hG4bKx", ";rport=x;branch=z9hG4bKx", ";rport=0;branch=z9hG4bKx", ";BRANCH=z9hG4bKx", ';branch="z9hG4bKx"', ";branch=z9hG4bKx ;rport", ";branch=z9hG4bKx;branch=z9hG4bKy", ";branch=z9hG4bKé", ";oc;branch=z9hG4bK=?@", ';branch=z9hG4bKx;oc;oc-algo="loss, rate"', ';rport;a="\xe9<";branch=z9hG4bKx', ';branch=z9hG4bKx;a="\\""', ';received="x";branch=z9hG4bKx;rport="5"']  # fmt: skip
PROTOCOLS = ["SIP/2.0/UDP ", "SIP/2.0/UDP ", "SIP/2.0/UDP ", "SIP/2.0/TCP ", "SIP/2.0/udp ", "SIP/2.0/TLS-SCTP ", "sip/2.0/UDP ", "SIP / 2.0 / UDP ", "SIP/2.0/UDP  ", "SIP/3.0/UDP ", "SIP/2.0/ ", "SIP/2.0/U"]  # fmt: skip


def hops() -> st.SearchStrategy[str]:
    """Values of Via."""
    pick = st.sampled_from
    odd = st.tuples(pick(PROTOCOLS), pick(HOSTS), pick(PORTS), pick(VIA_PARAMETERS)).map("".join)
    usual = st.tuples(st.just("SIP/2.0/UDP 192.0.2.1"), pick(["", ":5070"]), pick(VIA_PARAMETERS)).map(
        "".join
    )
    return st.one_of(usual, odd)


VALUES: dict[str, st.SearchStrategy[str]] = {
    "Via": lists(hops()),
    "v": hops(),
    "From": addresses(),
    "f": addresses(),
    "To": addresses(),
    "t": addresses(),
    "TO": addresses(),
    "Contact": st.one_of(lists(addresses()), st.sampled_from(["*", ""])),
    "m": addresses(),
    "Route": lists(addresses()),
    "Record-Route": lists(addresses()),
    "Call-ID": st.sampled_from(["a", "a@b", "a@b@c", "@a", "a@", "a b", "a,b", "<:\\>", "é", ""]),
    "CSeq": st.sampled_from(["1 INVITE", "1 BYE", "01 INVITE", "1  INVITE", "1\tINVITE", "2147483647 INVITE", "2147483648 INVITE", "1 invite", "1 FOO", "INVITE", "1", "-1 INVITE", "00000000001 INVITE"]),
    "Max-Forwards": st.sampled_from(["70", "0", "255", "256", "007", "0070", "", "x", "7 0"]),
    "Content-Length": st.sampled_from(["0", "4", "04", "3", "5", "99999", "0000000004", "00000000004", "+4", "4 ", ""]),
    "l": st.sampled_from(["4", "0"]),
    "Content-Type": st.sampled_from(["application/sdp", "a/b;c=d", 'a/b;c="d e"', 'a/b;c="d\\"e"', "a / b", "a", "a/", "a/b;c", "a/b;c=", "a/b;c;C", "a/b ;c"]),
    "c": st.sampled_from(["text/plain"]),
    "Expires": st.sampled_from(["0", "60", "4294967295", "4294967296", "99999999999", "x", ""]),
    "Require": st.sampled_from(["100rel", "100rel,timer", "a, b", "a ,b", "", ",", "a,,b", "é", ",".join("x" * 32), ",".join("x" * 33)]),
    "Proxy-Require": st.sampled_from(["100rel", "a;b", "a, b"]),
    "Supported": st.sampled_from(["", "replaces", "é\xff"]),
    "k": st.just("timer"),
    "X-Foo": st.text(st.characters(max_codepoint=255), max_size=12),
    "P-Asserted-Identity": st.just("<sip:x@y>"),
    "x": st.just("1800"),
    "A-very-long-name-that-no-table-has-in-it": st.just("1"),
    "Timestamp": st.sampled_from(["1", "x"]),
}  # fmt: skip
START_LINES = ["INVITE sip:bob@example.com SIP/2.0", "BYE sip:b SIP/2.0", "INVITE tel:+1 SIP/2.0", "INVITE sip:b?a=b SIP/2.0", "FOO sip:b SIP/2.0", "invite sip:b SIP/2.0", "INVITE  sip:b SIP/2.0", "INVITE sip:b SIP/2.0 ", "INVITE sip:b sip/2.0", "INVITE sip:b SIP/3.0", "INVITE", "", "SIP/2.0 200 OK", "SIP/2.0 100 ", "SIP/2.0 100", "SIP/2.0 099 x", "SIP/2.0 700 x", "SIP/2.0 200 SIP/2.0", "SIP/2.0 200 x SIP/2.0", "SIP/2.0 1000 x", "sip/2.0 200 OK", "SIP/2.0  200 OK", "INVITE sip:" + "x" * 2044 + " SIP/2.0", "INVITE sip:b;" + "x" * 2043 + " SIP/2.0", "INVITE sip:b;" + "x" * 2042 + " SIP/2.0"]  # fmt: skip
PIECES = [b"\r\n", b"\r", b"\n", b" ", b"\t", b"\0", b"\x7f", b"\xff", b":", b";", b",", b"=", b"@", b"<", b">", b'"', b"\\", b"?", b"%", b"[", b"]", b"\r\n ", b"\r\n\r\n", b"z", b"0", b";tag=", b"\r\nv:", b"\r\nTo : "]  # fmt: skip


def _line(name: str) -> st.SearchStrategy[bytes]:
    separator = st.sampled_from([": ", ": ", ": ", ":", ":  ", " : ", ":\t"])
    end = st.sampled_from(["", "", "", " ", "\t "])
    return st.tuples(st.just(name), separator, VALUES[name], end).map(
        lambda parts: "".join(parts).encode("latin-1")
    )


LINES = st.sampled_from(sorted(VALUES)).flatmap(_line)


@st.composite
def heads(draw: Any) -> bytes:
    """A plain message of which a few lines were replaced, added, dropped or doubled."""
    head, _, body = draw(st.sampled_from([INVITE, INVITE, OK])).partition(b"\r\n\r\n")
    start_line, *lines = head.split(b"\r\n")
    for kind, place, line in draw(
        st.lists(st.tuples(st.sampled_from("radu"), st.integers(0, 13), LINES), max_size=3)
    ):
        name = line.partition(b":")[0].lower()
        same = [index for index, old in enumerate(lines) if old.partition(b":")[0].lower() == name]
        if kind == "u" and len(lines) > place:
            lines[place] = (
                lines[place].swapcase()
                if line[-1:] == b" "
                else lines[place].partition(b":")[0].upper() + b":" + lines[place].partition(b":")[2]
            )
        elif kind == "d" and len(lines) > place:
            del lines[place]
        elif kind == "r" and same:
            lines[same[0]] = line
        else:
            lines.insert(place, line)
    if draw(st.integers(0, 3)) == 0:
        start_line = draw(
            st.one_of(st.sampled_from(START_LINES), uris().map("INVITE {} SIP/2.0".format))
        ).encode("latin-1")
    return b"\r\n".join([start_line, *lines]) + b"\r\n\r\n" + body


@st.composite
def messages(draw: Any) -> bytes:
    """Such a message with pieces put in, or cut out, at any place."""
    data: bytes = draw(heads())
    for place, length, piece in draw(
        st.lists(
            st.tuples(st.integers(0, 700), st.sampled_from([0, 0, 1, 3]), st.sampled_from(PIECES)), max_size=2
        )
    ):
        data = data[:place] + piece + data[place + length :]
    return data


SOURCES = st.sampled_from(
    [
        ("", 0),
        ("192.0.2.1", 5060),
        ("10.0.0.1", 5061),
        ("2001:db8::1", 5060),
        ("::1", 65535),
        ("example.com", 1),
        ("a b", 1),
    ]
)


def facts(head: Any) -> dict[str, Any] | None:
    """Everything a Head says."""
    if head is None:
        return None
    values = {f"value of {name}": head.value(bit) for name, bit in BIT.items()}
    return {name: getattr(head, name) for name in ATTRIBUTES} | values
