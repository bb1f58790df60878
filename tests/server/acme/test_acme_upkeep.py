# SPDX-License-Identifier: Apache-2.0
"""Is a certificate fetched when it is due, and does a failure leave the old one in use?"""

import datetime
import shutil
from pathlib import Path

import pytest

from ringback.server.acme.errors import AcmeError
from ringback.server.acme.upkeep import (
    AcmeUpkeep,
    acme_files,
    acme_names,
    is_due,
    usable_acme_files,
)
from ringback.server.certificates import local_certificate
from ringback.server.config import Settings, contradictions
from ringback.server.first_start import certificate_files, shown_authority

NOW = datetime.datetime(2026, 3, 1, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)


def settings(**acme: object) -> Settings:
    return Settings.model_validate(
        {"sip": {"domain": "phones.example.com"}, "acme": {"enabled": True, **acme}}
    )


def put_certificate(directory: Path, *names: str) -> Path:
    """One that is valid for 397 days from NOW on."""
    made = local_certificate(directory, names, now=NOW)
    files = acme_files(directory)
    files.certificate.parent.mkdir(exist_ok=True)
    shutil.copy(made.certificate, files.certificate)
    shutil.copy(made.key, files.key)
    return files.certificate


def test_only_host_names_are_asked_for():
    both = Settings.model_validate(
        {"sip": {"domain": "phones.example.com", "aliases": ["192.0.2.7", "sip.example.com", "phones"]}}
    )
    assert acme_names(both) == ("phones.example.com", "sip.example.com")
    assert acme_names(settings(names=["a.example.com"])) == ("a.example.com",)


def test_a_certificate_is_due_after_two_thirds_of_its_life_or_with_another_name(tmp_path: Path):
    file = put_certificate(tmp_path, "phones.example.com")
    wanted = ("phones.example.com",)
    assert [is_due(file, wanted, now=NOW + days * DAY) for days in (1, 260, 270)] == [False, False, True]
    assert is_due(file, ("other.example.com",), now=NOW)
    assert is_due(tmp_path / "none.pem", wanted, now=NOW)


def test_it_is_shown_while_it_is_valid_and_wanted(tmp_path: Path):
    put_certificate(tmp_path, "phones.example.com")
    wanted = settings()
    assert usable_acme_files(wanted, tmp_path, now=NOW) == acme_files(tmp_path)
    assert usable_acme_files(wanted, tmp_path, now=NOW + 400 * DAY) is None
    assert usable_acme_files(Settings(), tmp_path, now=NOW) is None
    names = ("phones.example.com",)
    assert certificate_files(wanted, tmp_path, names, now=NOW).certificate == acme_files(tmp_path).certificate
    assert certificate_files(Settings(), tmp_path, names, now=NOW).certificate == tmp_path / "server.pem"


def test_our_own_authority_is_named_only_while_it_signs_what_is_shown(tmp_path: Path):
    assert shown_authority(Settings(), tmp_path) == tmp_path / "ca.pem"
    brought = Settings.model_validate({"tls": {"certificate": "a.pem", "key": "b.pem"}})
    assert shown_authority(brought, tmp_path) is None


def upkeep(directory: Path, wanted: Settings) -> AcmeUpkeep:
    async def changed() -> None:
        raise AssertionError("nothing has changed")

    return AcmeUpkeep(directory, settings=lambda: wanted, changed=changed, clock=lambda: NOW)


async def test_nothing_is_asked_for_while_it_is_off_or_not_due(tmp_path: Path):
    assert not await upkeep(tmp_path, Settings()).look()
    put_certificate(tmp_path, "phones.example.com")
    assert not await upkeep(tmp_path, settings()).look()


async def test_without_a_name_it_says_what_to_set(tmp_path: Path):
    nameless = Settings.model_validate({"sip": {"domain": "192.0.2.1"}, "acme": {"enabled": True}})
    with pytest.raises(AcmeError, match=r"set sip\.domain or acme\.names"):
        await upkeep(tmp_path, nameless).look()


async def test_an_authority_that_cannot_be_reached_is_named(tmp_path: Path):
    nowhere = settings(directory="https://127.0.0.1:9/directory")
    with pytest.raises(AcmeError, match=r"https://127.0.0.1:9/directory cannot be reached"):
        await upkeep(tmp_path, nowhere).look()


@pytest.mark.parametrize(
    ("values", "path"),
    [
        ({"acme": {"enabled": True, "challenge": "dns"}}, ("acme", "challenge")),
        ({"acme": {"enabled": True}, "web": {"console": False}}, ("acme", "challenge")),
        ({"acme": {"enabled": True}, "tls": {"certificate": "a.pem", "key": "b.pem"}}, ("acme", "enabled")),
    ],
)
def test_settings_that_cannot_work_together_are_named(values: dict[str, object], path: tuple[str, str]):
    assert [found for found, _ in contradictions(Settings.model_validate(values))] == [path]
