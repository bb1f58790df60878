# SPDX-License-Identifier: Apache-2.0
"""What does a worker process run? `python -m ringback.cli.worker DESCRIPTOR`: not for people.

`ringback serve --workers N` starts N of these. They end with it, whatever ends it: the link breaks, and
should a worker hang so that it does not notice, the system kills it (PR_SET_PDEATHSIG, Linux).
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import signal
import socket
import sys
from collections.abc import Callable, Coroutine
from typing import Any

#: From `sys/prctl.h`.
PR_SET_PDEATHSIG = 1

#: The supervisor says when to stop. What a terminal or a service manager sends to the whole group is for it.
NOT_FOR_WORKERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def serve_over(descriptor: int, serve: Callable[[socket.socket], Coroutine[Any, Any, None]]) -> None:
    """Run `serve` over the link with this descriptor, until it ends."""
    from ringback.cli.logs import log_to_terminal

    _die_with_the_supervisor()
    for number in NOT_FOR_WORKERS:
        signal.signal(number, signal.SIG_IGN)
    log_to_terminal("info")
    try:
        asyncio.run(serve(socket.socket(fileno=descriptor)))
    finally:
        logging.shutdown()


async def _serve(sock: socket.socket) -> None:
    from ringback.pbx.worker import Worker

    await Worker().run(sock)


def _die_with_the_supervisor() -> None:
    """One that died already has closed the link, and that is noticed."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    serve_over(int(sys.argv[1]), _serve)
