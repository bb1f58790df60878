# SPDX-License-Identifier: Apache-2.0
"""Applications of the library with a real phone: its keys in each of its ways, its sound, its transfers."""

import sys
import time
from pathlib import Path

import pytest
from interop_baresip import Baresip
from interop_process import Program, free_port
from interop_rig import PASSWORD, Rig
from interop_ringback import Ringback
from interop_sound import seconds_of_tone

MENU = """
from ringback import App, audio

app = App()

@app.call("menu")
async def menu(call):
    await call.answer()
    print("ready for keys", flush=True)
    print("keys", await call.ask(audio.steady(500, 20_000), digits=4, timeout=5), flush=True)
    await call.play(audio.steady(900, 1_500))

@app.call("both")
async def both(call):
    await call.answer()
    async with app.dial("sip:bob@BOB") as other:
        await call.bridge(other)

print("listening", flush=True)
app.run()
"""


TRANSFER = """
from ringback import App, audio

app = App(register=True, port=0)

@app.call()
async def transfer(call):
    await call.answer()
    await call.play(audio.beep())
    print("transferring", flush=True)
    if WAY == "blind":
        await call.transfer("102")
    else:
        other = await app.dial("102")
        await other.play(audio.beep())
        await call.transfer(other)

@app.on_registration
def tell(state):
    print("state", state.name, flush=True)

app.run()
"""


class Applications:
    """The program, and baresips that are reached without a server."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.port = free_port()
        self.bob: Baresip | None = None

    def start(self) -> Program:
        script = self.rig.folder / "applications.py"
        bob = f"127.0.0.1:{self.bob.port}" if self.bob is not None else "127.0.0.1:9"
        script.write_text(MENU.replace("BOB", bob))
        program = self.rig.keep(
            Program(
                [
                    "env",
                    "RINGBACK_APP_HOST=127.0.0.1",
                    f"RINGBACK_APP_PORT={self.port}",
                    sys.executable,
                    str(script),
                ],
                self.rig.folder / "applications.log",
            )
        )
        program.wait_for("listening", 15)
        time.sleep(0.3)
        assert isinstance(program, Program)
        return program

    def phone(self, user: str, *, frequency: float, extra: str = "") -> Baresip:
        folder = Path(self.rig.folder) / user
        phone = Baresip(
            folder,
            user=user,
            password=f"none{extra}",
            domain="127.0.0.1",
            server=f"127.0.0.1:{self.port}",
            frequency=frequency,
            expires=0,
        )
        kept = self.rig.keep(phone)
        assert isinstance(kept, Baresip)
        return kept

    def dial(self, caller: Baresip, name: str) -> None:
        caller.command("dial", f"sip:{name}@127.0.0.1:{self.port}")
        caller.wait_event("CALL_ESTABLISHED")


@pytest.fixture
def applications(rig: Rig) -> Applications:
    return Applications(rig)


@pytest.mark.parametrize("mode", ["rtpevent", "info"])
def test_keys_of_a_phone_reach_the_application_and_stop_its_prompt(
    applications: Applications, mode: str
) -> None:
    program = applications.start()
    anna = applications.phone("anna", frequency=440.0, extra=f";dtmfmode={mode}")
    applications.dial(anna, "menu")
    program.wait_for("ready for keys", 5)
    time.sleep(1.0)
    for key in "19#":
        anna.command("sndcode", key)
        time.sleep(0.4)
    program.wait_for("keys 19", 10)
    anna.wait_event("CALL_CLOSED")
    assert 0.8 < seconds_of_tone(anna.heard(), 500.0) < 4.0
    assert seconds_of_tone(anna.heard(), 900.0) > 1.0


@pytest.mark.parametrize("way", ["blind", "attended"])
def test_a_phone_is_transferred_by_an_application_through_the_server(
    rig: Rig, server: Ringback, way: str
) -> None:
    anna = rig.baresip(server, "101", frequency=440.0)
    bob = rig.baresip(server, "102", frequency=700.0)
    script = rig.folder / "transfer.py"
    script.write_text(f"WAY = {way!r}\n{TRANSFER}")
    account = {"ADDRESS": f"sip:103@{server.domain}", "PASSWORD": PASSWORD, "SERVER": server.sip}
    variables = [f"RINGBACK_APP_{name}={value}" for name, value in account.items()]
    program = rig.keep(Program(["env", *variables, sys.executable, str(script)], rig.folder / "transfer.log"))
    program.wait_for("state REGISTERED", 15)
    anna.command("dial", f"sip:103@{server.domain}")
    anna.wait_event("CALL_ESTABLISHED")
    program.wait_for("transferring", 10)
    bob.wait_event("CALL_ESTABLISHED")
    time.sleep(2.5)
    anna.command("hangup")
    bob.wait_event("CALL_CLOSED")
    assert seconds_of_tone(bob.heard(), 440.0) > 1.0
    assert seconds_of_tone(anna.heard(), 700.0) > 1.0


def test_two_phones_are_bridged_by_an_application(applications: Applications) -> None:
    bob = applications.bob = applications.phone("bob", frequency=700.0)
    applications.start()
    anna = applications.phone("anna", frequency=440.0)
    applications.dial(anna, "both")
    bob.wait_event("CALL_ESTABLISHED")
    time.sleep(2.5)
    anna.command("hangup")
    bob.wait_event("CALL_CLOSED")
    assert seconds_of_tone(bob.heard(), 440.0) > 1.0
    assert seconds_of_tone(anna.heard(), 700.0) > 1.0
