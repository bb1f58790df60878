# SPDX-License-Identifier: Apache-2.0
"""Where does the server's time go while it is loaded, and only then? `ringback` under cProfile between two signals.

python bench/bench_profiled.py FILE serve ...       SIGUSR1 begins, SIGUSR2 ends and writes FILE
"""

from __future__ import annotations

import cProfile
import signal
import sys
from types import FrameType

from ringback.cli import main as ringback


def main() -> int:
    file = sys.argv.pop(1)
    profile = cProfile.Profile()

    def begin(number: int, frame: FrameType | None) -> None:
        profile.enable()

    def finish(number: int, frame: FrameType | None) -> None:
        profile.disable()
        profile.dump_stats(file)

    signal.signal(signal.SIGUSR1, begin)
    signal.signal(signal.SIGUSR2, finish)
    return ringback() or 0


if __name__ == "__main__":
    sys.exit(main())
