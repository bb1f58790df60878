# SPDX-License-Identifier: Apache-2.0
"""What does the message layer say to the messages of RFC 4475 and RFC 5118, whole and split at every byte?

The vectors are in a folder beside the repository, or where RINGBACK_VECTORS says. Their index gives for each
the answers it may get; those that only a server can decide (420, 416, 404, ...) must pass here.

Where the RFC's own words disagree with the index, the RFC wins:

    name        index   here   why
    baddate     400     pass   RFC 4475 3.1.2.12: an element should not reject it unless the Date matters to
                               its processing. Reading the Date raises; nothing here reads it.
    mismatch02  400/501 501    RFC 4475 3.1.2.18: 501 is better than 400, for the method is one nobody knows.
    baddn       400     400    The file has no empty line at its end, so a stream never completes it. In a
                               datagram it is an unfinished head; with the empty line it is 400 for the
                               display name, as RFC 4475 3.1.2.15 means. Both are tested.
    s4_10_1     any     pass   RFC 5118 4.10: both spellings must be tolerated.
"""

import json
import os
from pathlib import Path

import pytest

from ringback.sip.errors import MalformedMessage, PeerError
from ringback.sip.message import NameAddr, Request, Response, check_request, check_response, parse_message
from ringback.sip.message.framing import FramingError, Ping, StreamFramer
from ringback.sip.message.sip_uri import SipUri

VECTORS = Path(os.environ.get("RINGBACK_VECTORS") or Path(__file__).parents[4] / "shared" / "vectors")

#: Decided by the message layer: the status of the error. Everything else must pass.
STATUS = {
    "badaspec": 400,
    "baddn": 400,
    "badinv01": 400,
    "badvers": 505,
    "clerr": 400,
    "escruri": 400,
    "insuf": 400,
    "ltgtruri": 400,
    "lwsruri": 400,
    "lwsstart": 400,
    "mcl01": 400,
    "mismatch01": 400,
    "mismatch02": 501,
    "multi01": 400,
    "ncl": 400,
    "quotbal": 400,
    "regbadct": 400,
    "scalar02": 400,
    "trws": 400,
    "s4_2": 400,
}
#: Dropped: responses with impossible numbers, and a Request-Line without a version.
DROPPED = {"bigcode", "scalarlg", "test"}
#: The index leaves it open or the RFC overrules it.
OVERRULED = {"baddate": (400, None)}
#: What a stream cannot frame; `clerr` and `baddn` never end.
UNFRAMED = {"mcl01", "ncl"}
UNFINISHED = {"clerr", "baddn"}


def load() -> list[dict]:
    vectors = []
    for folder in ("rfc4475", "rfc5118"):
        index = VECTORS / folder / "index.json"
        if index.exists():
            entries = json.loads(index.read_text())["messages"]
            vectors += [e | {"data": (VECTORS / folder / e["file"]).read_bytes()} for e in entries]
    return vectors


ENTRIES = load()
DATA = {entry["name"]: entry["data"] for entry in ENTRIES}

pytestmark = pytest.mark.skipif(
    not ENTRIES,
    reason=f"the RFC 4475 and RFC 5118 vectors are not in {VECTORS}; RINGBACK_VECTORS names another folder",
)
each = pytest.mark.parametrize("entry", ENTRIES, ids=[entry["name"] for entry in ENTRIES])


def verdict(data: bytes) -> int | None:
    """The status of the error, None if the message passes."""
    try:
        message = parse_message(data)
        if isinstance(message, Request):
            check_request(message)
        else:
            check_response(message)
    except PeerError as error:
        return error.status
    return None


@each
def test_each_message_gets_its_verdict(entry: dict):
    name = entry["name"]

    if name in DROPPED:
        assert verdict(entry["data"]) == 400
    else:
        assert verdict(entry["data"]) == STATUS.get(name)


@each
def test_our_verdicts_are_those_of_the_index_as_far_as_this_layer_decides(entry: dict):
    name, preferred = entry["name"], entry["prefer"]
    ours = STATUS.get(name)
    if name in OVERRULED:
        assert (preferred[0], ours) == OVERRULED[name]
    elif ours is not None:
        assert ours in preferred
    elif name not in DROPPED and preferred:
        assert preferred != [400]


@each
def test_each_message_is_framed_alike_whole_and_split_at_every_byte(entry: dict):
    data, name = entry["data"], entry["name"]
    whole = feed([data])

    for cut in range(1, len(data)):
        assert feed([data[:cut], data[cut:]]) == whole
    assert feed([data[i : i + 1] for i in range(len(data))]) == whole
    messages = [frame for frame in whole if isinstance(frame, bytes)]
    if name in UNFRAMED:
        assert whole[-1][0] == "error"
    elif name in UNFINISHED:
        assert messages == []
    elif name not in DROPPED:
        assert verdict(messages[0]) == STATUS.get(name)


def feed(pieces: list[bytes]) -> list:
    """What the framer gives but pongs: the first half of a ping is one when it comes alone."""
    framer, frames = StreamFramer(), []
    for piece in pieces:
        try:
            frames += framer.feed(piece)
        except FramingError as error:
            return [*without_pongs(frames + error.frames), ("error", error.status, error.data)]
    return without_pongs(frames)


def without_pongs(frames: list) -> list:
    return [frame for frame in frames if frame is not Ping.PONG]


@each
def test_each_request_that_is_refused_can_be_answered(entry: dict):
    try:
        request = parse_message(entry["data"])
    except MalformedMessage:
        return
    if isinstance(request, Response):
        return
    answer = parse_message(Response.to(request, 400, to_tag="refused").to_bytes())

    assert isinstance(answer, Response)
    assert answer.defect is None
    for name in ("Via", "From", "Call-ID", "CSeq"):
        assert answer.headers.get_all(name) == request.headers.get_all(name)


