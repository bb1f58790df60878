# SPDX-License-Identifier: Apache-2.0
"""Can what strangers send make a diagnosis fail? Messages and records of every shape are judged or left alone."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.server.tracing.message import described
from ringback.server.verdicts import diagnose as module
from ringback.server.verdicts.diagnose import RULES, diagnose
from ringback.server.verdicts.encryption import judge
from ringback.server.verdicts.story import Story

PIECES = st.sampled_from(
    [
        "INVITE sip:102@office SIP/2.0", "SIP/2.0 200 OK", "SIP/2.0 488", "SIP/2.0 407 X", "BYE sip:a SIP/2.0",
        "Via: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bK1", "CSeq: 1 INVITE", "CSeq: 99999999999999999999 BYE", "CSeq: x",
        "Call-ID: a", "From: <sip:101@office>;tag=1", "To: <sip:102@office>;tag=2", "Contact: <sip:\u202e@[::]:99999>",
        "Content-Length: 99999999999999999999", "Content-Length: -1", "Session-Expires: 90", "Refer-To: <", "", "",
        "v=0", "o=- 1 1 IN IP4 10.0.0.9", "s=-", "c=IN IP4 10.0.0.9", "c=IN IP4 nobody", "t=0 0",
        "m=audio 4000 RTP/AVP 0 8 200", "m=audio 99999 RTP/AVP", "a=rtpmap:x", "a=inactive", "\x00\ufffd",
    ]
)  # fmt: skip
LEG = st.dictionaries(
    st.sampled_from(["name", "number", "address", "media_address", "call_id", "status"]), st.text(max_size=20)
)


@st.composite
def messages(draw: st.DrawFn) -> list[dict[str, Any]]:
    found = []
    for at in range(draw(st.integers(0, 8))):
        text = "\r\n".join(draw(st.lists(PIECES, max_size=14)))
        found.append(
            {
                **described(text), "at": float(at), "text": text, "size": len(text),
                "direction": draw(st.sampled_from(["sent", "received"])),
                "transport": draw(st.sampled_from(["UDP", "TLS", "WSS", ""])),
                "local": "10.0.0.1:5060", "remote": draw(st.sampled_from(["10.0.0.9:5060", "[::1]:5", "", "x"])),
            }
        )  # fmt: skip
    return found


@given(messages(), st.lists(LEG, max_size=3))
def test_no_rule_trips_over_any_message(said: list[dict[str, Any]], legs: list[dict[str, str]]) -> None:
    record = {"legs": legs, "answered_at": 1.0, "ended_at": 30.0, "status": 200, "notes": []}
    for story in (Story(said, record), Story(said)):
        for rule in RULES:
            for verdict in rule(story):
                assert set(verdict) == {"code", "title", "severity", "text", "advice", "page", "evidence"}
                assert all(index < len(said) for index in verdict["evidence"])


def test_a_rule_that_fails_does_not_hide_what_others_found(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(story: Story) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(module, "RULES", (broken,))
    assert diagnose(None, []) == []
    assert "could not judge a call" in caplog.text


def test_a_failed_handshake_is_judged_with_the_facts_of_it() -> None:
    failure = {
        "remote": "203.0.113.7:4711", "kind": "peer refuses certificate", "detail": "bad certificate", "count": 3,
        "server_name": "sip.office.example", "we_called": False,
    }  # fmt: skip
    verdict = judge(failure)
    assert verdict["code"] == "RB-4003"
    assert verdict["text"] == (
        "TLS with 203.0.113.7:4711 failed 3 times: bad certificate; it wanted sip.office.example."
    )
    assert judge({**failure, "we_called": True, "kind": "expired"})["code"] == "RB-4010"
    assert judge({**failure, "kind": "something new"})["code"] == "RB-4014"


def test_failed_handshakes_of_a_caller_belong_to_its_call() -> None:
    said = [
        {
            "at": 1.0,
            "direction": "received",
            "transport": "TCP",
            "remote": "203.0.113.7:9",
            "text": "",
            "size": 0,
        }
    ]
    failure = {"remote": "203.0.113.7:4711", "kind": "no TLS", "detail": "wrong version number"}
    stranger = {**failure, "remote": "198.51.100.1:4711"}
    assert [each["code"] for each in diagnose(None, said, tls_failures=[failure, stranger])] == ["RB-4004"]
