# SPDX-License-Identifier: Apache-2.0
"""The samples of the library's design run as they stand; only the domain is put in, or where to listen."""

import asyncio
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from ringback.media.files import write_pcm
from ringback.media.pcm import tone_share
from ringback.media.tones import steady
from ringback.net.dns_client import SystemDns
from ringback.net.driver import StackDriver
from ringback.net.resolver import Resolver
from ringback.net.sockets import RealNetwork
from ringback.sip.events import RequestReceived
from ringback.sip.flow import Address, Transport
from ringback.sip.identifiers import Identifiers
from ringback.sip.stack import SipStack
from ringback.ua.errors import CallError
from ringback.ua.phone import Phone

ANSWERING = """
from ringback import Phone

phone = Phone("sip:101@pbx.example.com", password="s3cret")   # SRV, TLS, NAT found by itself

@phone.on_call
async def greet(call):
    await call.answer()
    await call.say(f"Hello {call.caller.name or 'there'}.")   # returning hangs up

phone.run()
"""

CALLING = """
import asyncio
from ringback import Phone, Busy, NoAnswer

async def main():
    async with Phone("sip:101@pbx.example.com", password="s3cret") as phone:
        try:
            async with phone.dial("+442079460018", timeout=30) as call:
                await call.play("reminder.wav")
                print("duration", call.duration, "quality", call.stats.mos)
        except (Busy, NoAnswer) as why:
            print("not reached:", why)          # e.g. "486 Busy Here"

asyncio.run(main())
"""


class Registrar:
    """Takes every REGISTER, and sends every call to `target`, or refuses it."""

    def __init__(self) -> None:
        self.contact = asyncio.get_running_loop().create_future()
        self.gone = asyncio.Event()
        self.target = ""

    async def start(self) -> str:
        import os

        self.stack = SipStack(Identifiers(os.urandom))
        self.driver = StackDriver(
            self.stack, RealNetwork(), resolver=Resolver(SystemDns()), handler=self.receive
        )
        endpoint = await self.driver.listen(Transport.UDP, Address("127.0.0.1", 0))
        return str(endpoint.local)

    def receive(self, event):
        if not isinstance(event, RequestReceived):
            return
        request = event.request
        status, headers = 486, []
        if request.method == "REGISTER":
            status, headers = 200, [("Contact", str(request.contacts[0]))]
            if not self.contact.done():
                self.contact.set_result(str(request.contacts[0].uri))
            else:
                self.gone.set()
        elif self.target:
            status, headers = 302, [("Contact", f"<{self.target}>")]
        response = self.stack.make_response(event.transaction, status, headers=headers)
        self.driver.perform(self.stack.respond, event.transaction, response)


def program(sample: str, server: str, folder: Path) -> subprocess.Popen[str]:
    file = folder / "sample.py"
    file.write_text(sample.replace("pbx.example.com", server))
    return subprocess.Popen(
        [sys.executable, str(file)], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="no voice installed: apt install espeak-ng")
async def test_sample_1_registers_answers_speaks_hangs_up_and_unregisters(tmp_path):
    registrar = Registrar()
    running = program(ANSWERING, await registrar.start(), tmp_path)
    try:
        contact = await asyncio.wait_for(registrar.contact, 10)
        async with Phone('"Anna" <sip:anna@127.0.0.1>', register=False, host="127.0.0.1") as phone:
            call = await phone.dial(contact, timeout=5)
            heard = b"".join([frame async for frame in call.frames()])
            assert call.ended.by == "remote"
            assert call.duration > 0.5
        assert max(heard) > 0
        running.send_signal(signal.SIGINT)
        await asyncio.wait_for(registrar.gone.wait(), 5)
        _out, errors = await asyncio.to_thread(running.communicate, timeout=5)
        assert (running.returncode, errors) == (0, "")
    finally:
        running.kill()
        await registrar.driver.close()


async def test_sample_2_places_a_call_and_plays_a_file(tmp_path):
    write_pcm(tmp_path / "reminder.wav", b"".join(steady(440, 600)))
    registrar = Registrar()
    server = await registrar.start()

    callee = Phone("sip:callee@127.0.0.1", register=False, host="127.0.0.1")

    @callee.on_call
    async def answer(call):
        await call.answer()
        await call.wait_ended()

    async with callee:
        registrar.target = str(callee.agent.contact.uri)
        running = program(CALLING, server, tmp_path)
        printed, errors = await asyncio.to_thread(running.communicate, timeout=20)
    await registrar.driver.close()
    assert errors == ""
    found = re.fullmatch(r"duration ([0-9.]+) quality ([0-9.]+)\n", printed)
    assert found is not None, printed
    assert 0.5 < float(found[1]) < 2
    assert float(found[2]) > 3.5


async def test_sample_2_says_why_nobody_was_reached(tmp_path):
    registrar = Registrar()
    running = program(CALLING, await registrar.start(), tmp_path)
    printed, errors = await asyncio.to_thread(running.communicate, timeout=20)
    await registrar.driver.close()
    assert (printed, errors) == ("not reached: 486 Busy Here\n", "")


