# SPDX-License-Identifier: Apache-2.0
"""What does the web process run? `python -m ringback.cli.web_worker DESCRIPTOR`: not for people."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ringback.cli.worker import serve_over

if TYPE_CHECKING:
    import socket


async def _serve(sock: socket.socket) -> None:
    from ringback.web.process import WebServer

    await WebServer().run(sock)


if __name__ == "__main__":
    serve_over(int(sys.argv[1]), _serve)
