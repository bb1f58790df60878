# SPDX-License-Identifier: Apache-2.0
"""What do calls cost with and without the trace, in one process? Prints JSON; run by `bench_tracing.py`.

    python bench/bench_tracing_calls.py [TOGETHER] [ROUNDS]

Calls go through the whole server (its sockets excepted) at a pace of 1 000 a second. Four cases take turns, so
that a machine that becomes slower or faster meets all alike: no trace; a ring of the default size that is full;
the same and files; a ring that is filled for the first time, whose memory nobody has touched yet.
"""

from __future__ import annotations

import asyncio
import gc
import json
import random
import resource
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "performance"))
import workload

from ringback.net.driver import StackDriver
from ringback.server.tracing.place import Place
from ringback.server.tracing.query import find, query_of
from ringback.server.tracing.recorder import Recorder
from ringback.server.tracing.settings import TraceSettings
from ringback.sip.flow import Address, Flow, Transport

RATE = 1000
#: Short turns in a new order each time: the machine's own moods last longer than these.
SECONDS, TURNS = 0.1, 10
FLOW = Flow(Transport.UDP, Address("192.0.2.1", 5060), Address("192.0.2.9", 5060))
FILLER = b"OPTIONS sip:filler@example.com SIP/2.0\r\n" + b"X-Filler: " + b"x" * 600 + b"\r\n\r\n"


async def round_of(office: workload.Office) -> tuple[float, float]:
    """CPU time in us and page faults of a call, in one turn."""
    calls, begun, cpu = 0, time.monotonic(), time.process_time()
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    while (passed := time.monotonic() - begun) < SECONDS:
        if calls < passed * RATE:
            assert office.call_some() == workload.TOGETHER
            calls += workload.TOGETHER
            await asyncio.sleep(0)
        else:
            await asyncio.sleep(calls / RATE - passed)
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults
    return (time.process_time() - cpu) / calls * 1e6, faults / calls


def begun(driver: StackDriver, folder: Path | None, *, full: bool) -> Recorder:
    """A recorder that keeps nothing yet, or has as much as it keeps."""
    settings = TraceSettings() if folder is not None else TraceSettings(files=0)
    recorder = Recorder(settings, Place(folder) if folder is not None else None)
    recorder.watch(driver)
    driver.tap = None
    while full and not recorder.ring.dropped:
        recorder.take(False, [(FILLER, FLOW)] * 100, driver.now)
    return recorder


async def main(together: int, rounds: int) -> None:
    workload.TOGETHER = together
    office = workload.Office()
    await office.start()
    office.server.driver.gate = None  # whatever else this machine does, no call is refused
    gc.collect()
    gc.set_threshold(2_000, 1_000_000, 1_000_000)  # as `pbx/collector.py` does
    gc.freeze()
    driver = office.server.driver
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ("off", "memory", "files", "filling")}
    with tempfile.TemporaryDirectory() as folder:
        recorders = {
            "memory": begun(driver, None, full=True),
            "files": begun(driver, Path(folder) / "trace", full=True),
        }
        driver.tap = None
        await round_of(office)
        for _ in range(rounds):
            recorders["filling"] = begun(driver, None, full=False)
            for name in random.sample([*found] * TURNS, len(found) * TURNS):
                driver.tap = recorders[name].take if name in recorders else None
                found[name].append(await round_of(office))
                driver.tap = None
            await recorders.pop("filling").close()
        recorder = recorders["files"]
        recorder.flush()
        status = recorder.status()
        since = time.process_time()
        await find(query_of({"call_id": f"{office.number - 1}@load"}), recorder.ring, None)
        query_ms = (time.process_time() - since) * 1000
        for recorder in recorders.values():
            await recorder.close()
    await office.server.close()
    print(
        json.dumps(
            {
                "us_per_call": {name: [cost for cost, _ in costs] for name, costs in found.items()},
                "faults_per_call": {name: [faults for _, faults in costs] for name, costs in found.items()},
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
