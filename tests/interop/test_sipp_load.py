# SPDX-License-Identifier: Apache-2.0
"""SIPp against `ringback answer`, and through the server to another SIPp."""

from pathlib import Path

import pytest
from interop_process import Program, free_port
from interop_rig import PASSWORD, Rig
from interop_ringback import RINGBACK, Ringback

SCENARIOS = Path(__file__).parent / "scenarios"


@pytest.mark.parametrize(("host", "transport"), [("127.0.0.1", "u1"), ("[::1]", "u1"), ("127.0.0.1", "t1")])
def test_the_built_in_uac_calls_ringback_answer(rig: Rig, host: str, transport: str) -> None:
    port = free_port()
    answer = rig.keep(
        Program([*RINGBACK, "answer", "--bind", f"{host}:{port}", "--echo"], rig.folder / "answer.log")
    )
    answer.wait_for("ready", 15)
    result = rig.sipp(
        "-sn", "uac", "-t", transport, "-m", "50", "-r", "10", "-d", "500", f"{host}:{port}", host=host
    ).result(60)
    assert (result.exit_code, result.successful, result.failed, result.unexpected) == (0, 50, 0, 0), (
        result.output
    )


def register(rig: Rig, server: Ringback, user: str, port: int) -> None:
    result = rig.sipp(
        "-sf", str(SCENARIOS / "register.xml"), "-m", "1", "-s", user, "-au", user, "-ap", PASSWORD, "-key", "contact_port",
        str(port), "-key", "domain", server.domain, server.sip,
    ).result(20)  # fmt: skip
    assert result.exit_code == 0, result.output


@pytest.mark.slow
def test_register_with_digest_a_thousand_times(rig: Rig, server: Ringback) -> None:
    result = rig.sipp(
        "-sf", str(SCENARIOS / "register.xml"), "-m", "1000", "-r", "100", "-s", "103", "-au", "103", "-ap", PASSWORD,
        "-key", "contact_port", "5999", "-key", "domain", server.domain, server.sip,
    ).result(60)  # fmt: skip
    assert (result.exit_code, result.successful, result.failed, result.unexpected) == (0, 1000, 0, 0), (
        result.output
    )


def test_a_thousand_calls_at_fifty_a_second_through_the_server_none_failed(
    rig: Rig, server: Ringback
) -> None:
    port = free_port()
    rig.sipp("-sf", str(SCENARIOS / "answer.xml"), "-p", str(port))
    register(rig, server, "102", port)
    result = rig.sipp(
        "-sf", str(SCENARIOS / "call.xml"), "-m", "1000", "-r", "50", "-d", "200", "-s", "102", "-au", "101", "-ap", PASSWORD,
        "-key", "domain", server.domain, server.sip,
    ).result(90)  # fmt: skip
    assert (result.exit_code, result.successful, result.failed, result.unexpected) == (0, 1000, 0, 0), (
        result.output
    )


@pytest.mark.slow
def test_the_built_in_uac_reaches_the_built_in_uas_through_the_server(rig: Rig) -> None:
    """They know no Record-Route and no Route: every request goes to the user at the server, as if it were new."""
    server = rig.ringback(domain="127.0.0.1", config="[proxy]\nstrangers_may_call = true\n")
    server.add_user("102", "Bob", PASSWORD)
    port = free_port()
    rig.sipp("-sn", "uas", "-p", str(port))
    register(rig, server, "102", port)
    result = rig.sipp("-sn", "uac", "-m", "1000", "-r", "50", "-d", "200", "-s", "102", server.sip).result(90)
    assert (result.exit_code, result.successful, result.failed, result.unexpected) == (0, 1000, 0, 0), (
        result.output
    )
