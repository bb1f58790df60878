# SPDX-License-Identifier: Apache-2.0
"""People meet in rooms: they hear each other and not themselves; PIN, limit, mute, recording, guests."""

import asyncio
import hashlib
import random
import wave
from contextlib import asynccontextmanager

import pytest

from ringback.media.pcm import tone_share
from ringback.media.prompts import say
from ringback.media.session import AudioSession
from ringback.media.tones import steady
from ringback.pbx.built_in_numbers import BuiltInNumbers
from ringback.pbx.conference import Conferences, homes_of
from ringback.pbx.dialplan import OfficeDialPlan
from ringback.pbx.own_media import OwnMedia
from ringback.rtp.packet import RtpPacket
from ringback.sdp.session import SessionDescription
from ringback.server.app import Server
from ringback.server.conference_settings import RoomSettings, parse_room, rooms_of
from ringback.server.config import Settings
from ringback.server.identity import Identity
from ringback.server.routing import Refusal, ToApplication
from ringback.server.storage import MemoryStore
from ringback.server.subscribers import Subscriber
from ringback.sip.flow import Address
from ringback.testing import Network, run
from ringback.ua.errors import Busy, NotFound
from ringback.ua.phone import Phone

DOMAIN, SERVER = "ringback.test", "10.0.0.1"
NAMES = {"101": "Anna", "102": "Bob", "103": "Carol"}


class Office:
    """Three users, all with the password "secret"."""

    def find(self, user: str) -> Subscriber | None:
        if user not in NAMES:
            return None
        ha1 = hashlib.sha256(f"{user}:{DOMAIN}:secret".encode()).hexdigest()
        return Subscriber(user, NAMES[user], {"SHA-256": ha1})


class Rig:
    """A server with rooms."""

    def __init__(self, *rooms: str, folder=None) -> None:
        self.network = Network(seed=4)
        self.host = self.network.host(SERVER)
        identity = Identity(domain=DOMAIN, advertised=(SERVER,), realm=DOMAIN, secret=b"s" * 32)
        chance = random.Random(5).randbytes
        found = rooms_of(rooms)
        self.conferences = Conferences(found, folder=folder, wall_clock=lambda: 1_000_000_000.0)
        self.server = Server(
            Settings(),
            identity,
            subscribers=Office(),
            store=MemoryStore(),
            network=self.host,
            dns=self.network.dns,
            applications=BuiltInNumbers(
                OwnMedia(self.host, identity, None, chance), conferences=self.conferences
            ),
            dial_plan=OfficeDialPlan(Office(), found),
            random_bytes=chance,
        )

    def phone(self, number: str) -> Phone:
        host = f"10.0.0.{int(number)}"
        return Phone(
            f"sip:{number}@{DOMAIN}",
            "secret",
            server=SERVER,
            host=host,
            network=self.network.host(host),
            dns=self.network.dns,
            random_bytes=random.Random(number).randbytes,
        )


@asynccontextmanager
async def office(*rooms: str, folder=None):
    """The rig with the server running and all three phones on."""
    rig = Rig(*rooms, folder=folder)
    await rig.server.start()
    idle = rig.host.open_sockets
    async with rig.phone("101") as anna, rig.phone("102") as bob, rig.phone("103") as carol:
        yield rig, anna, bob, carol
    await asyncio.sleep(1)
    assert rig.host.open_sockets == idle
    assert rig.conferences.status() == {}
    await rig.server.close()


async def settled() -> None:
    """After the announcements at the door."""
    await asyncio.sleep(4)


def share(path, frequency, start=0.0, end=None):
    """The share of a frequency in a recording between two moments."""
    with wave.open(str(path)) as file:
        rate = file.getframerate()
        pcm = file.readframes(file.getnframes())
    return tone_share(
        pcm[int(start * rate) * 2 : None if end is None else int(end * rate) * 2], frequency, rate=rate
    )


