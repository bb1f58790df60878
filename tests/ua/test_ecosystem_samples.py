# SPDX-License-Identifier: Apache-2.0
"""The first two samples of the library's design run as they stand; only the domain is put in."""

import asyncio
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ringback.media.files import write_pcm
from ringback.media.tones import steady
from ringback.net.dns_client import SystemDns
from ringback.net.driver import StackDriver
from ringback.net.resolver import Resolver
from ringback.net.sockets import RealNetwork
from ringback.sip.events import RequestReceived
from ringback.sip.flow import Address, Transport
from ringback.sip.identifiers import Identifiers
from ringback.sip.stack import SipStack
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
