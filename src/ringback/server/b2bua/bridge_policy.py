# SPDX-License-Identifier: Apache-2.0
"""What do the settings say about calls between phones?"""

from __future__ import annotations

from dataclasses import dataclass, field

from ringback.server.anchoring import AnchoringPolicy


@dataclass(frozen=True, slots=True)
class BridgePolicy:
    """What may be joined, for how long, and whose sound comes through here."""

    is_enabled: bool = True
    max_calls: int = 10_000
    max_duration: int = 0
    recurses: bool = True
    strangers_may_call: bool = False
    users_may_call_out: bool = True
    anchoring: AnchoringPolicy = field(default_factory=AnchoringPolicy)
