# SPDX-License-Identifier: Apache-2.0
"""`ringback explain` at a running server: a call, a dry run, failed handshakes, and questions that make no sense."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from command_line import Done, ringback

from ringback.net.sockets import RealNetwork
from ringback.pbx.accounts import new_user
from ringback.pbx.process import ServerProcess
from ringback.server.config_file import load_settings
from ringback.server.first_start import open_records

SETTINGS = """
[sip]
domain = "office.test"
[proxy]
users_may_call_out = false
[web]
console = false
"""
OUT = "INVITE sip:0900@expensive.example SIP/2.0\n"


@pytest.fixture
async def process(tmp_path: Path) -> AsyncIterator[ServerProcess]:
    file = tmp_path / "ringback.toml"
    file.write_text(SETTINGS)
    flags = {"data": str(tmp_path), "host": ("127.0.0.1",), "sip_port": 0, "tls_port": 0, "http_port": 0, "https_port": 0}  # fmt: skip
    process = await ServerProcess.start(lambda: load_settings(flags, {}), RealNetwork())
    process.installation.store.put_user(new_user("101", "Anna", password="secret", realm="office.test"))
    await process.system.users_changed()
    yield process
    await process.close()


async def asked(tmp_path: Path, *words: str) -> Done:
    """The command, beside the server that answers it."""
    return await asyncio.to_thread(ringback, "explain", *words, data=tmp_path)


async def test_a_dry_run_names_the_rule_with_file_and_line(process: ServerProcess, tmp_path: Path) -> None:
    (tmp_path / "out.sip").write_text(OUT)
    done = await asked(tmp_path, str(tmp_path / "out.sip"), "--as", "101", "--source", "192.0.2.9:5060")
    assert done.returncode == 0, done.stderr
    assert "user 101 calls sip:0900@expensive.example, which is not in our domain" in done.stdout
    assert "[setting proxy.users_may_call_out = false (ringback.toml:5)]" in done.stdout
    assert "<- SIP/2.0 403 No Calls Out Of The Domain" in done.stdout
    assert "Nothing was sent." in done.stdout


async def test_what_really_came_is_explained_with_its_verdict(process: ServerProcess, tmp_path: Path) -> None:
    host, port = process.addresses()["udp"].split(":")
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        asyncio.DatagramProtocol, remote_addr=(host, int(port))
    )
    transport.sendto(
        b"INVITE sip:102@office.test SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;rport;branch=z9hG4bKq\r\n"
        b"From: <sip:\xe2\x80\xae\x1b[31m@elsewhere.example>;tag=1\r\nTo: <sip:102@office.test>\r\n"
        b"Call-ID: from-a-stranger\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    )
    transport.sendto(
        b"INVITE sip:102@office.test SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;rport;branch=z9hG4bKr\r\n"
        b"From: <sip:eve@elsewhere.example>;tag=1\r\nTo: <sip:102@office.test>\r\n"
        b"Call-ID: from-eve\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    )
    async with asyncio.timeout(5):
        while not process.system.server.decisions.knows("from-eve"):  # type: ignore[attr-defined]
            await asyncio.sleep(0)
    transport.close()
    done = await asked(tmp_path, "from-e")
    assert "Call-ID  from-eve" in done.stdout
    assert "RB-2003 error: Strangers may not call" in done.stdout
    assert "[setting proxy.strangers_may_call = false (default)]" in done.stdout
    told = json.loads((await asked(tmp_path, "from-eve", "--json")).stdout)
    assert told["found"] is True
    assert [each["code"] for each in told["verdicts"]] == ["RB-2003"]
    assert told["messages"][0]["method"] == "INVITE"
    assert "\x1b" not in (await asked(tmp_path, "from-a-stranger")).stdout


async def test_a_phone_that_speaks_plainly_on_the_tls_port_is_shown(
    process: ServerProcess, tmp_path: Path
) -> None:
    assert (await asked(tmp_path, "--tls")).stdout == "No TLS handshake has failed.\n"
    host, port = process.addresses()["tls"].split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"REGISTER sip:office.test SIP/2.0\r\n\r\n")
    await reader.read()
    writer.close()
    done = await asked(tmp_path, "--tls")
    assert "RB-4004 Plain text on the TLS port" in done.stdout
    assert "it said 'REGISTER sip:office.test SIP/2.0'" in done.stdout
    status = await asyncio.to_thread(ringback, "status", data=tmp_path)
    assert ": no TLS; see `ringback explain --tls`" in status.stdout


async def test_questions_that_make_no_sense_get_a_sentence(process: ServerProcess, tmp_path: Path) -> None:
    unknown = await asked(tmp_path, "never-heard-of")
    assert (unknown.returncode, unknown.stderr.count("\n")) == (1, 1)
    assert "nothing is known of never-heard-of" in unknown.stderr
    (tmp_path / "text.sip").write_text("hello\n")
    assert (
        "the first line must be that of a request"
        in (await asked(tmp_path, str(tmp_path / "text.sip"))).stderr
    )
    (tmp_path / "large.sip").write_text("a" * 70_000)
    assert "this is no SIP message" in (await asked(tmp_path, str(tmp_path / "large.sip"))).stderr
    assert "say a Call-ID, or a file" in (await asked(tmp_path)).stderr


async def test_a_call_that_is_over_is_explained_with_its_record_and_also_when_the_server_is_gone(
    process: ServerProcess, tmp_path: Path
) -> None:
    silent = {
        "name": "caller", "number": "101", "address": "192.0.2.9:5060 (UDP)", "call_id": "over",
        "streams": [{"kind": "audio", "packets_received": 0, "packets_sent": 900, "lost": 0, "jitter_ms": 0, "mos": None}],
    }  # fmt: skip
    heard = {**silent, "name": "callee", "number": "102", "address": "192.0.2.8:5060 (UDP)", "call_id": "leg"}
    heard["streams"] = [{**silent["streams"][0], "packets_received": 900}]  # type: ignore[index,dict-item]
    now = time.time()
    party = {"number": "101", "name": "", "device": "", "user_agent": ""}
    record = {
        "id": "00112233445566aa", "began_at": now, "answered_at": now + 1, "ended_at": now + 29, "caller": party,
        "callee": {**party, "number": "102"}, "dialled": "102", "state": "ended", "result": "answered", "status": 200,
        "ended_by": "caller", "how_ended": "101 hung up after 28 s", "mode": "bridge", "anchored": "", "notes": [],
        "call_ids": ["over", "leg"], "legs": [silent, heard], "quality": [], "decisions": [], "verdicts": [],
        "recording": "",
    }  # fmt: skip
    with closing(open_records(tmp_path)) as records:
        assert records.put(record)
    for what in ("00112233445566aa", "over", "leg"):
        done = await asked(tmp_path, what)
        assert "101 hung up after 28 s" in done.stdout
        assert "RB-1002 error: Sound in one direction only" in done.stdout
        assert "102 is heard (900 packets), 101 is not" in done.stdout
    await process.close()
    done = await asked(tmp_path, "over")
    assert "101 hung up after 28 s" in done.stdout
    assert "the server is not running" in done.stderr


def test_without_a_server_nobody_explains(tmp_path: Path) -> None:
    done = ringback("explain", "a", data=tmp_path)
    assert done.returncode == 1
    assert "no server is running" in done.stderr
