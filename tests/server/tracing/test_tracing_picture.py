# SPDX-License-Identifier: Apache-2.0
"""The picture of a call: who stands where, what the arrows say, and the lanes of the sound; and the page with it."""

import re
from html.parser import HTMLParser
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from traced import ANNA, BEGAN, BEN, CAROL, INVITE, OFFER, seen, sip

from ringback.server.tracing.page import html_page
from ringback.server.tracing.picture import picture

HOLD = OFFER + "a=sendonly\r\n"
OK = sip("SIP/2.0 200 OK", tag="b", body=OFFER)
#: One call through the bridge: two Call-IDs, two legs.
BRIDGED = (
    (0.0, False, INVITE, ANNA),
    (0.01, True, sip("SIP/2.0 100 Trying"), ANNA),
    (0.02, True, sip("INVITE", call_id="leg2", body=OFFER), BEN),
    (0.52, True, sip("INVITE", call_id="leg2", body=OFFER), BEN),
    (1.52, True, sip("INVITE", call_id="leg2", body=OFFER), BEN),
    (1.6, False, sip("SIP/2.0 180 Ringing", call_id="leg2", tag="b"), BEN),
    (3.0, False, sip("SIP/2.0 200 OK", call_id="leg2", tag="b", body=OFFER), BEN),
    (3.01, True, sip("ACK", "1 ACK", call_id="leg2", tag="b"), BEN),
    (3.02, True, OK, ANNA),
    (3.1, False, sip("ACK", "1 ACK", tag="b"), ANNA),
    (10.0, False, sip("INVITE", "2 INVITE", tag="b", body=HOLD), ANNA),
    (20.0, False, sip("INVITE", "3 INVITE", tag="b", body=OFFER), ANNA),
    (
        30.0,
        False,
        sip("REFER", "4 REFER", tag="b", more="Refer-To: <sip:103@example.com?Replaces=x>\r\n"),
        ANNA,
    ),
    (
        31.0,
        True,
        sip("BYE", "9 BYE", call_id="leg2", tag="b", more='Reason: Q.850;cause=16;text="moved"\r\n'),
        BEN,
    ),
)
RECORD: dict[str, Any] = {
    "caller": {"number": "101", "name": "Anna"}, "callee": {"number": "102", "name": "Ben"}, "dialled": "102",
    "began_at": BEGAN, "answered_at": BEGAN + 3, "ended_at": BEGAN + 31, "result": "answered", "how_ended": "101 moved on",
    "call_ids": ["c1", "leg2"],
    "legs": [
        {"name": "caller", "number": "101", "address": "192.0.2.9:5060",
         "streams": [{"kind": "audio", "codec": "PCMA", "packets_received": 990, "lost": 10, "jitter_ms": 2.5, "mos": 4.3}]},
        {"name": "callee", "number": "102", "address": "", "streams": [{"kind": "audio", "codec": "opus"}]},
    ],
    "quality": [{"at": BEGAN + 5, "leg": "caller", "mos": 4.1, "loss": 0.5, "jitter_ms": 3.0},
                {"at": BEGAN + 5, "leg": "callee", "mos": 3.9, "loss": 1.5, "jitter_ms": 9.0}],
    "decisions": [{"service": "dial plan", "rule": "user", "saw": "102", "chose": "102", "source": "pbx/dialplan.py"}],
    "verdicts": [{"code": "RB-5001", "title": "No ACK", "severity": "error", "text": "11 times", "advice": "Look."}],
}  # fmt: skip


def test_the_server_stands_between_both_legs_and_arrows_go_from_whom_to_whom() -> None:
    found = picture(seen(*BRIDGED), RECORD)
    assert found["columns"] == [
        {"id": "peer1", "label": "101 Anna", "address": "192.0.2.9:5060"},
        {"id": "server", "label": "Ringback", "address": "192.0.2.1:5060"},
        {"id": "peer2", "label": "102 Ben", "address": "192.0.2.10:5060"},
    ]
    assert [(a["from"], a["to"], a["label"], a["kind"]) for a in found["arrows"][:5]] == [
        ("peer1", "server", "INVITE (SDP)", "request"),
        ("server", "peer1", "100 Trying (INVITE)", "provisional"),
        ("server", "peer2", "INVITE (SDP)", "request"),
        ("peer2", "server", "180 Ringing (INVITE)", "provisional"),
        ("peer2", "server", "200 OK (INVITE) (SDP)", "success"),
    ]


def test_what_was_sent_again_is_one_arrow() -> None:
    arrow = picture(seen(*BRIDGED))["arrows"][2]
    assert (arrow["index"], arrow["repeats"], arrow["offset"]) == (2, 2, 0.02)
    assert arrow["note"] == "sent again 2 times, the last 1.5 s later"


def test_the_same_long_after_is_no_repetition() -> None:
    options = sip("OPTIONS", "1 OPTIONS")
    assert len(picture(seen((0.0, False, options, ANNA), (60.0, False, options, ANNA)))["arrows"]) == 2


def test_hold_and_transfer_and_endings_have_words() -> None:
    notes = [arrow["note"] for arrow in picture(seen(*BRIDGED))["arrows"] if arrow["note"]]
    assert notes[1:] == ["puts on hold", "goes on after hold", "attended transfer to 103", "hangs up: moved"]


