# SPDX-License-Identifier: Apache-2.0
"""Which routers make up the REST API? One a noun."""

from fastapi import APIRouter

from ringback.web.api import (
    audit,
    calls,
    devices,
    guests,
    invitations,
    office,
    phone,
    records,
    registrations,
    settings,
    system,
    tokens,
    traces,
    users,
    webhooks,
)

ROUTERS: tuple[APIRouter, ...] = (
    office.router,
    users.router,
    devices.router,
    invitations.router,
    registrations.router,
    calls.router,
    records.router,
    traces.router,
    settings.router,
    system.router,
    tokens.router,
    webhooks.router,
    audit.router,
    phone.router,
    guests.router,
)
