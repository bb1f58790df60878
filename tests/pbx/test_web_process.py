# SPDX-License-Identifier: Apache-2.0
"""The web process as its supervisor sees it: started, told, replaced, and not there where nobody wants it."""

import asyncio
import datetime
import json
import os
import re
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ringback.net.sockets import RealNetwork
from ringback.pbx.web_process import WebProcess, make_setup_secret
from ringback.server.bulletin import Bulletin
from ringback.server.config import Settings
from ringback.server.config_file import Loaded
from ringback.server.first_start import Installation, prepare, sealer_of
from ringback.server.storage.people import PeopleStore, Person
from ringback.server.storage.sqlite import FILE_NAME
from ringback.server.web_settings import WebSettings

#: A process that writes down what it is told, and asks one verb when it is told to.
PROGRAM = """
import asyncio, json, os, socket, sys
from ringback.server.cluster.link import Link

class Owner:
    def change_received(self, data): pass
    def taken(self, count): pass
    def writable(self): pass
    def link_lost(self): os._exit(0)

async def main():
    out = open(sys.argv[1], "a")
    def tell(what):
        out.write(json.dumps(what) + "\\n"); out.flush()
    async def start(arguments):
        tell(["start", arguments["domain"], arguments["addresses"], os.getpid()])
        return {}
    async def settings(arguments):
        tell(["settings", json.loads(arguments["settings"])["web"]["session_hours"]])
        return {}
    async def nothing(arguments):
        return {}
    link = await Link.open(socket.socket(fileno=int(sys.argv[2])), Owner(),
                           {"start": start, "settings": settings, "ping": nothing, "stop": nothing})
    async def ask(event):
        tell(["answer", await link.ask("calls", {"of": event["number"]})])
    def hear(event):
        tell(["event", event["kind"]])
        asyncio.get_running_loop().create_task(ask(event))
    link.on_event = hear
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def installation(directory: Path, **web: Any) -> Installation:
    settings = Settings(data=directory, web=WebSettings(**web))
    return await prepare(Loaded(settings), RealNetwork(), clock=lambda: datetime.datetime.now(datetime.UTC))


def told(file: Path) -> list[list[Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.02)


async def test_it_hears_what_happens_asks_what_it_shows_and_is_replaced_when_it_dies(tmp_path: Path):
    made, out, bulletin = await installation(tmp_path / "data"), tmp_path / "told", Bulletin()
    web = WebProcess(made, command=(sys.executable, "-c", PROGRAM, str(out)))

    async def calls(arguments: Mapping[str, Any]) -> dict[str, Any]:
        return {"calls": [arguments["of"]]}

    web.listen()
    assert web.path is not None
    assert oct(web.path.stat().st_mode)[-3:] == "600"
    web.begin({"calls": calls}, bulletin, {"wss": "192.0.2.10:8443"})
    try:
        await until(lambda: (web.status() or {})["serving"])
        bulletin.post("phone.registered", number="101")
        await until(lambda: len(told(out)) >= 3)
        start, event, answer = told(out)
        assert start[2] == {"wss": "192.0.2.10:8443"}
        assert (event, answer) == (["event", "phone.registered"], ["answer", {"calls": ["101"]}])

        await web.reload(Settings(web=WebSettings(session_hours=5)))
        assert told(out)[-1] == ["settings", 5.0]

        os.kill(start[3], signal.SIGKILL)
        await until(lambda: (web.status() or {})["starts"] == 2 and (web.status() or {})["serving"])
        assert [line[0] for line in told(out)].count("start") == 2
    finally:
        await web.close()
        made.store.close()
    assert not web.path.exists()


async def test_without_a_console_there_is_no_process_and_no_link(tmp_path: Path):
    made = await installation(tmp_path, console=False)
    web = WebProcess(made, command=("/nonexistent",))
    web.listen()
    web.begin({}, Bulletin(), {})
    assert (web.path, web.status(), await web.setup_link({})) == (None, None, "")
    await web.close()
    made.store.close()


async def test_a_deep_directory_has_its_socket_elsewhere(tmp_path: Path):
    made = await installation(tmp_path / ("d" * 100))
    web = WebProcess(made)
    web.listen()
    assert web.path is not None
    assert len(str(web.path)) < 100
    await web.close()
    made.store.close()
    assert not web.path.parent.exists()


async def test_a_set_up_link_is_made_while_there_is_no_owner(tmp_path: Path):
    made = await installation(tmp_path)
    web = WebProcess(made)
    web.listen()
    link = await web.setup_link({"wss": "192.0.2.10:8443"})
    assert re.fullmatch(r"https://192\.0\.2\.10:8443/setup/[2-9A-Z]{4}-[2-9A-Z]{4}", link)
    people = PeopleStore.open(tmp_path / FILE_NAME, sealer=sealer_of(tmp_path))
    people.add_person(Person("1", "Olga", role="owner"))
    assert await web.setup_link({}) == make_setup_secret(tmp_path) == ""
    assert len(make_setup_secret(tmp_path, reset="1")) == 9
    (tmp_path / FILE_NAME).write_bytes(b"damaged" * 1000)
    assert await web.setup_link({}) == ""
    await web.close()
    made.store.close()