def test_other_messages_that_mean_something_to_people() -> None:
    steps = [
        (sip("SIP/2.0 407 Prove it"), "asks for the password", "failure"),
        (sip("SIP/2.0 302 Moved", more="Contact: <sip:9@x>\r\n"), "go to sip:9@x", "redirect"),
        (sip("SIP/2.0 503 No", more="Retry-After: 7\r\n"), "try again in 7 s", "failure"),
        (sip("CANCEL", "1 CANCEL"), "gives up", "request"),
        (sip("UPDATE", "2 UPDATE", tag="b"), "session goes on", "request"),
        (sip("NOTIFY", "3 NOTIFY", body="SIP/2.0 180 Ringing\r\n"), "transfer: 180 Ringing", "request"),
        (sip("INVITE", "4 INVITE", tag="b", body=OFFER), "changes the media", "request"),
    ]
    arrows = picture(seen(*((float(at), False, data, ANNA) for at, (data, _, _) in enumerate(steps))))[
        "arrows"
    ]
    assert [(arrow["note"], arrow["kind"]) for arrow in arrows] == [(note, kind) for _, note, kind in steps]


def test_each_leg_has_a_lane_with_how_it_sounded() -> None:
    caller, callee = picture(seen(*BRIDGED), RECORD)["lanes"]
    assert caller == {
        "leg": "caller", "from": "peer1", "to": "server", "began": BEGAN + 3, "ended": BEGAN + 31, "codec": "PCMA",
        "loss": 1.0, "jitter_ms": 2.5, "mos": 4.3, "held": [[BEGAN + 10, BEGAN + 20]],
        "series": [{"at": BEGAN + 5, "mos": 4.1, "loss": 0.5, "jitter_ms": 3.0}],
    }  # fmt: skip
    assert (callee["from"], callee["codec"], callee["loss"], callee["held"]) == ("peer2", "opus", None, [])


def test_sound_between_the_phones_is_a_lane_of_its_own() -> None:
    (lane,) = picture(
        seen((0.0, False, INVITE, ANNA), (0.1, True, INVITE, BEN), (1.0, False, OK, BEN), (1.1, True, OK, ANNA),
             (9.0, False, sip("BYE", "2 BYE", tag="b"), ANNA))
    )["lanes"]  # fmt: skip
    assert {name: lane[name] for name in ("leg", "from", "to", "began", "ended", "codec")} == {
        "leg": "direct", "from": "peer1", "to": "peer2", "began": BEGAN + 1, "ended": BEGAN + 9, "codec": "PCMA",
    }  # fmt: skip


def test_a_hold_that_never_ends_lasts_to_the_end() -> None:
    lanes = picture(seen(*BRIDGED[:11]), RECORD)["lanes"]
    assert lanes[0]["held"] == [[BEGAN + 10, BEGAN + 31]]


def test_nothing_is_a_picture_too() -> None:
    assert picture([])["arrows"] == picture([])["lanes"] == []


# --- the page


EVIL = '"><script>alert(1)</script><img src=x onerror=alert(1)>\u202e\x1b[31m&lt;'


class Page(HTMLParser):
    """What a browser would make of it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def bent(value: Any) -> Any:
    """A record in which every text is hostile."""
    if isinstance(value, dict):
        return {name: bent(each) for name, each in value.items()}
    if isinstance(value, list):
        return [bent(each) for each in value]
    return EVIL if isinstance(value, str) else value


def test_whatever_strangers_write_is_text_on_the_page() -> None:
    evil = sip(f"SIP/2.0 486 {EVIL}", more=f"Reason: {EVIL}\r\n").replace(b"101@", EVIL.encode() + b"@")
    fine, hostile = (
        Page(html_page(record, seen((0.0, False, INVITE, ANNA), (1.0, True, data, CAROL))))
        for record, data in ((RECORD, OK), (bent(RECORD), evil))
    )
    assert hostile.tags <= fine.tags | {"title"}
    assert hostile.attributes <= fine.attributes
    assert not {name for name in hostile.attributes if name.startswith("on") or name == "src"}
    words = "".join(hostile.words)
    assert "<script>alert(1)</script>" in words
    assert not set(words) & {"\x1b", "\u202e"}


def test_the_page_needs_nothing_but_itself_and_tells_the_call() -> None:
    page = html_page(RECORD, seen(*BRIDGED))
    assert "default-src 'none'" in page
    assert not re.search(r"<script|https?://(?!www\.w3\.org/2000/svg)|@import|url\(", page)
    words = "".join(Page(page).words)
    for told in ("Call from 101 Anna to 102 Ben", "101 moved on", "RB-5001 No ACK", "dial plan", "PCMA", "puts on hold",
                 "INVITE (SDP) ×3", "c1, leg2"):  # fmt: skip
        assert told in words
    assert "No message was kept" in "".join(Page(html_page(None, [])).words)


@given(st.lists(st.tuples(st.booleans(), st.sampled_from([INVITE, OK, b"junk junk junk", b"", b"SIP/2.0 999 x\r\n\r\n",
    b"BYE a SIP/2.0\r\ni: c\r\nf: <\r\n\r\n", sip("REFER", more="Refer-To: <\r\n"), sip("INVITE", tag="b", body="m=audio\r\nm=")]),
    st.sampled_from([ANNA, BEN, CAROL])), max_size=8))  # fmt: skip
def test_whatever_was_said_can_be_drawn(steps: list[Any]) -> None:
    messages = seen(*((float(at), *step) for at, step in enumerate(steps)))
    html_page(None, messages)
    assert sum(1 + arrow["repeats"] for arrow in picture(messages)["arrows"]) == len(messages)
