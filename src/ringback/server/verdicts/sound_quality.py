# SPDX-License-Identifier: Apache-2.0
"""How good was the sound that came through this server? Loss, jitter, and the score they give."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ringback.server.verdicts.diagnostic import Diagnostic, Verdict
from ringback.server.verdicts.story import Story

#: Shares of packets lost: hardly heard below the first, hard to bear above the second.
LOSS, HEAVY_LOSS = 0.03, 0.10
#: Packets before a share means anything: ten seconds of one way.
ENOUGH = 500
JITTER_MS = 50.0
BAD_MOS = 3.0

LOST_PACKETS = Diagnostic(
    1008,
    "Packets of sound get lost",
    "warning",
    "More than three packets of a hundred did not arrive. Single words are missing, or the sound is choppy.",
    "Look at the Wi-Fi or the line of that phone. A cable, priority for voice (QoS), or Opus with its"
    " repair help.",
)
JITTER = Diagnostic(
    1009,
    "Packets of sound come irregularly",
    "warning",
    "The time between packets varies so much that the buffers of phones drop some.",
    "Look at the Wi-Fi or the line of that phone: a busy link without priority for voice is the usual"
    " reason.",
)
POOR = Diagnostic(
    1010,
    "Poor quality",
    "warning",
    "The score computed from loss, jitter and delay (MOS, 1 to 4.5) is below 3: most people would complain.",
    "See loss and jitter of the same leg; with neither, the delay or a codec of low rate is the reason.",
)

TABLE = (LOST_PACKETS, JITTER, POOR)


def find(story: Story) -> Iterator[Verdict]:
    """What disturbs the sound of each leg."""
    for leg in story.record.get("legs") or ():
        for stream in leg.get("streams") or ():
            if stream.get("kind") == "audio" and stream.get("packets_received") is not None:
                yield from _quality_of(story.leg_name(leg), stream)


def _quality_of(name: str, stream: Mapping[str, Any]) -> Iterator[Verdict]:
    received, lost = int(stream["packets_received"]), int(stream.get("lost") or 0)
    jitter, mos = float(stream.get("jitter_ms") or 0.0), stream.get("mos")
    if received < ENOUGH:
        return
    share = lost / (received + lost)
    if share > LOSS:
        verdict = LOST_PACKETS.verdict(
            f"{100 * share:.1f} % of the sound from {name} was lost ({lost} of {received + lost} packets)."
        )
        if share > HEAVY_LOSS:
            verdict["severity"] = "error"
        yield verdict
    if jitter > JITTER_MS:
        yield JITTER.verdict(f"Packets from {name} come up to {jitter:.0f} ms early or late on average.")
    if mos is not None and float(mos) < BAD_MOS:
        yield POOR.verdict(f"The sound from {name} has a score (MOS) of {float(mos):.1f}.")
