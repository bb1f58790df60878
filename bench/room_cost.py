# SPDX-License-Identifier: Apache-2.0
"""What does a conference of fifty cost? CPU share of one core, over real sockets, callers in a process of their own.

python bench/room_cost.py [--members 50] [--seconds 10] [--codec PCMU]

Printed are the share of the process that holds the room: RTP in and out, jitter buffers, codecs, mixing. Twice: with
three who talk and the rest silent, as in a meeting, and with everybody talking at once, the worst there is.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import sys
import time
from itertools import count
from multiprocessing.connection import Connection

from bench_rtp_peer import offer, open_sockets, packet, received

from ringback.media.codecs import CODECS, codec_for
from ringback.media.resampling import resampled
from ringback.media.room import Room
from ringback.media.session import AudioSession
from ringback.media.tones import steady
from ringback.net.sockets import RealNetwork

TALKERS = 3
TARGET = 25.0


def callers(pipe: Connection, members: int, codec_name: str) -> None:
    """A process that sends for everybody and counts what comes back."""
    row = CODECS[codec_name]
    codec = codec_for(row.format)
    assert codec is not None
    sockets = open_sockets(members)
    pipe.send([own.getsockname()[1] for own in sockets])
    targets: list[tuple[str, int]] = pipe.recv()
    sound = [codec.encode(resampled(frame, 8_000, codec.sample_rate)) for frame in steady(440, 1_000)]
    silence = [codec.encode(bytes(codec.sample_rate // 50 * 2)) for _ in range(50)][-1]
    ticks, talkers, heard, start = codec.format.clock_rate // 50, 0, 0, time.monotonic()
    for number in count():
        if pipe.poll():
            talkers = pipe.recv()
            if talkers < 0:
                break
        for index, own in enumerate(sockets):
            payload = sound[number % 50] if index < talkers else silence
            own.sendto(packet(row.format.payload_type, number, ticks, index, payload), targets[index])
            heard += len(received(own))
        time.sleep(max(0.0, start + (number + 1) * 0.020 - time.monotonic()))
    pipe.send((number * members, heard))


async def measure(pipe: Connection, members: int, seconds: float, codec_name: str) -> None:
    network, room = RealNetwork(), Room(has_tones=False)
    row = CODECS[codec_name]
    legs, targets = [], []
    for own_port in pipe.recv():
        leg = await AudioSession.open(network, host="127.0.0.1", codecs=(codec_name,))
        leg.make_answer(offer(own_port, row.format.payload_type, row.format.rtpmap.partition(" ")[2]))
        leg.start()
        legs.append(leg)
        targets.append((leg.local.host, leg.local.port))
        room.join(leg)
        await asyncio.sleep(0.003)  # callers do not come in one moment
    pipe.send(targets)
    for talkers in (TALKERS, members):
        pipe.send(talkers)
        await asyncio.sleep(1.0)
        before, start = time.process_time(), time.monotonic()
        await asyncio.sleep(seconds)
        share = 100 * (time.process_time() - before) / (time.monotonic() - start)
        speaking = sum(member.is_speaking for member in room.members)
        verdict = "" if codec_name != "PCMU" or members != 50 else f"   (target: at most {TARGET:g} %)"
        print(f"{members} members, {codec_name}, {speaking:3} talking: {share:5.1f} % of a core{verdict}")
    pipe.send(-1)
    sent, heard = pipe.recv()
    lost = sum(leg.statistics.lost for leg in legs)
    print(f"packets to the room {sent}, lost {lost}; from the room {heard}")
    for leg in legs:
        await leg.close()
    room.close()


def main() -> int:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--members", type=int, default=50)
    options.add_argument("--seconds", type=float, default=10.0)
    options.add_argument("--codec", default="PCMU", choices=sorted(CODECS))
    chosen = options.parse_args()
    here, there = multiprocessing.Pipe()
    process = multiprocessing.Process(target=callers, args=(there, chosen.members, chosen.codec), daemon=True)
    process.start()
    try:
        asyncio.run(measure(here, chosen.members, chosen.seconds, chosen.codec))
    finally:
        process.join(2.0)
        process.kill()
    return os.EX_OK


if __name__ == "__main__":
    sys.exit(main())
