# SPDX-License-Identifier: Apache-2.0
"""A media worker alone in a process, as the supervisor starts them: python bench/bench_media_worker.py SOCKET"""

from __future__ import annotations

import asyncio
import resource
import signal
import socket
import sys

from ringback.media.facilities import Facilities
from ringback.media.media_worker import MediaWorker
from ringback.media.ports import PortRange
from ringback.net.sockets import RealNetwork


async def serve(path: str) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    worker = MediaWorker(Facilities(RealNetwork(), ports=PortRange(20_000, 29_999)))
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        listening.setblocking(False)
        await worker.serve(listening)
        await stopped.wait()
        await worker.close()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
