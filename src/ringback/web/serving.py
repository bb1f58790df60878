# SPDX-License-Identifier: Apache-2.0
"""How is the app served? By uvicorn in a loop that is not its own, on a local socket, within limits."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import uvicorn

from ringback.web.app import make_app
from ringback.web.house import House
from ringback.web.introduced import Introduced

#: Connections at once; more are answered with 503.
MOST_CONNECTIONS = 2_000
#: An idle connection of a browser is kept so long.
KEEP_ALIVE = 60
#: A head of a request, and a message of a page to /events.
LARGEST_HEAD, LARGEST_MESSAGE = 32_768, 16_384
PATIENCE_AT_CLOSE = 2


class Uvicorn(uvicorn.Server):
    """uvicorn in a loop that is not its own: signals are for the supervisor."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """None."""
        yield


def configuration(house: House) -> uvicorn.Config:
    return uvicorn.Config(
        make_app(house),
        http=Introduced,
        ws="websockets-sansio",
        ws_max_size=LARGEST_MESSAGE,
        ws_per_message_deflate=False,
        h11_max_incomplete_event_size=LARGEST_HEAD,
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,  # the listener says who the visitor is; what visitors say counts nothing
        server_header=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=PATIENCE_AT_CLOSE,
    )
