# SPDX-License-Identifier: Apache-2.0
"""A server process inside the test: reloads under traffic, what is undone when a start fails, slow disks."""

import asyncio
import datetime
import hashlib
import os
import re
import sqlite3
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ringback.net.errors import PortInUse
from ringback.net.sockets import RealNetwork
from ringback.pbx.accounts import mint_device, new_user
from ringback.pbx.process import ServerProcess
from ringback.server.certificates import CertificateError, local_certificate
from ringback.server.config_file import ConfigurationError, Loaded, check_file, load_settings
from ringback.server.control import SOCKET_NAME, ask
from ringback.server.data_directory import DirectoryLock
from ringback.server.first_start import open_store
from ringback.sip.flow import Address

PORTS = {"sip_port": 0, "tls_port": 0, "http_port": 0, "https_port": 0}


class Installation:
    """A folder with data and a settings file."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.file = folder / "ringback.toml"
        self.file.write_text("")
        self.flags: dict[str, object] = {
            "data": str(self.data), "config": str(self.file), "host": ("127.0.0.1",), **PORTS
        }  # fmt: skip

    def load(self) -> Loaded:
        return load_settings(self.flags, {})


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return Installation(tmp_path)


@pytest.fixture
async def process(installation: Installation) -> AsyncIterator[ServerProcess]:
    process = await ServerProcess.start(installation.load, RealNetwork())
    process.installation.store.put_user(new_user("101", "Anna", password="secret", realm="127.0.0.1"))
    await process.system.users_changed()
    yield process
    await process.close()


async def test_other_processes_make_and_revoke_devices_beside_a_running_server(
    process: ServerProcess, installation: Installation
) -> None:
    """As the console does, which has the database open too."""
    store, _ = open_store(installation.data)
    with closing(store):
        device, password = mint_device(store, "101", name="Desk", kind="phone", realm="127.0.0.1")
        told = await asyncio.to_thread(ask, installation.data, "devices-changed")
        assert told["devices"] == 1
        phone = Phone(address(process), password)
        await phone.open()
        assert await phone.register() == 200
        assert [each["device"] for each in process.system.registrations()] == [device.id]
        store.remove_device(device.id)
        heard: list[str] = []
        process.system.bulletin.listen(lambda event: heard.append(event["kind"]))
        assert (await asyncio.to_thread(ask, installation.data, "users-changed"))["users"] == 1
        assert process.system.registrations() == []
        assert heard == ["phone.unregistered", "users.changed"]
        assert await phone.register() == 401
        phone.socket.close()


class Phone:
    """Registers over UDP, by hand, again and again."""

    def __init__(self, server: Address, password: str = "secret") -> None:
        self.server = server
        self.password = password
        self.answers: asyncio.Queue[str] = asyncio.Queue()

    async def open(self) -> None:
        self.socket = await RealNetwork().bind_datagram(Address("127.0.0.1", 0), self._received)

    def _received(self, batch: Sequence[tuple[bytes, Address]]) -> None:
        for data, _ in batch:
            self.answers.put_nowait(data.decode())

    async def register(self) -> int:
        answer = await self._answered(await self._ask(""))
        if "stale=true" in answer:  # the nonce was of the settings before: phones try again by themselves
            answer = await self._answered(answer)
        return int(answer[8:11])

    async def _answered(self, challenge: str) -> str:
        line = next(line for line in challenge.split("\r\n") if line.startswith("WWW-") and "MD5" in line)
        said = dict(re.findall(r'(\w+)="([^"]*)"', line))
        secret, asked = md5(f"101:{said['realm']}:{self.password}"), md5("REGISTER:sip:127.0.0.1")
        response = md5(f"{secret}:{said['nonce']}:00000001:c:auth:{asked}")
        return await self._ask(
            f'Authorization: Digest username="101", realm="{said["realm"]}", nonce="{said["nonce"]}", '
            f'uri="sip:127.0.0.1", response="{response}", algorithm=MD5, qop=auth, nc=00000001, '
            'cnonce="c"\r\n'
        )

    async def _ask(self, authorization: str) -> str:
        here, tag = self.socket.local, os.urandom(6).hex()
        request = (
            f"REGISTER sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bK{tag};rport\r\n"
            f"Max-Forwards: 70\r\nFrom: <sip:101@127.0.0.1>;tag={tag}\r\nTo: <sip:101@127.0.0.1>\r\n"
            f"Call-ID: {tag}\r\nCSeq: 1 REGISTER\r\nContact: <sip:101@{here}>\r\nExpires: 300\r\n"
            f"{authorization}Content-Length: 0\r\n\r\n"
        )
        self.socket.send(request.encode(), self.server)
        return await asyncio.wait_for(self.answers.get(), 5)


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


def address(process: ServerProcess) -> Address:
    host, _, port = process.addresses()["udp"].rpartition(":")
    return Address(host, int(port))


async def test_reloads_under_traffic_fail_no_request_and_bad_files_are_all_refused(
    process: ServerProcess, installation: Installation
) -> None:
    phone = Phone(address(process))
    await phone.open()
    refused = 0
    for round_ in range(60):
        is_bad = round_ % 3 == 0
        good = (
            f"[registrar]\nmax_contacts = {1 + round_ % 7}\n[authentication]\nnonce_lifetime = {60 + round_}"
        )
        installation.file.write_text("[registrar]\nmax_contact = 1" if is_bad else good)
        reload = asyncio.create_task(process.reload())
        assert await phone.register() == 200
        try:
            assert await reload
        except ConfigurationError:
            refused += 1
    assert refused == 20
    assert process.status()["registrations"] == 1
    phone.socket.close()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_file_is_refused_with_a_place_or_gives_valid_settings(tmp_path: Path, data: st.DataObject) -> None:
    names = st.sampled_from(
        ["sip", "port", "tls_port", "registrar", "max_contacts", "log", "level", "zzz", "host"]
    )
    value = st.sampled_from(
        ["1", "5061", "-1", '"info"', '["127.0.0.1"]', "true", "1.5", "{}", "[[1]]", '""']
    )
    lines = data.draw(
        st.lists(st.one_of(names.map("[{}]".format), st.tuples(names, value).map(" = ".join)), max_size=8)
    )
    file = tmp_path / "ringback.toml"
    file.write_text("\n".join(lines))
    try:
        loaded = check_file(file)
    except ConfigurationError as error:
        for problem in error.problems:
            assert re.fullmatch(rf"{re.escape(str(file))}(:\d+:\d+)?", problem.place), problem
        return
    assert type(loaded.settings).model_validate(loaded.settings.model_dump()) == loaded.settings


async def test_a_start_that_fails_leaves_nothing_behind(installation: Installation) -> None:
    taken = await RealNetwork().bind_datagram(Address("127.0.0.1", 0), lambda batch: None)
    installation.flags["sip_port"] = taken.local.port
    with pytest.raises((PortInUse, OSError)):
        await ServerProcess.start(installation.load, RealNetwork())
    taken.close()
    DirectoryLock(installation.data).release()
    assert not (installation.data / SOCKET_NAME).exists()
    process = await ServerProcess.start(installation.load, RealNetwork())
    assert process.addresses()["udp"] == f"127.0.0.1:{installation.flags['sip_port']}"
    await process.close()
    assert not (installation.data / SOCKET_NAME).exists()


async def test_a_locked_database_delays_no_registration(
    process: ServerProcess, installation: Installation
) -> None:
    phone = Phone(address(process))
    await phone.open()
    with closing(sqlite3.connect(installation.data / "ringback.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        begun = asyncio.get_running_loop().time()
        for _ in range(20):
            assert await phone.register() == 200
        assert asyncio.get_running_loop().time() - begun < 3
        assert process.status()["store"]["pending"] > 0
        other.execute("ROLLBACK")
    assert await asyncio.to_thread(process.installation.store.flush)
    phone.socket.close()


async def test_a_certificate_that_is_brought_is_shown_after_a_reload(
    process: ServerProcess, installation: Installation, tmp_path: Path
) -> None:
    async def shown() -> bytes:
        host, _, port = process.addresses()["tls"].rpartition(":")
        return (await asyncio.to_thread(ssl.get_server_certificate, (host, int(port)))).encode()

    ours = await shown()
    now = datetime.datetime.now(datetime.UTC)
    brought = local_certificate(tmp_path, ["127.0.0.1"], now=now)
    installation.file.write_text(f"[tls]\ncertificate = '{brought.certificate}'\nkey = '{brought.key}'\n")
    assert [change.name for change in await process.reload()] == ["tls.certificate", "tls.key"]
    assert await shown() != ours
    assert brought.certificate.read_bytes().startswith(await shown())
    brought.key.unlink()
    with pytest.raises(CertificateError, match="is not there"):
        await process.reload()
    installation.file.write_text("")
    await process.reload()
    assert await shown() == ours
