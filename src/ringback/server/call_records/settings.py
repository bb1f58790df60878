# SPDX-License-Identifier: Apache-2.0
"""What can be set about the records of calls?"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ringback.server.config_types import Section


class RecordSettings(Section):
    """The records of calls that were: who called whom, when, how long, how it sounded, how it ended."""

    enabled: bool = True
    """Keep a record of each call when it has ended. Otherwise only the calls that are on are known."""

    keep_days: Annotated[int, Field(ge=1, le=36_500)] = 90
    """After how many days a record is deleted."""

    max_records: Annotated[int, Field(ge=100, le=10_000_000)] = 100_000
    """How many records are kept; the oldest ones go first, and at most a tenth are of calls that were
    refused. Ten thousand take about 10 MB."""