# --- samples 3 and 5: applications --------------------------------------------------------------------

MENU = """
from ringback import App

app = App()

@app.call("+442079460000")
async def menu(call):
    await call.answer()
    for _ in range(3):
        key = await call.ask("Sales, press 1. Support, press 2.", digits=1, timeout=5)
        match key:
            case "1": return await call.transfer("queue:sales")
            case "2": return await call.transfer("102", fallback="voicemail:102")
            case _:   await call.say("Sorry, I did not get that.")
    await call.transfer("operator")
"""

AGENT = """
from ringback import App, audio

app = App()

@app.call("agent")
async def agent(call):
    await call.answer()
    async with connect_model() as model, call.tasks() as t:
        @t.start                                    # caller → model
        async def listen():
            async for frame in call.audio.read(rate=16_000, frame_ms=20):
                await model.send(frame.pcm)
                if frame.speech_started:            # barge-in
                    call.audio.flush()

        @t.start                                    # model → caller
        async def speak():
            async for pcm in model.speech():
                await call.audio.write(audio.Pcm(pcm, rate=24_000))   # paced, resampled, encoded
"""

#: A model that hums at 24 kHz, as long as it lives, and notes what it hears.
MODEL = """
import contextlib, math, sys
from array import array

class Model:
    def __init__(self):
        self.heard = 0

    async def send(self, pcm):
        self.heard += len(pcm)

    async def speech(self):
        step = 2 * math.pi * 600 / 24_000
        for piece in range(1_000):
            yield array("h", (int(8_000 * math.sin(step * (piece * 2_400 + n))) for n in range(2_400))).tobytes()

@contextlib.asynccontextmanager
async def connect_model():
    model = Model()
    try:
        yield model
    finally:
        print("heard", model.heard, flush=True)
"""


def application(sample: str, folder: Path, port: int) -> subprocess.Popen[str]:
    """An application that is told from outside where it listens; it tells when it is interrupted."""
    file = folder / "application.py"
    file.write_text(f"{sample}\napp.run()\n")
    environment = {**os.environ, "RINGBACK_APP_HOST": "127.0.0.1", "RINGBACK_APP_PORT": str(port)}
    return subprocess.Popen(
        [sys.executable, str(file)],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


async def reachable(phone: Phone, target: str) -> None:
    """Until the application listens."""
    async with asyncio.timeout(10):
        while True:
            try:
                async with asyncio.timeout(0.5):
                    await phone.options(target)
            except (CallError, TimeoutError):
                continue
            return


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="no voice installed: apt install espeak-ng")
@pytest.mark.parametrize(
    ("keys", "wanted"),
    [("1", ["queue%3Asales"]), ("2", ["102", "voicemail%3A102"]), ("9", ["queue%3Asales"])],
)
async def test_sample_3_asks_for_a_key_and_transfers(tmp_path, keys, wanted):
    port = free_port()
    running = application(MENU, tmp_path, port)
    targets: list[str] = []
    phone = Phone('"Anna" <sip:anna@127.0.0.1>', register=False, host="127.0.0.1")

    @phone.on_transfer
    async def busy_or_not(call, target):
        targets.append(str(target).removeprefix("sip:").partition("@")[0])
        return target.user != "102"

    try:
        async with phone:
            await reachable(phone, f"sip:+442079460000@127.0.0.1:{port}")
            async with phone.dial(f"sip:+442079460000@127.0.0.1:{port}", timeout=5) as call:
                await asyncio.sleep(0.5)
                await call.send_dtmf(keys)
                if keys == "9":  # it says that it is sorry, and asks again
                    await asyncio.sleep(1)
                    await call.send_dtmf("1")
                async with asyncio.timeout(15):
                    while len(targets) < len(wanted):
                        await asyncio.sleep(0.05)
        running.send_signal(signal.SIGINT)
        _out, errors = await asyncio.to_thread(running.communicate, timeout=10)
    finally:
        running.kill()
    assert targets == wanted
    assert running.returncode == 0
    assert "Traceback" not in errors


async def test_sample_5_joins_a_caller_with_a_model(tmp_path):
    port = free_port()
    running = application(MODEL + AGENT, tmp_path, port)
    try:
        async with Phone("sip:anna@127.0.0.1", register=False, host="127.0.0.1") as phone:
            await reachable(phone, f"sip:agent@127.0.0.1:{port}")
            async with phone.dial(f"sip:agent@127.0.0.1:{port}", timeout=5) as call:
                heard = b""
                async for frame in call.audio.read(rate=16_000):
                    heard += frame.pcm
                    if frame.at > 2.0:
                        break
            heard_by_model = await asyncio.to_thread(running.stdout.readline)
        running.send_signal(signal.SIGINT)
        _out, errors = await asyncio.to_thread(running.communicate, timeout=10)
    finally:
        running.kill()
    assert tone_share(heard[16_000:60_000], 600, rate=16_000) > 0.9
    assert int(heard_by_model.split()[1]) == pytest.approx(2.1 * 32_000, rel=0.2)
    assert (running.returncode, errors) == (0, "")
