# SPDX-License-Identifier: Apache-2.0
"""Are challenges shown where the authority looks, and nothing else?"""

import stat
from pathlib import Path

import pytest

from ringback.server.acme.challenges import DnsChallenges, HttpChallenges, answer_for
from ringback.server.acme.errors import AcmeError
from ringback.server.acme.jws import record_value

TOKEN = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA"


async def test_a_challenge_is_a_page_until_it_is_cleared(tmp_path: Path):
    challenges = HttpChallenges(tmp_path / "challenges")
    await challenges.show("phones.example.com", TOKEN, f"{TOKEN}.thumb")
    shown = answer_for(tmp_path / "challenges", TOKEN)
    await challenges.clear("phones.example.com", TOKEN, f"{TOKEN}.thumb")
    assert (shown, answer_for(tmp_path / "challenges", TOKEN)) == (f"{TOKEN}.thumb", None)


@pytest.mark.parametrize(
    "token", ["../../secret.key", "a" * 300, "", "short", "with/slash-and-more-x", "%2e%2e" * 5]
)
def test_a_token_that_is_none_reaches_no_file(token: str, tmp_path: Path):
    (tmp_path / "secret.key").write_text("secret")
    assert answer_for(tmp_path / "challenges", token) is None


async def test_an_authority_that_sends_a_path_as_a_token_is_refused(tmp_path: Path):
    with pytest.raises(AcmeError, match="token has characters"):
        await HttpChallenges(tmp_path / "challenges").show("a.example", "../../../etc/passwd-xx", "x")
    assert list(tmp_path.iterdir()) == []


def hook(folder: Path, script: str) -> Path:
    file = folder / "hook"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return file


async def test_the_hook_is_told_name_and_value_of_the_record(tmp_path: Path):
    challenges = DnsChallenges(hook(tmp_path, f'echo "$@" >> {tmp_path}/calls'))
    await challenges.show("phones.example.com", TOKEN, "authorization")
    await challenges.clear("phones.example.com", TOKEN, "authorization")
    said = f"_acme-challenge.phones.example.com {record_value('authorization')}"
    assert (tmp_path / "calls").read_text() == f"add {said}\nremove {said}\n"


async def test_a_hook_that_fails_is_quoted(tmp_path: Path):
    challenges = DnsChallenges(hook(tmp_path, "echo no such zone >&2; exit 3"))
    with pytest.raises(AcmeError, match=r"hook add ended with exit code 3: no such zone"):
        await challenges.show("phones.example.com", TOKEN, "authorization")


async def test_a_hook_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(AcmeError, match=r"acme.dns_hook: .*nowhere: No such file"):
        await DnsChallenges(tmp_path / "nowhere").show("a.example", TOKEN, "x")
