# SPDX-License-Identifier: Apache-2.0
"""How good is a call? Numbers of one stream, and what a listener would say of them (ITU-T G.107)."""

from dataclasses import dataclass

from ringback.sip.flow import Address

#: R of a clean G.711 call with all other parameters at their defaults (G.107 table 2).
BEST_RATING = 93.2
#: G.113 appendix I: how much packet loss hurts G.711 with concealment.
LOSS_ROBUSTNESS = 25.1
#: Above this the delay is noticed (G.107 section 7.4, in its usual short form).
NOTICED_DELAY_MS = 177.3


@dataclass(frozen=True, slots=True)
class StreamStatistics:
    """One stream, seen from our end. `mos` is what we hear (1.0 to 4.5); None before anything was heard.

    `remote_lost` and `remote_jitter_ms` are what the peer says of our stream, None until it has.
    """

    packets_sent: int
    packets_received: int
    lost: int
    jitter_ms: float
    round_trip_ms: float | None
    mos: float | None
    codec: str | None
    remote: Address | None
    late: int = 0
    duplicates: int = 0
    refused: int = 0
    malformed: int = 0
    buffer_ms: float = 0.0
    remote_lost: int | None = None
    remote_jitter_ms: float | None = None
    #: The SRTP suite; None while packets are plain.
    suite: str | None = None
    #: Packets that did not authenticate.
    srtp_failures: int = 0


def mean_opinion_score(*, loss: float, delay_ms: float) -> float:
    """The MOS for a share of lost packets (0.0 to 1.0) and a one-way delay from mouth to ear."""
    rating = BEST_RATING - _delay_impairment(delay_ms) - _loss_impairment(loss)
    if rating <= 0.0:
        return 1.0
    if rating >= 100.0:
        return 4.5
    return max(1.0, 1.0 + 0.035 * rating + rating * (rating - 60.0) * (100.0 - rating) * 7e-6)


def _delay_impairment(delay_ms: float) -> float:
    late = max(0.0, delay_ms - NOTICED_DELAY_MS)
    return 0.024 * delay_ms + 0.11 * late


def _loss_impairment(loss: float) -> float:
    percent = 100.0 * min(max(loss, 0.0), 1.0)
    return 95.0 * percent / (percent + LOSS_ROBUSTNESS)
