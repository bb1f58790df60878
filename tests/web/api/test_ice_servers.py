# SPDX-License-Identifier: Apache-2.0
"""Are browsers told of STUN and TURN servers, with credentials that end?"""

import base64
import hashlib
import hmac
from pathlib import Path

import pytest
from pydantic import ValidationError

from ringback.server.config import Settings, contradictions
from ringback.server.web_settings import WebSettings
from ringback.web.api.ice_servers import ice_servers

TURN = "turn:turn.example.com:3478?transport=tcp"


def test_a_turn_server_gets_a_name_that_ends_and_the_hmac_of_it(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("north\n")
    settings = WebSettings(ice_servers=("stun:stun.example.com", TURN), turn_secret_file=file)
    stun, turn = ice_servers(settings, "3f9a", until=1_700_000_000.9)
    assert (stun.urls, stun.username, stun.credential) == (["stun:stun.example.com"], "", "")
    assert (turn.urls, turn.username) == ([TURN], "1700000000:3f9a")
    expected = base64.b64encode(hmac.digest(b"north", b"1700000000:3f9a", hashlib.sha1)).decode()
    assert turn.credential == expected


@pytest.mark.parametrize("content", [None, b"", b"  \n", b"x" * 5000])
def test_without_a_secret_browsers_do_without_turn_and_the_log_says_so(
    tmp_path: Path, content: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    settings = WebSettings(ice_servers=(TURN,), turn_secret_file=file)
    assert ice_servers(settings, "a", until=0.0) == []
    assert "browsers have to do without TURN" in caplog.text


@pytest.mark.parametrize(
    "wrong",
    ["http://example.com", "turn:", "turn:host:70000000", "stun:a b", "stun:host?transport=udp", "turn:h?transport=sctp",
     "turn:" + "a" * 400, "turn:user@host", "turn:b\u00fccher.example"],
)  # fmt: skip
def test_what_no_browser_takes_is_refused_with_an_example(wrong: str) -> None:
    with pytest.raises(ValidationError, match="is no server like"):
        WebSettings(ice_servers=(wrong,))


@pytest.mark.parametrize(
    "right",
    ["stun:192.0.2.1", "stuns:stun.example.com:5349", "turns:[2001:db8::1]:5349?transport=tcp", "TURN:Host"],
)
def test_what_browsers_take_is_taken(right: str) -> None:
    assert WebSettings(ice_servers=(right,)).ice_servers == (right.lower(),)


def test_a_turn_server_without_a_secret_is_a_contradiction() -> None:
    found = contradictions(Settings(web=WebSettings(ice_servers=(TURN,))))
    assert (("web", "ice_servers"), "has a TURN server, which needs web.turn_secret_file") in found
    assert contradictions(Settings(web=WebSettings(ice_servers=("stun:host",)))) == []