def test_each_hears_the_others_and_not_itself(tmp_path):
    async def main():
        async with office("300") as (rig, anna, bob, carol):  # noqa: SIM117
            async with anna.dial("300") as a, bob.dial("300") as b, carol.dial("300") as c:
                await settled()
                assert rig.conferences.status()["300"]["parties"] == ["101", "102", "103"]
                for name, call in (("a", a), ("b", b), ("c", c)):
                    call.record(tmp_path / f"{name}.wav")
                await asyncio.gather(a.play(steady(500, 2_000)), b.play(steady(900, 2_000)))

    run(main())
    assert share(tmp_path / "a.wav", 900, 0.5, 1.9) > 0.9
    assert share(tmp_path / "b.wav", 500, 0.5, 1.9) > 0.9
    assert share(tmp_path / "c.wav", 500, 0.5, 1.9) == pytest.approx(0.5, abs=0.1)
    assert share(tmp_path / "c.wav", 900, 0.5, 1.9) == pytest.approx(0.5, abs=0.1)


class CameraSession(AudioSession):
    """The sound of a phone whose offer has video, too."""

    def make_offer(self, direction="sendrecv"):
        offer = super().make_offer(direction) + b"m=video 6000 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n"
        self._last_sent = SessionDescription.parse(offer)
        return offer


class Camera:
    """The other end of that video."""

    def __init__(self, rig, number, call) -> None:
        self.rig, self.host = rig, f"10.0.0.{number}"
        self.target = Address(SERVER, call._audio._remote.media[1].line.port)
        self.number, self.seen = number, set()

    async def open(self):
        host = self.rig.network.host(self.host)
        self.socket = await host.bind_datagram(Address(self.host, 6_000), self._shown)
        return self

    def show(self, count: int) -> None:
        payload = b"\x10\x00" + bytes((self.number,))  # a key frame, as far as anybody looks at it
        packet = RtpPacket(96, count, count * 3_000, self.number, payload)
        self.socket.send(packet.to_bytes(), self.target)

    def _shown(self, batch) -> None:
        self.seen.update(RtpPacket.parse(data).payload[2] for data, _ in batch)


def test_each_sees_who_speaks(monkeypatch):
    monkeypatch.setattr("ringback.ua.audio_sessions.AudioSession", CameraSession)

    async def main():
        async with office("300") as (rig, anna, bob, carol):  # noqa: SIM117
            async with anna.dial("300") as a, bob.dial("300") as b, carol.dial("300") as c:
                await settled()
                cameras = [await Camera(rig, 101 + n, call).open() for n, call in enumerate((a, b, c))]

                async def film(seconds, first):
                    for count in range(first, first + round(seconds * 30)):
                        for camera in cameras:
                            camera.show(count)
                        await asyncio.sleep(1 / 30)
                    return [camera.seen for camera in cameras]

                assert await film(1, 0) == [{102}, {101}, {101}]
                speaking = asyncio.create_task(c.play(steady(500, 3_000)))
                await film(1, 30)
                for camera in cameras:
                    camera.seen = set()
                assert await film(1, 60) == [{103}, {103}, {101}]
                await speaking
                for camera in cameras:
                    camera.socket.close()

    run(main())


def test_star_six_mutes_and_unmutes(tmp_path):
    async def main():
        async with office("300") as (_rig, anna, bob, _carol):  # noqa: SIM117
            async with anna.dial("300") as a, bob.dial("300") as b:
                await settled()
                await b.send_dtmf("1*6")
                await asyncio.sleep(3)
                a.record(tmp_path / "muted.wav")
                await b.play(steady(900, 1_000))
                await b.send_dtmf("*6")
                await asyncio.sleep(3)
                a.record(tmp_path / "heard.wav")
                await b.play(steady(900, 1_000))

    run(main())
    assert share(tmp_path / "muted.wav", 900, 0.0, 1.0) < 0.01
    assert share(tmp_path / "heard.wav", 900, 0.3, 0.9) > 0.9


def test_a_pin_lets_in_who_knows_it_and_three_wrong_ones_nobody(tmp_path):
    async def main():
        async with office("300 pin=4711") as (rig, anna, bob, _carol), anna.dial("300") as a:
            a.record(tmp_path / "door.wav")
            await a.send_dtmf("1234")
            await asyncio.sleep(3)
            await a.send_dtmf("4711")
            await settled()
            assert rig.conferences.status()["300"]["parties"] == ["101"]
            b = await bob.dial("300")
            for _ in range(3):
                await b.send_dtmf("0000")
                await asyncio.sleep(2)
            assert (await b.wait_ended()).by == "remote"
            assert rig.conferences.status()["300"]["parties"] == ["101"]

    run(main())
    with wave.open(str(tmp_path / "door.wav")) as file:
        heard = file.readframes(file.getnframes())
    assert say("wrong-pin").strip(b"\0") in heard


