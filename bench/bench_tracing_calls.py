# SPDX-License-Identifier: Apache-2.0
"""What do calls cost with and without the trace, in one process? Prints JSON; run by `bench_tracing.py`.

    python bench/bench_tracing_calls.py [TOGETHER] [ROUNDS]

Calls go through the whole server (its sockets excepted) at a pace of 1 000 a second; off, memory, and memory
with files take turns, so that a machine that becomes slower or faster meets all alike.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "performance"))
import workload

from ringback.server.tracing.place import Place
from ringback.server.tracing.query import find, query_of
from ringback.server.tracing.recorder import Recorder
from ringback.server.tracing.settings import TraceSettings

RATE = 1000
SECONDS = 1.0


async def round_of(office: workload.Office) -> tuple[float, int]:
    """CPU seconds and calls of one round."""
    calls, begun, cpu = 0, time.monotonic(), time.process_time()
    while (passed := time.monotonic() - begun) < SECONDS:
        if calls < passed * RATE:
            assert office.call_some() == workload.TOGETHER
            calls += workload.TOGETHER
            await asyncio.sleep(0)
        else:
            await asyncio.sleep(calls / RATE - passed)
    return time.process_time() - cpu, calls


async def main(together: int, rounds: int) -> None:
    workload.TOGETHER = together
    office = workload.Office()
    await office.start()
    office.server.driver.gate = None  # whatever else this machine does, no call is refused
    gc.collect()
    gc.set_threshold(2_000, 1_000_000, 1_000_000)  # as `pbx/collector.py` does
    gc.freeze()
    driver = office.server.driver
    with tempfile.TemporaryDirectory() as folder:
        recorders = {
            "memory": Recorder(TraceSettings(files=0), None),
            "files": Recorder(TraceSettings(), Place(Path(folder) / "trace")),
        }
        for recorder in recorders.values():
            recorder.watch(driver)
        taps = {"off": None, **{name: recorder.take for name, recorder in recorders.items()}}
        found: dict[str, list[float]] = {name: [] for name in taps}
        driver.tap = None
        await round_of(office)
        for _ in range(rounds):
            for name, driver.tap in taps.items():
                cpu, calls = await round_of(office)
                found[name].append(cpu / calls * 1e6)
        recorder = recorders["files"]
        recorder.flush()
        status = recorder.status()
        begun = time.process_time()
        await find(query_of({"call_id": f"{office.number - 1}@load"}), recorder.ring, None)
        query_ms = (time.process_time() - begun) * 1000
        for recorder in recorders.values():
            await recorder.close()
    await office.server.close()
    print(
        json.dumps(
            {
                "us_per_call": found,
                "rounds": rounds,
                "together": together,
                "status": status,
                "query_ms": query_ms,
            }
        )
    )


if __name__ == "__main__":
    words = [int(word) for word in sys.argv[1:]]
    asyncio.run(main(words[0] if words else 4, words[1] if len(words) > 1 else 8))
