# SPDX-License-Identifier: Apache-2.0
"""What does a packet cost that only passes through, beside rtpengine in user space?

python bench/relay.py                         200 streams, plain and SRTP to RTP, three runs each in turns
python bench/relay.py --calls 200 --runs 1    400 streams
python bench/relay.py --only plain --engine own

A call is two streams of G.711, 20 ms a packet, of which a packet is relayed 50 times a second. Both engines are asked
through the same seam (`ringback.media.plane`), run with one worker each, in turns. Delay is what the relay adds:
measured from send to receive, with what the generator needs without a relay beside it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from bench_media_load import Carried, Sound, SoundRun
from bench_program import Program, free_port, require

from ringback.media.plane import MediaPlane
from ringback.media.rtpengine import RtpenginePlane
from ringback.media.worker_plane import WorkerPlane
from ringback.net.sockets import RealNetwork
from ringback.sip.flow import Address

ENGINES = ("own", "rtpengine")
WORKER = Path(__file__).with_name("bench_media_worker.py")


@asynccontextmanager
async def own(folder: Path) -> AsyncIterator[tuple[MediaPlane, int]]:
    """Our media worker."""
    place = str(folder / "media.sock")
    program = Program([sys.executable, str(WORKER), place], folder / "own.log")
    try:
        program.wait_for(lambda: os.path.exists(place), 20, "the media worker's socket")
        loop = asyncio.get_running_loop()
        plane = WorkerPlane([lambda protocol: loop.create_unix_connection(protocol, place)])
        await plane.start()
        yield plane, program.process.pid
        await plane.close()
    finally:
        program.stop()


@asynccontextmanager
async def rtpengine(folder: Path) -> AsyncIterator[tuple[MediaPlane, int]]:
    """The same from Debian."""
    port = free_port()
    words = [
        require("rtpengine", "rtpengine-daemon"),
        "--config-file=none",
        "--table=-1",
        "--interface=127.0.0.1",
    ]
    words += [
        f"--listen-ng=127.0.0.1:{port}",
        "--port-min=20000",
        "--port-max=29999",
        "--foreground",
        "--log-stderr",
    ]
    words += ["--log-level=3", "--num-threads=1", "--delete-delay=0"]
    program = Program(words, folder / "rtpengine.log")
    plane = RtpenginePlane(Address("127.0.0.1", port), RealNetwork(), random_bytes=os.urandom)
    try:
        await asyncio.sleep(1.0)
        await plane.start()
        yield plane, program.process.pid
        await plane.close()
    finally:
        program.stop()


async def measured(engine: str, sound: Sound) -> Carried:
    """One run of one engine, started for it."""
    run = SoundRun(sound)
    try:
        with tempfile.TemporaryDirectory(prefix="ringback-bench-") as name:
            if engine == "direct":
                run.join_directly()
                return await asyncio.to_thread(run.carried, None)
            async with (own if engine == "own" else rtpengine)(Path(name)) as (plane, pid):
                await run.join(plane)
                return await asyncio.to_thread(run.carried, pid)
    finally:
        run.close()


def told(engine: str, sound: Sound, found: Carried) -> str:
    counted = found.counted
    kind = "SRTP-RTP" if sound.is_secured else "RTP"
    return (
        f"{engine:9} {kind:8} {2 * sound.calls:4} streams {found.us_per_packet:6.2f} us/packet (user {found.user / counted['sent'] * 1e6:.2f}) "
        f"sent {counted['sent']} lost {found.lost} p50 {counted['p50']:.2f} p99 {counted['p99']:.2f} p99.9 {counted['p999']:.2f} max {counted['max']:.1f} ms"
    )


def row(found: list[Carried]) -> dict[str, float]:
    """The medians of some runs of one engine, for the results of all benchmarks."""
    middle: dict[str, float] = {"us_per_packet": statistics.median(each.us_per_packet for each in found)}
    for name in ("p50", "p99", "p999"):
        middle[f"{name}_ms"] = statistics.median(each.counted[name] for each in found)
    return middle | {
        "lost": sum(each.lost for each in found),
        "sent": sum(each.counted["sent"] for each in found),
    }


def measure(
    sound: Sound, engines: Sequence[str], runs: int, tell: Callable[[str], object]
) -> dict[str, dict[str, float]]:
    """Every engine so many times, in turns."""
    found: dict[str, list[Carried]] = {engine: [] for engine in engines}
    for _ in range(runs):
        for engine in engines:
            found[engine].append(asyncio.run(measured(engine, sound)))
            tell(told(engine, sound, found[engine][-1]))
    return {engine: row(each) for engine, each in found.items()}


def compare(sound: Sound, engines: Sequence[str], runs: int) -> None:
    rows = measure(sound, engines, runs, lambda text: print(text, flush=True))
    if set(ENGINES) <= rows.keys():
        mine, theirs = (rows[engine]["us_per_packet"] for engine in ENGINES)
        print(f"== {mine:.2f} beside {theirs:.2f}: ratio {mine / theirs:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--only", choices=("plain", "srtp"))
    parser.add_argument("--engine", choices=(*ENGINES, "direct"), action="append")
    arguments = parser.parse_args()
    for kind in ("plain", "srtp"):
        if arguments.only in (None, kind):
            sound = Sound(arguments.calls, is_secured=kind == "srtp", seconds=arguments.seconds)
            compare(sound, arguments.engine or list(ENGINES), arguments.runs)


if __name__ == "__main__":
    main()
