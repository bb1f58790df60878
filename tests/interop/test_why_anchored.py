# SPDX-License-Identifier: Apache-2.0
"""`ringback status` says of each call why its sound comes through the server, or that it does not."""

import json
import re
from typing import Any

from interop_browser import Browser
from interop_process import wait_until
from interop_rig import Rig
from interop_ringback import Ringback


def only_call(server: Ringback) -> dict[str, Any]:
    (running,) = json.loads(server.run("status", "--json"))["server"]["calls"]
    assert isinstance(running, dict)
    return running


def test_a_browser_an_encrypting_phone_and_two_plain_ones(
    rig: Rig, server: Ringback, browser: Browser
) -> None:
    bob = rig.baresip(server, "102")
    page = rig.browser_phone(browser, server, "101")
    page.start("call", to=f"sip:102@{server.domain}")
    page.wait_event("established")
    assert only_call(server)["anchored"] == "101 is a browser (DTLS-SRTP)"
    assert "101 to 102, talking for" in server.run("status")
    assert "anchored because: 101 is a browser (DTLS-SRTP)" in server.run("status")
    page.wait_hears(440)
    of_page, of_bob = only_call(server)["legs"]
    assert re.search(r"101 at \S+ \(.*AES.*\): audio PCM\w [1-9]\d* in [1-9]\d* out", of_page), of_page
    assert re.search(r"102\S* at \S+ \(plain\): audio PCM\w [1-9]\d* in [1-9]\d* out", of_bob), of_bob
    page.start("hangup")
    bob.wait_event("CALL_CLOSED")

    secretive = rig.baresip(server, "103", encryption="srtp-mand")
    secretive.command("dial", f"sip:102@{server.domain}")
    secretive.wait_event("CALL_ESTABLISHED")
    assert only_call(server)["anchored"] == "102 refuses what 103 offers"
    secretive.command("hangup")
    bob.wait_event("CALL_CLOSED")

    plain = rig.baresip(server, "101")
    plain.command("dial", f"sip:102@{server.domain}")
    plain.wait_event("CALL_ESTABLISHED")
    assert only_call(server)["anchored"] == ""
    assert "anchored" not in server.run("status")
    plain.command("hangup")
    wait_until(lambda: not json.loads(server.run("status", "--json"))["server"]["calls"], 5, "no calls")
