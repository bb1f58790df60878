# SPDX-License-Identifier: Apache-2.0
"""The control socket: who may speak, what is understood, and what ends a conversation."""

import asyncio
import contextlib
import json
import socket
import stat
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from ringback.server.control import (
    MAX_CONNECTIONS,
    MAX_REQUEST,
    SOCKET_NAME,
    ControlError,
    ControlServer,
    NoServer,
    ask,
)
from ringback.sip.errors import RingbackError


async def echo(request: Mapping[str, Any]) -> dict[str, Any]:
    return {"said": request.get("word"), "long": "x" * int(request.get("length", 0))}


async def refuse(request: Mapping[str, Any]) -> dict[str, Any]:
    raise RingbackError("not today")


async def hang(request: Mapping[str, Any]) -> dict[str, Any]:
    await asyncio.Event().wait()
    return {}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ControlServer]:
    server = ControlServer(tmp_path, {"echo": echo, "refuse": refuse, "hang": hang})
    await server.start()
    yield server
    await server.close()


async def elsewhere(call: Callable[[], Any]) -> Any:
    """Run the blocking client beside the server."""
    return await asyncio.to_thread(call)


async def test_a_verb_is_answered_however_long_the_answer(server: ControlServer, tmp_path: Path) -> None:
    answer = await elsewhere(lambda: ask(tmp_path, "echo", word="grüß", length=300_000))
    assert (answer["said"], len(answer["long"])) == ("grüß", 300_000)


async def test_a_refusal_and_an_unknown_verb_are_errors_with_words(
    server: ControlServer, tmp_path: Path
) -> None:
    with pytest.raises(ControlError, match="not today"):
        await elsewhere(lambda: ask(tmp_path, "refuse"))
    with pytest.raises(ControlError, match="the verbs are: echo, refuse, hang"):
        await elsewhere(lambda: ask(tmp_path, "dance"))


async def test_no_answer_in_time_is_said(server: ControlServer, tmp_path: Path) -> None:
    with pytest.raises(ControlError, match=r"no answer in 0\.1 seconds"):
        await elsewhere(lambda: ask(tmp_path, "hang", timeout=0.1))


async def test_only_the_owner_may_speak(server: ControlServer, tmp_path: Path) -> None:
    assert stat.S_IMODE((tmp_path / SOCKET_NAME).stat().st_mode) == 0o600


async def test_garbage_is_answered_and_one_connection_asks_many_things(
    server: ControlServer, tmp_path: Path
) -> None:
    reader, writer = await asyncio.open_unix_connection(tmp_path / SOCKET_NAME)
    for line, expected in (
        (b"\xff\xfe\n", "the request is no JSON"),
        (b"[" * 5000 + b"\n", "the request is no JSON"),
        (b"[1]\n", "the verbs are"),
        (b'{"verb": ["echo"]}\n', "the verbs are"),
        (b'{"verb": "refuse"}\n', "not today"),
    ):
        writer.write(line)
        answer = json.loads(await reader.readline())
        assert not answer["ok"]
        assert expected in answer["error"]
    writer.close()


async def test_a_line_that_is_too_long_ends_the_conversation(server: ControlServer, tmp_path: Path) -> None:
    reader, writer = await asyncio.open_unix_connection(tmp_path / SOCKET_NAME)
    writer.write(b"x" * (MAX_REQUEST * 2 + 10))
    with contextlib.suppress(ConnectionResetError):
        assert await reader.read() == b""
    writer.close()
    assert (await elsewhere(lambda: ask(tmp_path, "echo", word=1)))["said"] == 1


async def test_there_is_room_for_a_few_only(server: ControlServer, tmp_path: Path) -> None:
    async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_unix_connection(tmp_path / SOCKET_NAME)

    held = [await connect() for _ in range(MAX_CONNECTIONS)]
    for _, writer in held:
        writer.write(b'{"verb": "hang"}\n')
    reader, writer = await connect()
    assert await reader.read() == b""
    for _, each in [*held, (reader, writer)]:
        each.close()


async def test_without_a_server_the_client_says_so(tmp_path: Path) -> None:
    with pytest.raises(NoServer, match="no server is running on"):
        ask(tmp_path, "status")
    with pytest.raises(NoServer):
        ask(tmp_path / "none", "status")


async def test_the_socket_of_a_dead_server_is_taken_over(tmp_path: Path) -> None:
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(tmp_path / SOCKET_NAME))
    dead.close()
    with pytest.raises(NoServer):
        ask(tmp_path, "echo")
    server = ControlServer(tmp_path, {"echo": echo})
    await server.start()
    assert (await elsewhere(lambda: ask(tmp_path, "echo", word=1)))["ok"]
    await server.close()
    assert not (tmp_path / SOCKET_NAME).exists()


async def test_a_deep_data_directory_still_has_a_socket(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    server = ControlServer(deep, {"echo": echo})
    await server.start()
    assert (await elsewhere(lambda: ask(deep, "echo", word=1)))["said"] == 1
    await server.close()


async def test_closing_ends_conversations_that_wait(tmp_path: Path) -> None:
    begun = asyncio.Event()

    async def wait(request: Mapping[str, Any]) -> dict[str, Any]:
        begun.set()
        return await hang(request)

    server = ControlServer(tmp_path, {"wait": wait})
    await server.start()
    reader, writer = await asyncio.open_unix_connection(tmp_path / SOCKET_NAME)
    writer.write(b'{"verb": "wait"}\n')
    await begun.wait()
    await asyncio.wait_for(server.close(), 5)
    assert await reader.read() == b""
    writer.close()
