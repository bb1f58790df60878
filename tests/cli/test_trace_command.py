# SPDX-License-Identifier: Apache-2.0
"""`ringback trace` at a running server: lines for scripts, files, and the screens with their keys."""

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from command_line import Done, ringback
from textual.widgets import Input

from ringback.cli.options import place_of_server
from ringback.cli.trace_calls import CALLS_ONLY, Filter
from ringback.cli.trace_screens.app import TraceApp
from ringback.cli.trace_screens.dialogs import LineDialog
from ringback.cli.trace_screens.ladder_screen import LadderScreen
from ringback.cli.trace_screens.list_screen import ListScreen
from ringback.cli.trace_screens.reading import Reading
from ringback.cli.trace_source import TraceSource
from ringback.net.sockets import RealNetwork
from ringback.pbx.process import ServerProcess
from ringback.server.config_file import load_settings

SETTINGS = """
[sip]
domain = "office.test"
[web]
console = false
"""
#: Colours of a terminal, markup of two libraries, and letters that turn the direction of writing.
HOSTILE = "\x1b[31m[red]Eve[/red]\u202e[link=x]\x07"


@pytest.fixture
async def process(tmp_path: Path) -> AsyncIterator[ServerProcess]:
    file = tmp_path / "ringback.toml"
    file.write_text(SETTINGS)
    flags = {"data": str(tmp_path), "host": ("127.0.0.1",), "sip_port": 0, "tls_port": 0, "http_port": 0, "https_port": 0}  # fmt: skip
    process = await ServerProcess.start(lambda: load_settings(flags, {}), RealNetwork())
    yield process
    await process.close()


class Peer:
    """Somebody who sends requests to the server and hears what comes back."""

    def __init__(self, process: ServerProcess) -> None:
        port = int(process.addresses()["udp"].rpartition(":")[2])
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.connect(("127.0.0.1", port))
        self.socket.settimeout(5)

    async def send(
        self, call_id: str, *, method: str = "INVITE", caller: str = "101", name: str = ""
    ) -> None:
        """One request; what the server says to it has arrived then."""
        host, port = self.socket.getsockname()
        request = (
            f"{method} sip:102@office.test SIP/2.0\r\nVia: SIP/2.0/UDP {host}:{port};branch=z9hG4bK{call_id}\r\n"
            f"Max-Forwards: 70\r\nFrom: {name} <sip:{caller}@office.test>;tag=a\r\nTo: <sip:102@office.test>\r\n"
            f"Call-ID: {call_id}\r\nCSeq: 1 {method}\r\nContact: <sip:{caller}@{host}:{port}>\r\n"
            "Content-Length: 0\r\n\r\n"
        )
        self.socket.send(request.encode())
        await asyncio.to_thread(self.socket.recv, 65_536)


@pytest.fixture
async def peer(process: ServerProcess) -> AsyncIterator[Peer]:
    peer = Peer(process)
    yield peer
    peer.socket.close()


async def traced(tmp_path: Path, *words: str) -> Done:
    """The command, beside the server that answers it."""
    return await asyncio.to_thread(ringback, "trace", *words, data=tmp_path)


async def until(condition: Callable[[], object]) -> None:
    """Wait for what the screen shows in its own time."""
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.02)


def shown(app: TraceApp) -> str:
    """The letters on the screen."""
    lines = app.screen._compositor.render_strips(app.size)
    return "\n".join(line.text for line in lines)


async def test_without_a_terminal_messages_are_lines(
    process: ServerProcess, peer: Peer, tmp_path: Path
) -> None:
    await peer.send("one", name=f'"{HOSTILE}"')
    await peer.send("two", method="OPTIONS", caller="+4420777")
    done = await traced(tmp_path)
    lines = done.stdout.splitlines()
    assert [line.split("  ")[1] for line in lines] == ["<-", "->", "<-", "->"]
    assert lines[0].endswith("INVITE sip:102@office.test SIP/2.0  one")
    done = await traced(tmp_path, "--from", "+4420*", "--json")
    assert [json.loads(line)["call_id"] for line in done.stdout.splitlines()] == ["two", "two"]
    done = await traced(tmp_path, "--method", "INVITE")
    assert len(done.stdout.splitlines()) == 2
    done = await traced(tmp_path, "one")
    assert len(done.stdout.splitlines()) == 2


async def test_questions_that_make_no_sense_get_a_sentence_and_a_code(
    process: ServerProcess, peer: Peer, tmp_path: Path
) -> None:
    await peer.send("call-1")
    await peer.send("call-2")
    for words, code, sentence in (
        (("never-heard-of",), 1, "nothing is known of never-heard-of"),
        (("--from", "77"), 1, "no message from 77"),
        (("call-",), 2, "2 Call-IDs begin with 'call-'; say more of it"),
        (("one", "--from", "77"), 2, "leave out --from"),
        (("--save", "a.pcap"), 2, "--save needs a CALL-ID"),
        (("call-1", "--save", "a.doc"), 2, "must end with one of .pcap"),
    ):
        done = await traced(tmp_path, *words)
        assert (done.returncode, sentence in done.stderr) == (code, True), done
        assert "Traceback" not in done.stderr
    nobody = await asyncio.to_thread(ringback, "trace", data=tmp_path / "nowhere")
    assert (nobody.returncode, nobody.stderr.count("\n")) == (1, 1)
    assert "no server is running" in nobody.stderr