def test_a_full_room_is_busy():
    async def main():
        async with office("300 limit=2") as (_rig, anna, bob, carol), anna.dial("300"):
            async with bob.dial("300"):
                with pytest.raises(Busy):
                    await carol.dial("300")
            await asyncio.sleep(0.5)
            async with carol.dial("300"):
                pass

    run(main())


def test_a_room_that_is_recorded_says_so_and_makes_a_file(tmp_path):
    async def main():
        async with office("300 record", folder=tmp_path / "recordings") as (_rig, anna, bob, _carol):  # noqa: SIM117
            async with anna.dial("300") as a, bob.dial("300"):
                a.record(tmp_path / "door.wav")
                await settled()
                await asyncio.sleep(3)
                await a.play(steady(500, 2_000))

    run(main())
    (file,) = (tmp_path / "recordings").iterdir()
    assert file.name == "room-300-20010909T014640Z.wav"
    assert (tmp_path / "recordings").stat().st_mode & 0o077 == 0
    with wave.open(str(file)) as sound:
        length = sound.getnframes() / sound.getframerate()
    assert share(file, 500, length - 1.9, length - 0.3) > 0.9
    with wave.open(str(tmp_path / "door.wav")) as sound:
        assert say("recorded").strip(b"\0")[4_000:8_000] in sound.readframes(sound.getnframes())


def test_a_disk_that_takes_no_recording_ends_no_meeting(tmp_path):
    (tmp_path / "recordings").write_text("a file where a folder should be")

    async def main():
        async with office("300 record", folder=tmp_path / "recordings") as (rig, anna, _bob, _carol):  # noqa: SIM117
            async with anna.dial("300"):
                await settled()
                await asyncio.sleep(3)
                assert rig.conferences.status()["300"]["parties"] == ["101"]

    run(main())


def test_guests_come_in_where_they_may():
    rooms = rooms_of(["300", "301 pin=1 guests"])
    plan = OfficeDialPlan(Office(), rooms)
    assert plan.decide("300", method="INVITE", caller=None) == Refusal(404)
    assert plan.decide("301", method="INVITE", caller=None) == ToApplication("room:301")
    assert plan.explain("300", method="INVITE", caller=None).reason.startswith(
        "300 is a conference room, which"
    )


def test_a_room_that_nobody_set_up_does_not_exist():
    async def main():
        async with office("300") as (_rig, anna, _bob, _carol):
            with pytest.raises(NotFound):
                await anna.dial("302")

    run(main())


def test_an_entry_says_all_about_a_room():
    assert parse_room("300") == RoomSettings("300")
    assert parse_room("301 pin=4711 limit=20 record guests") == RoomSettings("301", "4711", 20, True, True)
    assert "4711" not in repr(parse_room("301 pin=4711"))


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ("", "begins with its number"),
        ("pin=1", "begins with its number"),
        ("300 pin=abc", "PIN of room 300 must be 1 to 16 digits"),
        ("300 limit=1", "a number from 2 to 200"),
        ("300 limit=٣", "a number from 2 to 200"),
        ("300 loud", "there is no 'loud'"),
        ("300 guests", "needs a pin"),
    ],
)
def test_an_entry_with_a_mistake_says_which(entry, sentence):
    with pytest.raises(ValueError, match=sentence):
        parse_room(entry)


def test_a_wrong_pin_is_not_shown():
    with pytest.raises(ValueError) as raised:
        parse_room("300 pin=47a11")
    assert "47a11" not in str(raised.value)


def test_every_worker_knows_where_a_room_lives():
    homes = homes_of(["300", "301", "302", "303"], 3)
    assert homes == homes_of(["303", "302", "301", "300"], 3)
    assert set(homes.values()) <= {0, 1, 2}
