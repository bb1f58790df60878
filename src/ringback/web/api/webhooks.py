# SPDX-License-Identifier: Apache-2.0
"""Which addresses outside are told what happens here, and did they hear it?"""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import Depends

from ringback.server.storage.webhooks import WebhookRecord
from ringback.web.api.access import TheHouse, missing, routes
from ringback.web.api.shapes import Done, IdInPath, PageNumber, PageSize
from ringback.web.api.system_shapes import (
    AddedWebhook,
    Deliveries,
    Delivery,
    NewWebhook,
    Webhook,
    WebhookChange,
    Webhooks,
)
from ringback.web.house import House
from ringback.web.problems import ApiProblem, at_field
from ringback.web.sessions import Role, Visitor, needs
from ringback.web.webhook_destination import checked_url
from ringback.web.webhook_events import EVENT_KINDS

router = routes("webhooks")

Admin = Annotated[Visitor, Depends(needs(Role.ADMIN, "webhooks:write"))]

MAX_WEBHOOKS = 50


@router.get("/webhooks")
async def list_webhooks(house: TheHouse, _: Admin) -> Webhooks:
    """All webhooks."""
    items = [_shown(each) for each in await asyncio.to_thread(house.webhooks.webhooks)]
    return Webhooks(items=items, total=len(items), kinds=EVENT_KINDS)


@router.post("/webhooks", status_code=201)
async def add_webhook(house: TheHouse, visitor: Admin, wish: NewWebhook) -> AddedWebhook:
    """Add a webhook. Its secret is shown now and never again."""
    _check_url(house, wish.url)
    if len(await asyncio.to_thread(house.webhooks.webhooks)) >= MAX_WEBHOOKS:
        raise ApiProblem(409, f"there are {MAX_WEBHOOKS} webhooks already")
    webhook, secret = await asyncio.to_thread(house.webhooks.add, wish.url, wish.events, now=house.clock())
    await house.deliveries.look()
    await house.audit(visitor, "webhook.add", webhook.id, None, wish.model_dump())
    return AddedWebhook(webhook=_shown(webhook), secret=secret)


@router.get("/webhooks/{webhook_id}")
async def read_webhook(house: TheHouse, _: Admin, webhook_id: IdInPath) -> Webhook:
    """One webhook."""
    return _shown(await _existing(house, webhook_id))


@router.patch("/webhooks/{webhook_id}")
async def change_webhook(
    house: TheHouse, visitor: Admin, webhook_id: IdInPath, wish: WebhookChange
) -> Webhook:
    """Change a webhook. What is left out stays as it is."""
    before = _shown(await _existing(house, webhook_id))
    if wish.url is not None:
        _check_url(house, wish.url)
    change = wish.model_dump(exclude_none=True)
    await asyncio.to_thread(house.webhooks.change, webhook_id, **change)
    await house.deliveries.look()
    await house.audit(visitor, "webhook.change", webhook_id, before.model_dump(include=set(change)), change)
    return _shown(await _existing(house, webhook_id))


@router.delete("/webhooks/{webhook_id}")
async def remove_webhook(house: TheHouse, visitor: Admin, webhook_id: IdInPath) -> Done:
    """Remove a webhook and what waits for it."""
    if not await asyncio.to_thread(house.webhooks.remove, webhook_id):
        raise missing("webhook", webhook_id)
    await house.deliveries.look()
    await house.audit(visitor, "webhook.remove", webhook_id)
    return Done()


@router.get("/webhooks/{webhook_id}/deliveries")
async def list_deliveries(
    house: TheHouse, _: Admin, webhook_id: IdInPath, page: PageNumber = 1, size: PageSize = 50
) -> Deliveries:
    """What was delivered, what waits, and what went wrong."""
    await _existing(house, webhook_id)
    found, total = await asyncio.to_thread(house.webhooks.deliveries, webhook_id, page=page, size=size)
    items = [Delivery.model_validate(each, from_attributes=True) for each in found]
    return Deliveries(items=items, total=total, page=page, size=size)


@router.post("/webhooks/{webhook_id}/test", status_code=202)
async def try_webhook(house: TheHouse, _: Admin, webhook_id: IdInPath) -> Done:
    """Deliver an event "webhook.test" now; the list of deliveries shows how it went."""
    await _existing(house, webhook_id)
    await house.deliveries.send_test(webhook_id)
    return Done()


def _check_url(house: House, url: str) -> None:
    try:
        checked_url(url, allowed=house.settings.web.webhook_allow)
    except ValueError as error:
        raise at_field("url", str(error)) from error


async def _existing(house: House, webhook_id: str) -> WebhookRecord:
    found = await asyncio.to_thread(house.webhooks.webhook, webhook_id)
    if found is None:
        raise missing("webhook", webhook_id)
    return found


def _shown(record: WebhookRecord) -> Webhook:
    return Webhook.model_validate(record, from_attributes=True)
