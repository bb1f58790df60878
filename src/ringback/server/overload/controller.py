# SPDX-License-Identifier: Apache-2.0
"""How much new work may begin in a second under overload? As much as leaves the rest of our work quick.

Each step of 100 ms looks at how long urgent messages were with us, without the time that others took to
answer. Too long: a tenth less new work. Quick, and much of the rate was used: a tenth more (Welsh and
Culler, "Adaptive overload control for Internet services", 2003). "How long" is counted in slices of work,
not in seconds: on a machine that gives us half a processor all takes longer, and less work would not help.
"""

from __future__ import annotations

#: Slices: so many are 30 ms when we have a processor for ourselves.
TARGET = 8
STEP = 0.1
#: Of a hundred messages so many are quicker than what we look at.
PERCENTILE = 0.95
DECREASE = 0.9
INCREASE = 1.1
#: A smaller bucket refuses calls at low load: they come in bursts.
SMALLEST_BUCKET = 100.0
LEAST_RATE = 50.0
UNLIMITED = float("inf")
MOST_SAMPLES = 4096


class Controller:
    """A bucket of permits for new work, and the rate at which it fills."""

    __slots__ = (
        "_begun",
        "_filled",
        "_samples",
        "_step_began",
        "_tokens",
        "begun_rate",
        "loss",
        "rate",
        "refused",
    )

    def __init__(self) -> None:
        self.rate = UNLIMITED
        #: The share of new work that was refused lately, 0.0 to 1.0.
        self.loss = 0.0
        #: How much new work began in a second, lately.
        self.begun_rate = 0.0
        #: New work that was sent away in this step.
        self.refused = 0
        self._tokens = SMALLEST_BUCKET
        self._filled = self._step_began = 0.0
        self._begun = 0
        self._samples: list[int] = []

    def grants(self, now: float) -> bool:
        """Take a permit, if there is one."""
        if self.rate < UNLIMITED:
            self._fill(now)
            if self._tokens < 1.0:
                return False
            self._tokens -= 1.0
        self._begun += 1
        return True

    def worked(self, slices: int, count: int = 1) -> None:
        """So many messages were with us for so long."""
        if len(self._samples) < MOST_SAMPLES:
            self._samples += [slices] * count

    def look(self, now: float, *, is_overloaded: bool) -> None:
        """Begin a new step when it is time."""
        elapsed = now - self._step_began
        if elapsed < STEP:
            return
        if is_overloaded:
            self._adapt(elapsed, now)
        else:
            self.rate = UNLIMITED
        self.begun_rate = 0.5 * self.begun_rate + 0.5 * self._begun / elapsed
        offered = self._begun + self.refused
        self.loss = 0.5 * self.loss + 0.5 * (self.refused / offered if offered else 0.0)
        self.restart(now)

    def restart(self, now: float) -> None:
        """A new step. What was counted before it says nothing any more."""
        self._samples.clear()
        self._begun = self.refused = 0
        self._step_began = now

    def _adapt(self, elapsed: float, now: float) -> None:
        begun = self._begun / elapsed
        if self._is_slow():
            self._limit(max(LEAST_RATE, min(self.rate, max(begun, self.begun_rate)) * DECREASE), now)
        elif begun > self.rate / 2:
            self.rate *= INCREASE

    def _is_slow(self) -> bool:
        samples = sorted(self._samples)
        return bool(samples) and samples[int(len(samples) * PERCENTILE)] > TARGET

    def _limit(self, rate: float, now: float) -> None:
        self._fill(now)
        self.rate = rate
        self._tokens = min(self._tokens, self._room())

    def _fill(self, now: float) -> None:
        if self.rate < UNLIMITED:
            self._tokens = min(self._room(), self._tokens + (now - self._filled) * self.rate)
        self._filled = now

    def _room(self) -> float:
        return max(SMALLEST_BUCKET, self.rate * STEP)
