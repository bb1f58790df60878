# SPDX-License-Identifier: Apache-2.0
"""Which routes under /api/v1 are about coming in? Those of the session, of oneself, and of the set-up."""

from __future__ import annotations

from fastapi import APIRouter

from ringback.web import me, passkeys, setup, sign_in

ROUTERS: tuple[APIRouter, ...] = (sign_in.router, me.router, passkeys.router, setup.router)
