# SPDX-License-Identifier: Apache-2.0
"""The load generator speaks SIP that a real server serves: otherwise its figures mean nothing."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from bench_cases import BY_NAME
from bench_generator import Load
from bench_program import BenchmarkError, path_of
from bench_ringback import FIRST_USER, Ringback, make_accounts
from bench_turn import loaded

USERS = 8

pytestmark = [
    pytest.mark.skipif(path_of("cc") is None, reason="no C compiler"),
    pytest.mark.timeout(120),
    pytest.mark.xdist_group("load generator"),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ringback]:
    folder = tmp_path_factory.mktemp("server")
    make_accounts(folder / "data", USERS)
    server = Ringback(folder, data=folder / "data")
    yield server
    server.stop()


def short(name: str) -> Load:
    """A few calls at a time, for so short that a test may wait for it."""
    return replace(
        BY_NAME[name].load, users=USERS, window=2, rate=0, sources=1, seconds=0.3, warm_up=0.0, replaces=True
    )


@pytest.mark.parametrize(
    "name", ["call", "call-tcp", "call-digest", "fork", "message", "register-md5", "register-sha256", "register-challenge", "options", "refused"]
)  # fmt: skip
def test_a_scenario_is_served_without_a_loss(server: Ringback, tmp_path: Path, name: str) -> None:
    found = loaded(server, short(name), tmp_path)
    assert found.completed > 0
    assert found.is_clean, found.counted


def test_calls_that_ring_stay_until_the_generator_ends(server: Ringback, tmp_path: Path) -> None:
    found = loaded(
        server, Load("ringing", users=USERS, rate=50, seconds=0.2, warm_up=0.0, replaces=True), tmp_path
    )
    assert found.completed == found.counted["started"] > 0


def test_a_user_that_cannot_register_ends_the_run(server: Ringback, tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=rf"registration of {FIRST_USER + USERS} failed: 401"):
        loaded(server, replace(short("call"), users=USERS + 1), tmp_path)
