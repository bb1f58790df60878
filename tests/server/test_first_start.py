# SPDX-License-Identifier: Apache-2.0
"""What is made on the first start, what stays on the next, and what is said about it."""

import datetime
import stat
from pathlib import Path
from typing import Any

import pytest

from ringback.server.config_file import load_settings
from ringback.server.data_directory import DirectoryLock, make_directory
from ringback.server.first_start import Installation, prepare
from ringback.server.secret import derive, load_or_make_secret, write_private
from ringback.server.storage import MemoryStore, StorageError

NOW = datetime.datetime(2026, 11, 21, tzinfo=datetime.UTC)


class Routes:
    """A network of which only the way out is asked. None: there is no way."""

    def __init__(self, ipv4: str | None = "192.0.2.20", ipv6: str | None = None) -> None:
        self._answers = {False: ipv4, True: ipv6}

    async def source_address(self, remote_host: str) -> str:
        answer = self._answers[":" in remote_host]
        if answer is None:
            raise OSError(101, "Network is unreachable")
        return answer


async def start(data: Path, routes: Any = None, **flags: object) -> Installation:
    loaded = load_settings({"data": str(data), **flags}, {})
    return await prepare(loaded, routes or Routes(), clock=lambda: NOW)


async def test_a_fresh_machine_gets_everything_it_needs(tmp_path: Path) -> None:
    installation = await start(tmp_path / "deep" / "data")
    assert installation.is_new
    assert (installation.identity.domain, installation.identity.realm) == ("192.0.2.20", "192.0.2.20")
    assert installation.identity.advertised == ("192.0.2.20",)
    assert len(installation.identity.secret) == 32
    assert installation.identity.server_tls is not None
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in installation.directory.iterdir()}
    assert stat.S_IMODE(installation.directory.stat().st_mode) == 0o700
    assert {name for name, mode in modes.items() if mode != 0o600} == {"ca.pem", "server.pem"}


async def test_the_next_start_finds_the_same(tmp_path: Path) -> None:
    first, second = await start(tmp_path / "data"), await start(tmp_path / "data")
    assert not second.is_new
    assert second.identity.secret == first.identity.secret
    assert second.identity.realm == first.identity.realm
    assert not second.certificate.is_new
    assert second.notes == ()


@pytest.mark.parametrize(
    ("routes", "flags", "domain", "advertised"),
    [
        (Routes(), {}, "no --domain was given, and phones can reach this address without DNS",
         ["192.0.2.20: it is the address of the interface that reaches the default route"]),
        (Routes(None), {}, "no --domain was given, and phones can reach this address without DNS",
         ["127.0.0.1: this machine has no network; only programs on it can reach the server"]),
        (Routes(None, "2001:db8::20"), {"domain": "a.example"}, "--domain says so",
         ["2001:db8::20: it is the address of the interface that reaches the default route"]),
        (Routes("192.0.2.20", "2001:db8::20"), {"host": ("127.0.0.1",)},
         "no --domain was given, and phones can reach this address without DNS",
         ["127.0.0.1: --host listens there"]),
        (Routes("192.0.2.20", "fe80::1"), {"advertise": ("2001:db8::9", "203.0.113.9")},
         "no --domain was given, and phones can reach this address without DNS",
         ["203.0.113.9: --advertise says so", "2001:db8::9: --advertise says so"]),
    ],
)  # fmt: skip
async def test_domain_and_addresses_are_chosen_and_the_reason_is_said(
    tmp_path: Path, routes: Routes, flags: dict[str, object], domain: str, advertised: list[str]
) -> None:
    installation = await start(tmp_path / "data", routes, **flags)
    assert installation.domain.reason == domain
    assert [f"{choice.value}: {choice.reason}" for choice in installation.advertised] == advertised


async def test_both_families_are_advertised_each_on_its_sockets(tmp_path: Path) -> None:
    identity = (await start(tmp_path / "data", Routes("192.0.2.20", "2001:db8::20"))).identity
    assert identity.domain == "192.0.2.20"
    assert identity.advertised_for("0.0.0.0") == "192.0.2.20"
    assert identity.advertised_for("::") == "2001:db8::20"
    assert identity.advertised_for("127.0.0.1") == "192.0.2.20"
    assert {"localhost", "127.0.0.1", "::1", "192.0.2.20", "2001:db8::20"} <= set(identity.aliases)


async def test_a_new_domain_keeps_the_realm_and_says_what_it_means(tmp_path: Path) -> None:
    await start(tmp_path / "data")
    moved = await start(tmp_path / "data", domain="phones.example")
    assert (moved.identity.domain, moved.identity.realm) == ("phones.example", "192.0.2.20")
    assert moved.notes == (
        "the domain was 192.0.2.20 and is phones.example now. Passwords stay valid (their realm is still "
        "192.0.2.20), but phones that were set up for 192.0.2.20 must be given the new domain",
    )
    assert (await start(tmp_path / "data", domain="phones.example")).notes == ()


def test_a_directory_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"cannot be made: .*; choose another with --data"):
        make_directory(tmp_path / "file" / "data")


def test_a_directory_that_exists_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    assert not make_directory(tmp_path)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


def test_one_server_at_a_time(tmp_path: Path) -> None:
    lock = DirectoryLock(tmp_path)
    with pytest.raises(StorageError, match=r"another server \(process [0-9]+\) is using"):
        DirectoryLock(tmp_path)
    lock.release()
    DirectoryLock(tmp_path).release()


def test_the_secret_is_made_once_and_a_damaged_one_is_not_replaced(tmp_path: Path) -> None:
    secret = load_or_make_secret(tmp_path)
    assert load_or_make_secret(tmp_path) == secret
    assert [file.name for file in tmp_path.iterdir()] == ["secret.key"]
    (tmp_path / "secret.key").write_text("abc")
    with pytest.raises(StorageError, match=r"secret\.key is damaged"):
        load_or_make_secret(tmp_path)
    (tmp_path / "secret.key").write_bytes(b"\xff")
    with pytest.raises(StorageError, match=r"secret\.key cannot be read"):
        load_or_make_secret(tmp_path)


def test_keys_for_different_purposes_differ() -> None:
    assert derive(b"s", "a") != derive(b"s", "b") != derive(b"t", "b")
    assert derive(b"s", "a") == derive(b"s", "a")


def test_a_private_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("old")
    write_private(file, b"new")
    assert file.read_bytes() == b"new"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with pytest.raises(StorageError, match="cannot be written"):
        write_private(tmp_path / "none" / "key", b"new")
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError, match="cannot be written"):
        write_private(tmp_path / "folder", b"new")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["folder", "key"]


async def test_the_realm_is_settled_in_any_store() -> None:
    from ringback.server.first_start import settle_realm

    store = MemoryStore()
    assert settle_realm(store, "a.example") == ("a.example", [])
    realm, notes = settle_realm(store, "b.example")
    assert (realm, len(notes)) == ("a.example", 1)
