# SPDX-License-Identifier: Apache-2.0
"""What may an API token be allowed to do? A token has some of these scopes, and never more than its owner."""

from __future__ import annotations

#: Scope -> what it allows, in words for the page on which tokens are made. A new scope is a row here.
SCOPES: dict[str, str] = {
    "users:read": "see users, their devices and the office",
    "users:write": "add, change and remove users, devices, invitations and guest pages",
    "registrations:read": "see which phones are registered",
    "registrations:write": "make the server forget a registered phone",
    "calls:read": "see the calls that are on",
    "calls:write": "place, hang up, transfer and record calls, and play into them",
    "records:read": "see, search and download the calls of before, and hear their recordings",
    "traces:read": "read the messages of calls, and ask why they went where they went",
    "traces:write": "switch the trace on and off",
    "settings:read": "see the settings",
    "settings:write": "change the settings",
    "system:read": "see how the server is doing, and who changed what",
    "events:read": "hear what happens, live, at /events",
    "webhooks:write": "see, add and remove webhooks",
    "phone:use": "be a phone: make credentials for a browser phone, see contacts and the own calls",
}