async def test_a_call_is_saved_once_and_for_its_owner_only(
    process: ServerProcess, peer: Peer, tmp_path: Path
) -> None:
    await peer.send("one", name=f'"{HOSTILE}"')
    for ending, start in ((".pcap", b"\xd4\xc3\xb2\xa1"), (".txt", b"Call-ID  one"), (".html", b"<!DOCTYPE"), (".json", b'{"at": ')):  # fmt: skip
        file = tmp_path / f"one{ending}"
        done = await traced(tmp_path, "one", "--save", str(file))
        assert done.stdout == f"2 messages are in {file}\n", done.stderr
        assert file.read_bytes().startswith(start)
        assert file.stat().st_mode & 0o777 == 0o600
    text = (tmp_path / "one.txt").read_text()
    assert "\\x1b[31m[red]Eve[/red]\\u202e" in text
    assert not any(letter in text for letter in "\x1b\x07\u202e")
    again = await traced(tmp_path, "one", "--save", str(tmp_path / "one.pcap"))
    assert (again.returncode, "is there already" in again.stderr) == (1, True)


async def test_the_list_is_live_and_every_key_of_sngrep_does_what_it_does_there(
    process: ServerProcess, peer: Peer, tmp_path: Path
) -> None:
    await peer.send("one")
    app = TraceApp(TraceSource(place_of_server(str(tmp_path), None)), Filter())
    async with app.run_test(size=(120, 40)) as pilot:
        await until(lambda: "407 Proxy" in shown(app))
        assert "101@office.test" in shown(app)
        await peer.send("two", caller="103")
        await peer.send("three", method="OPTIONS", caller="104")
        await until(lambda: "103@office.test" in shown(app))
        await until(lambda: "a shows 1 others" in shown(app))
        await pilot.press("a")
        assert "OPTIONS" in shown(app)
        await pilot.press("f7", "1", "0", "3", "enter")
        await until(lambda: "from 103  1 shown" in shown(app))
        await pilot.press("slash", "backspace", "backspace", "backspace", "enter")
        await until(lambda: "all methods  3 shown" in shown(app))
        await pilot.press("home", "f3", "1", "0", "3", "enter", "enter")
        await until(lambda: "103@office.test → 102@office.test" in shown(app))
        await pilot.press("escape", "home", "space", "space", "enter")
        await until(lambda: isinstance(app.screen, LadderScreen))
        await until(lambda: "2 calls in one flow" in shown(app))
        await pilot.press("escape", "f5")
        await until(lambda: "0 shown" in shown(app))
        await peer.send("four", caller="105")
        await until(lambda: "105@office.test" in shown(app))
        assert "1 shown" in shown(app)
        await pilot.press("f1")
        assert "mark a call" in shown(app)
        await pilot.press("escape", "q")
    assert app.return_code == 0


async def test_a_ladder_shows_message_verdicts_and_decisions_and_hostile_names_are_text(
    process: ServerProcess, peer: Peer, tmp_path: Path
) -> None:
    await peer.send("one", name=f'"{HOSTILE}"', caller="[bold]")
    source = TraceSource(place_of_server(str(tmp_path), None))
    flow = await asyncio.to_thread(source.flow, ["one"])
    app = TraceApp(source, Filter(method=""), flow=flow)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(lambda: "INVITE" in shown(app))
        assert "\\x1b[31m[red]Eve[/red]\\u202e[link=x]\\x07" in shown(app).replace("\n", "")
        assert "[bold]@office.test" in shown(app)
        assert "───▶" in shown(app)
        await pilot.press("k", "c", "t", "down", "enter")
        assert isinstance(app.screen, Reading)
        assert "SIP/2.0 4" in shown(app)
        await pilot.press("escape", "e")
        assert "Decisions" in shown(app)
        await pilot.press("escape", "r")
        assert "2 messages" in shown(app)
        await pilot.press("escape", "f2")
        app.screen.query_one(Input).value = str(tmp_path / "saved.txt")
        await pilot.press("enter")
        await until((tmp_path / "saved.txt").exists)
        await pilot.press("s")
        app.screen.query_one(Input).value = str(tmp_path / "saved.txt")
        await pilot.press("enter")
        assert isinstance(app.screen, LineDialog)
        await until(lambda: "is there already" in shown(app))
        await pilot.press("escape", "escape")
        await until(lambda: isinstance(app.screen, ListScreen))
        await until(lambda: "[bold]@office.test" in shown(app))
        assert not any(letter in shown(app) for letter in "\x1b\x07\u202e")


async def test_a_server_that_goes_away_is_said_on_the_screen(
    process: ServerProcess, peer: Peer, tmp_path: Path
) -> None:
    await peer.send("one")
    app = TraceApp(TraceSource(place_of_server(str(tmp_path), None)), Filter())
    async with app.run_test(size=(160, 24)) as pilot:
        await until(lambda: "407 Proxy" in shown(app))
        await process.close()
        await until(lambda: "no server is running" in shown(app))
        await pilot.press("enter")
        await pilot.pause()
        assert isinstance(app.screen, ListScreen)


def test_the_screens_are_read_from_the_disk_only_when_they_open() -> None:
    code = "import sys, ringback.cli.trace; print(sorted({'textual', 'rich'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_calls_only_is_what_the_screen_begins_with() -> None:
    assert Filter().method == CALLS_ONLY
