# SPDX-License-Identifier: Apache-2.0
"""Do all invariants hold over many seeds, and does a seed repeat to the byte?

A seed that failed once stays in REGRESSIONS for ever. To see what a seed does:

    python -m ringback.testing.simulation --seed 7 --trace
"""

import os
import subprocess
import sys

import pytest

from ringback.testing.simulation import Mode, Weather, main, simulate

#: In groups, so that a run can be spread over processes.
GROUPS, SEEDS_IN_A_GROUP = 10, 20

#: Seeds that found something, and what.
REGRESSIONS: dict[int, str] = {297: "an INVITE lost seven times is bad luck, not a fault"}


@pytest.mark.parametrize("mode", ["proxy", "bridge"])
@pytest.mark.parametrize("group", range(GROUPS))
def test_the_invariants_hold(group: int, mode: Mode):
    first = group * SEEDS_IN_A_GROUP
    reports = [simulate(seed, mode=mode) for seed in range(first, first + SEEDS_IN_A_GROUP)]
    assert [str(report) for report in reports if report.violations] == []


@pytest.mark.parametrize("seed", REGRESSIONS)
def test_a_seed_that_failed_once_never_fails_again(seed: int):
    assert simulate(seed).violations == []


def test_fine_weather_is_dull():
    report = simulate(3, weather=Weather())
    assert report.violations == []
    assert not {"Unreachable", "not begun"} & set(report.outcomes)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_same_seed_gives_the_same_trace(seed: int):
    first, second = simulate(seed), simulate(seed)
    assert (first.trace_hash, first.ladder) == (second.trace_hash, second.ladder)
    assert first.trace_hash != simulate(seed + 1).trace_hash


def test_the_trace_does_not_hang_on_the_hash_seed_of_python():
    code = "from ringback.testing.simulation import simulate; print(simulate(5).trace_hash)"
    hashes = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert len(hashes) == 1


def test_a_failing_seed_prints_the_command_that_replays_it():
    report = simulate(1, calls=1)
    report.violations.append("an example")
    assert "python -m ringback.testing.simulation --seed 1 --trace" in str(report)


def test_the_command_prints_the_messages(capsys: pytest.CaptureFixture[str]):
    assert main(["--seed", "1", "--calls", "1", "--trace"]) == 0
    printed = capsys.readouterr().out
    assert "REGISTER" in printed
    assert "seed 1: 0 violations" in printed
