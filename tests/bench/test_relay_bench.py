# SPDX-License-Identifier: Apache-2.0
"""The benchmark of the relay brings every packet through our media worker, plain and as SRTP."""

import asyncio

import pytest
import relay
from bench_media_load import Sound
from bench_program import path_of

pytestmark = [
    pytest.mark.skipif(path_of("cc") is None, reason="no C compiler"),
    pytest.mark.xdist_group("load generator"),
]


@pytest.mark.parametrize("is_secured", [False, True])
@pytest.mark.parametrize("engine", ["own", "direct"])
def test_every_packet_arrives(engine: str, is_secured: bool) -> None:
    found = asyncio.run(relay.measured(engine, Sound(3, is_secured=is_secured, warm_up=0.2, seconds=0.5)))
    assert found.counted["sent"] >= 3 * 2 * 20
    assert found.lost == 0