@each
def test_each_message_that_passes_is_printed_as_it_came(entry: dict):
    data = entry["data"]
    if verdict(data) is not None:
        return
    message = parse_message(data)
    again = parse_message(message.to_bytes())

    assert again.body == message.body
    assert [line for line in again.headers.lines if line[0].lower() not in (b"content-length", b"l")] == [
        line for line in message.headers.lines if line[0].lower() not in (b"content-length", b"l")
    ]
    assert again.to_bytes() == message.to_bytes()


# --- what the RFCs say about single messages --------------------------------------------------------


def parsed(name: str) -> Request:
    request = parse_message(DATA[name])
    assert isinstance(request, Request)
    return request


def test_wsinv_means_what_rfc_4475_says():
    request = parsed("wsinv")

    assert request.to.tag == "1918181833n"
    assert request.from_ == NameAddr(
        SipUri("jdrosen", "example.com"), 'J Rosenberg \\"', (("tag", "98asjd8"),)
    )
    assert (request.max_forwards, request.cseq.number, request.cseq.method) == (68, 9, "INVITE")
    assert [(via.transport, via.sent_by, via.branch) for via in request.vias] == [
        ("UDP", "192.0.2.2", "390skdjuw"),
        ("TCP", "spindle.example.com", "z9hG4bK9ikj8"),
        ("UDP", "192.168.255.111", "z9hG4bK30239"),
    ]
    assert request.headers["Subject"] == ""
    assert request.headers["NewFangledHeader"] == "newfangled value continued newfangled value"
    assert request.contacts[0].display_name == 'Quoted string ""'
    assert request.contacts[0].parameter("newparam") == "newvalue"
    assert request.contacts[0].parameter("q") == "0.33"
    assert len(request.body) == 150


def test_intmeth_keeps_every_character():
    request = parsed("intmeth")

    assert request.method == "!interesting-Method0123456789_*+`.%indeed'~"
    assert request.uri.user == "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"
    assert request.uri.password == "&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"
    assert request.to.display_name == "BEL:\x07 NUL:\x00 DEL:\x7f"
    assert request.from_.tag == "_token~1'+`*%!-."
    assert request.from_.parameter("fromParam''~+*_!.-%") == "работающий"
    assert request.headers["extensionHeader-!.%*+_`'~"] == "\ufeff大停電"


def test_esc01_is_unescaped_exactly_once():
    request = parsed("esc01")

    assert request.uri.user == "sips:user@example.com"
    assert request.to.uri == SipUri("user", "example.com")
    assert request.contacts[0].uri.parameters == (("lr", None), ("name", "value%41"))
    assert str(request.uri.replace(port=5060)) == "sip:sips%3Auser%40example.com@example.net:5060"


def test_escnull_has_two_different_contacts():
    request = parsed("escnull")

    assert request.to.uri.user == "null-\x00-null"
    assert [contact.uri.user for contact in request.contacts] == ["\x00", "\x00\x00"]


def test_esc02_is_not_a_register_and_c_6fntact_is_no_contact():
    request = parsed("esc02")

    assert request.method == "RE%47IST%45R"
    assert request.to.display_name == "%Z%45"
    assert [contact.uri.user for contact in request.contacts] == ["alias1", "alias3"]


def test_semiuri_has_the_parameter_in_its_user():
    assert parsed("semiuri").uri == SipUri("user;par=u@example.net", "example.com")


def test_dblreq_is_one_request_in_a_datagram_and_two_on_a_stream():
    assert parsed("dblreq").body == b""
    # The body is longer than its Content-Length of 150; what is left over is no message.
    register, invite, rest = feed([DATA["dblreq"]])
    assert (parse_message(register).method, parse_message(invite).method) == ("REGISTER", "INVITE")
    with pytest.raises(MalformedMessage):
        parse_message(rest)


def test_baddn_with_its_empty_line_is_refused_for_the_display_name():
    request = parse_message(DATA["baddn"] + b"\r\n")

    with pytest.raises(PeerError, match="address"):
        check_request(request)


def test_baddate_is_not_refused_but_its_date_cannot_be_read():
    request = parsed("baddate")

    check_request(request)
    with pytest.raises(PeerError, match="Date"):
        request.parsed("Date")


def test_regescrt_keeps_the_escaped_header_of_its_contact():
    contact = parsed("regescrt").contacts[0]

    assert contact.uri.headers == (("Route", "<sip:sip.example.com>"),)
    assert str(contact) == "<sip:user@example.com?Route=%3Csip:sip.example.com%3E>"


def test_unreason_and_noreason_keep_their_reasons():
    unusual, empty = parse_message(DATA["unreason"]), parse_message(DATA["noreason"])

    assert (unusual.status, unusual.reason[:22]) == (200, "= 2**3 * 5**2 но сто д")
    assert (empty.status, empty.reason) == (100, "")
    assert DATA["noreason"].startswith(empty.to_bytes()[:14])


def test_received_is_read_with_and_without_brackets():
    assert [parsed(name).top_via.received for name in ("s4_5_1", "s4_5_2")] == ["2001:db8::9:255"] * 2


def test_the_port_inside_the_brackets_is_part_of_the_address():
    assert (parsed("s4_3").uri.host, parsed("s4_3").uri.port) == ("2001:db8::10:5070", None)
    assert (parsed("s4_4").uri.host, parsed("s4_4").uri.port) == ("2001:db8::10", 5070)


def test_three_colons_before_an_ipv4_address_are_two():
    assert parsed("s4_10_1").uri == parsed("s4_10_2").uri
