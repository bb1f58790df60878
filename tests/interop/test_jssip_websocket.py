# SPDX-License-Identifier: Apache-2.0
"""JsSIP over WebSocket, plain and encrypted: a phone that listens nowhere and is reached all the same (RFC 7118)."""

import signal
import time

import pytest
from conftest import PASSWORD, Rig
from interop_baresip import Baresip
from interop_jssip import Jssip
from interop_process import wait_until
from interop_ringback import Ringback

WEB = pytest.mark.parametrize("transport", ["ws", "wss"])
TEXT = "Grüße, 電話 📞"


def registered(rig: Rig, server: Ringback, user: str, transport: str, **settings: object) -> Jssip:
    phone = rig.jssip(server, user, transport=transport, **settings)
    phone.wait_registered()
    return phone


def call_ends(caller: Baresip, server: Ringback, number: str, *, within: float) -> str:
    """Dial; what the caller was told at the end, which must come soon."""
    caller.command("dial", f"sip:{number}@{server.domain}")
    return str(caller.wait_event("CALL_CLOSED", within)["param"])


@WEB
def test_it_registers_again_and_unregisters(rig: Rig, server: Ringback, transport: str) -> None:
    phone = rig.jssip(server, "101", transport=transport)
    granted = phone.wait_registered()
    assert granted["instance"] in granted["contact"]
