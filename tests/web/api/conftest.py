# SPDX-License-Identifier: Apache-2.0
"""The office that the tests of the REST API share: one for each test, since each changes it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from office_rig import Office, opened


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with opened(tmp_path) as office:
        yield office
