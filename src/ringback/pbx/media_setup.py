# SPDX-License-Identifier: Apache-2.0
"""What does a media worker need to know? Apart from it, so that who starts one need not load what it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class MediaSetup:
    """What a media worker needs to know. `listening` is a descriptor it inherits, `skipped` the share of its
    ports that it takes last.
    """

    number: int
    listening: int
    first_port: int
    last_port: int
    skipped: float
    webrtc_port: int
    host: str
    advertised: tuple[str, ...]
    signalling_ports: tuple[int, ...]
    log_level: str

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> MediaSetup:
        """What `asdict` made of it."""
        return cls(
            **{
                **values,
                "advertised": tuple(values["advertised"]),
                "signalling_ports": tuple(values["signalling_ports"]),
            }
        )
