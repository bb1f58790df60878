# SPDX-License-Identifier: Apache-2.0
"""linphone on a Ringback server: register, hear the echo of *43, and exchange text with other phones."""

import time

from interop_process import Program
from interop_rig import PASSWORD, Rig
from interop_ringback import RINGBACK, Ringback
from interop_sound import seconds_of_tone

LINPHONE_HZ = 880.0


def test_linphone_hears_its_own_tone_from_the_echo_number(rig: Rig, server: Ringback) -> None:
    phone = rig.linphone(server, "101", frequency=LINPHONE_HZ)
    phone.program.say(f"call sip:*43@{server.domain}")
    phone.program.wait_for(r"connected\.", 10)
    time.sleep(3)
    phone.program.say("terminate")
    phone.program.wait_for(r"ended \(", 10)
    assert seconds_of_tone(phone.heard(), LINPHONE_HZ) > 1.5


def test_linphone_over_tcp_is_called_by_baresip_and_hears_it(rig: Rig, server: Ringback) -> None:
    linphone = rig.linphone(server, "101", transport="tcp", frequency=LINPHONE_HZ)
    baresip = rig.baresip(server, "102", frequency=440.0)
    baresip.command("dial", f"sip:101@{server.domain}")
    baresip.wait_event("CALL_ESTABLISHED")
    time.sleep(3)
    baresip.command("hangup")
    linphone.program.wait_for(r"ended \(", 10)
    assert seconds_of_tone(linphone.heard(), 440.0) > 1.5
    assert seconds_of_tone(baresip.heard(), LINPHONE_HZ) > 1.5


def test_linphone_sends_text_to_baresip(rig: Rig, server: Ringback) -> None:
    linphone = rig.linphone(server, "101")
    baresip = rig.baresip(server, "102")
    linphone.program.say(f'chat sip:102@{server.domain} "hello-from-linphone"')
    baresip.program.wait_for("hello-from-linphone", 10)


def test_ringback_message_reaches_linphone(rig: Rig, server: Ringback) -> None:
    linphone = rig.linphone(server, "101")
    server.run(
        "message", f"sip:101@{server.domain}", "hello-from-ringback", "--as", "103", "--password", PASSWORD,
        "--server", server.sip,
    )  # fmt: skip
    linphone.program.wait_for("hello-from-ringback", 10)


def test_linphone_sends_text_to_a_ringback_phone(rig: Rig, server: Ringback) -> None:
    listener = rig.keep(
        Program(
            [
                *RINGBACK,
                "answer",
                "--as",
                f"103@{server.domain}",
                "--password",
                PASSWORD,
                "--server",
                server.sip,
            ],
            rig.folder / "answer.log",
        )
    )
    listener.wait_for("ready", 15)
    linphone = rig.linphone(server, "101")
    linphone.program.say(f'chat sip:103@{server.domain} "hello-phone"')
    listener.wait_for("hello-phone", 10)
