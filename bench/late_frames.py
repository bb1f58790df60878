# SPDX-License-Identifier: Apache-2.0
"""How evenly is a file played to a hundred calls at once? The share of packets that leave more than 5 ms late.

python bench/late_frames.py [--calls 100] [--seconds 20]

Each call is a grid of 20 ms through its earliest packet, by the kernel's clock at the receiver. The calls come
within two seconds, as calls do, or all in one moment (--at-once). Beside them a program does nothing but sleep until
the next 20 ms: how late that is shows what else the machine does.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import select
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

from bench_rtp_peer import HEADER, offer, open_sockets, received

from ringback.media.files import write_pcm
from ringback.media.session import AudioSession
from ringback.media.tones import TONES
from ringback.net.sockets import RealNetwork

LATE = 0.005
TARGET = 0.1


def listeners(pipe: Connection, calls: int) -> None:
    """A process that notes when which packet came."""
    sockets = open_sockets(calls)
    pipe.send([own.getsockname()[1] for own in sockets])
    places = {own.fileno(): place for place, own in enumerate(sockets)}
    arrivals: list[dict[int, float]] = [{} for _ in sockets]
    poll = select.poll()
    poll.register(pipe.fileno(), select.POLLIN)
    for own in sockets:
        poll.register(own.fileno(), select.POLLIN)
    while not pipe.poll():
        for descriptor, _ in poll.poll(1_000):
            place = places.get(descriptor)
            if place is not None:
                for at, data in received(sockets[place]):
                    arrivals[place].setdefault(HEADER.unpack_from(data)[3], at)
    pipe.send([lateness_of(each) for each in arrivals])


def sleeper(pipe: Connection) -> None:
    """A process that only sleeps: nobody can be more punctual than this."""
    lateness, start, number = [], time.monotonic(), 0
    while not pipe.poll():
        number += 1
        time.sleep(max(0.0, start + number * 0.020 - time.monotonic()))
        lateness.append(time.monotonic() - start - number * 0.020)
    pipe.send(lateness)


def lateness_of(arrivals: dict[int, float]) -> list[float]:
    """Seconds behind the earliest grid, for each packet but those of the first second."""
    first = min(arrivals)
    offsets = [at - (timestamp - first) / 8_000 for timestamp, at in arrivals.items()]
    earliest = min(offsets)
    return [offset - earliest for offset in offsets[50:]]


async def play(pipe: Connection, calls: int, seconds: float, *, at_once: bool) -> float:
    network = RealNetwork()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "music.wav")
        write_pcm(file, b"".join(TONES["ringback"].frames(round(seconds * 1_000) + 1_000)))
        sessions = []
        for port in pipe.recv():
            session = await AudioSession.open(network, host="127.0.0.1")
            session.make_answer(offer(port, 0, "PCMU/8000"))
            sessions.append(session)
        playing = []
        for session in sessions:
            session.start()
            playing.append(asyncio.create_task(session.play(file)))
            await asyncio.sleep(0 if at_once else 2 / calls)
        before, start = time.process_time(), time.monotonic()
        await asyncio.sleep(seconds)
        share = (time.process_time() - before) / (time.monotonic() - start)
        for task in playing:
            task.cancel()
        for session in sessions:
            await session.close()
    pipe.send("end")
    return share


def main() -> int:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--calls", type=int, default=100)
    options.add_argument("--seconds", type=float, default=20.0)
    options.add_argument("--at-once", action="store_true")
    chosen = options.parse_args()
    pipe, others = multiprocessing.Pipe()
    sleeping, awake = multiprocessing.Pipe()
    processes = [
        multiprocessing.Process(target=listeners, args=(others, chosen.calls), daemon=True),
        multiprocessing.Process(target=sleeper, args=(awake,), daemon=True),
    ]
    for process in processes:
        process.start()
    try:
        share = asyncio.run(play(pipe, chosen.calls, chosen.seconds, at_once=chosen.at_once))
        sleeping.send("end")
        lateness = [each for stream in pipe.recv() for each in stream]
        idle = sleeping.recv()
    finally:
        for process in processes:
            process.join(5.0)
            process.kill()
    print(f"{chosen.calls} calls, {100 * share:.1f} % of a core")
    print(f"packets: {summary(lateness)} (target: under {TARGET} %)")
    print(f"a program that only sleeps: {summary(idle)}")
    return os.EX_OK


def summary(lateness: list[float]) -> str:
    lateness = sorted(lateness)
    late = 100 * sum(each > LATE for each in lateness) / len(lateness)
    median, high = lateness[len(lateness) // 2], lateness[len(lateness) * 999 // 1_000]
    return (
        f"{late:.3f} % of {len(lateness)} more than 5 ms late, median {median * 1e3:.2f} ms, "
        f"p99.9 {high * 1e3:.2f} ms, worst {lateness[-1] * 1e3:.1f} ms"
    )


if __name__ == "__main__":
    sys.exit(main())
