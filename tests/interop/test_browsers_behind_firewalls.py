# SPDX-License-Identifier: Apache-2.0
"""A network that lets no UDP out: the softphone speaks through coturn, with a password made for it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from interop_coturn import Coturn
from interop_office import Office
from interop_process import wait_until
from interop_ringback import Ringback
from interop_softphone import Softphones

import ringback.web


@pytest.fixture
def coturn(tmp_path: Path) -> Iterator[Coturn]:
    running = Coturn(tmp_path / "coturn")
    try:
        yield running
    finally:
        running.stop()


def test_a_softphone_that_reaches_only_the_turn_server_hears_the_echo(
    tmp_path: Path, coturn: Coturn, pages: Softphones
) -> None:
    if not (Path(ringback.web.__file__).parent / "static" / "phone.html").exists():
        pytest.skip("the pages are not built: make frontend")
    server = Ringback(tmp_path / "server", config=coturn.settings(), console=True)
    try:
        office = Office(server)
        assert office.add("Anna Berg") == "101"
        anna = pages.open(office, "101", relayed=True)
        anna.call("*43")
        anna.talking()
        anna.hears()
        anna.click("Hang up")
        anna.close()
    finally:
        server.stop()
    wait_until(lambda: "ALLOCATE processed, success" in coturn.log, 5, lambda: coturn.log[-3000:])
    assert "incoming packet ALLOCATE processed, success" in coturn.log
