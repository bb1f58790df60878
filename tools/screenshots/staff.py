# SPDX-License-Identifier: Apache-2.0
"""Eight people of an office that does not exist: their phones, what they call each other about, and a week of it."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import random
import re
import secrets
import ssl
import threading
import time
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Self

from interop_mute_caller import MuteCaller
from interop_office import Office
from interop_process import wait_until
from interop_ringback import Ringback

from ringback import CallError, Phone
from ringback.server.first_start import open_records

NAMES = (
    "Anna Berg",
    "Ben Ito",
    "Carla Diaz",
    "Dmitri Orlov",
    "Emma Novak",
    "Farid Haddad",
    "Grace Okafor",
    "Hannah Weiss",
)
#: Their numbers, and what their phones call themselves. 101 is the softphone, 108 has none yet.
PHONES = {
    "102": "Yealink SIP-T54W 96.86.0.70",
    "103": "Linphone-Desktop/5.2.4",
    "104": "snomD785/10.1.169.16",
    "105": "PolyEdge-E350-UA/8.2.1",
    "106": "Grandstream GXP2170 1.0.11.64",
    "107": "baresip v3.10.1",
}
#: Caller, callee, how it goes. A busy one is busy because it says so.
MORNING = (
    ("102", "103", "talk"), ("104", "105", "talk"), ("106", "107", "busy"), ("103", "102", "talk"), ("107", "104", "decline"),
    ("105", "199", "wrong number"), ("102", "108", "nobody"), ("104", "*43", "talk"), ("106", "102", "talk"),
)  # fmt: skip


class Staff:
    """Their phones, in a thread of their own. `good_call` and `bad_call` are worth a look."""

    def __init__(self, office: Office, server: Ringback) -> None:
        self._office = office
        self._server = server
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._phones: dict[str, Phone] = {}
        self._says: dict[str, str] = {}
        self.good_call = self.bad_call = ""

    def __enter__(self) -> Self:
        self._thread.start()
        for number, agent in PHONES.items():
            device = self._office.ask(
                "POST", f"/users/{number}/devices", {"name": agent.split()[0], "kind": "phone"}
            )
            self._phones[number] = self._now(self._phone(number, agent, device["password"]))
        return self

    def __exit__(self, *_: object) -> None:
        for phone in self._phones.values():
            self._now(phone.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def live_through_a_morning(self) -> None:
        """Calls of some seconds; one of them is long enough for its sound to be measured, one goes wrong."""
        calls = []
        for caller, callee, how in MORNING:
            self._says[callee] = how
            calls.append(self._soon(self._call(caller, callee, 1.0)))
            with contextlib.suppress(CallError):
                calls[-1].result(20)
        self._says["105"] = "talk"
        long = self._soon(self._call("103", "105", 17.0))
        with MuteCaller(self._server.sip, "sip:107@berg.example.com", display="Ina Keller") as caller:
            self._says["107"] = "talk"
            caller.invite()
            caller.answered()
            for _ in range(3):
                caller.receive("SIP/2.0 200")
            caller.hang_up()
        long.result(40)
        self.good_call = self._newest("103 105")
        self.bad_call = self._newest(caller.call_id)

    @contextlib.contextmanager
    def talking(self) -> Iterator[None]:
        """Three calls are on meanwhile."""
        self._says |= {"103": "talk", "105": "talk", "107": "ring"}
        calls = [
            self._soon(self._call(*pair, 600.0)) for pair in (("102", "103"), ("104", "105"), ("106", "107"))
        ]
        wait_until(lambda: len(self._office.ask("GET", "/calls")["items"]) == 3, 20, "three calls")
        try:
            yield
        finally:
            for call in self._office.ask("GET", "/calls")["items"]:
                self._office.ask("DELETE", f"/calls/{call['id']}")
            for each in calls:
                with contextlib.suppress(CallError):
                    each.result(20)

    def ring(self, caller: str, callee: str) -> Future[None]:
        """Calls until the other one hangs up."""
        return self._soon(self._call(caller, callee, 600.0))

    def write(self, sender: str, recipient: str, text: str) -> None:
        self._now(self._phones[sender].message(recipient, text))

    def _newest(self, words: str) -> str:
        found: Any = wait_until(
            lambda: self._office.ask("GET", f"/records?search={words.replace(' ', '%20')}")["items"],
            10,
            words,
        )
        return str(found[0]["id"])

    async def _phone(self, number: str, agent: str, password: str) -> Phone:
        phone = Phone(
            f"sip:{number}@{self._server.domain}", password, server=self._server.tls, transport="tls", host="127.0.0.1",
            tls=ssl.create_default_context(cafile=self._server.ca), user_agent=agent,
        )  # fmt: skip

        @phone.on_call
        async def answer(call: Any) -> None:
            says = self._says.get(number, "talk")
            if says in ("busy", "decline"):
                await call.reject({"busy": 486, "decline": 603}[says])
                return
            await call.ring()
            if says == "talk":
                await call.answer()
            await call.wait_ended()

        await phone.start()
        return phone

    async def _call(self, caller: str, callee: str, seconds: float) -> None:
        async with self._phones[caller].dial(callee, timeout=900) as call:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(call.wait_ended(), seconds)

    def _soon(self, work: Coroutine[Any, Any, Any]) -> Future[Any]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def _now(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._soon(work).result(30)


def history(data: Path) -> None:
    """The calls of the morning once more, on the days before, each with a length of its own."""
    store = open_records(data)
    dice = random.Random(5)
    try:
        records, _ = store.search(size=50)
        for day in range(1, 5):
            for record in dice.sample(records, min(9, len(records))):
                store.put(_earlier(record, day * 86_400 + dice.uniform(0, 20_000), dice.uniform(15, 900)))
        store.flush()
    finally:
        store.close()


def _earlier(record: dict[str, Any], seconds: float, length: float) -> dict[str, Any]:
    moved = copy.deepcopy(record) | {"id": secrets.token_hex(8), "began_at": record["began_at"] - seconds}
    end = moved["began_at"] + 4
    if record["answered_at"]:
        moved["answered_at"], end = end, end + length
        minutes, rest = divmod(int(length), 60)
        words = f"{minutes} min {rest} s" if minutes else f"{rest} s"
        moved["how_ended"] = re.sub(r"after .*$", f"after {words}", record["how_ended"])
    moved["ended_at"] = min(end, time.time())
    return moved
