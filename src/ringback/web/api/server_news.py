# SPDX-License-Identifier: Apache-2.0
"""How does the running server hear that users or devices were changed in the store?"""

from __future__ import annotations

import logging

from ringback.sip.errors import RingbackError
from ringback.web.house import House

logger = logging.getLogger("ringback.web")


async def tell_server(house: House, verb: str = "users-changed") -> None:
    """The change is in the store already: a server that does not answer now reads it when it starts again, so
    whoever made the change still gets their answer, with the password that is shown only once.
    """
    try:
        await house.server.ask(verb)
    except (RingbackError, TimeoutError) as error:
        logger.warning("the server does not know yet what has changed: %s", error)
