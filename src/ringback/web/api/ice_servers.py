# SPDX-License-Identifier: Apache-2.0
"""Which servers help a browser through routers and firewalls? STUN and TURN, with credentials that end soon.

The TURN server and we share a secret: the name says until when it holds, the password is its HMAC. That is
what coturn calls `use-auth-secret`; nobody has to be made known there, and nothing lasting is in a browser.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
from pathlib import Path

from ringback.server.web_settings import WebSettings
from ringback.web.api.people_shapes import IceServer

logger = logging.getLogger("ringback.web")

#: More is no secret but the wrong file.
LONGEST_SECRET = 4096


def ice_servers(settings: WebSettings, name: str, *, until: float) -> list[IceServer]:
    """Those of the settings; TURN servers (RFC 7065) with credentials for `name` that hold until then.

    A secret that cannot be read is logged, and the page does without TURN: most calls need none.
    """
    stun = [each for each in settings.ice_servers if each.startswith("stun")]
    turn = [each for each in settings.ice_servers if each.startswith("turn")]
    found = [IceServer(urls=stun)] if stun else []
    if turn and (secret := _secret(settings.turn_secret_file)):
        username = f"{int(until)}:{name}"
        digest = hmac.digest(secret, username.encode(), hashlib.sha1)
        password = base64.b64encode(digest).decode()
        found.append(IceServer(urls=turn, username=username, credential=password))
    return found


def _secret(file: Path | None) -> bytes:
    if file is None:
        return b""  # said when the settings were read
    try:
        with file.open("rb") as opened:
            secret = opened.read(LONGEST_SECRET + 1).strip()
    except OSError as error:
        logger.warning("web.turn_secret_file: %s; browsers have to do without TURN", error.strerror)
        return b""
    if not 0 < len(secret) <= LONGEST_SECRET:
        logger.warning("web.turn_secret_file holds no secret; browsers have to do without TURN")
        return b""
    return secret
