# SPDX-License-Identifier: Apache-2.0
"""Which events may a webhook hear? The kinds of the bulletin, in words."""

from __future__ import annotations

#: Kind -> what has happened. "call.*" means all of a noun, "*" all.
EVENT_KINDS: dict[str, str] = {
    "call.began": "somebody has dialled",
    "call.ringing": "a phone rings",
    "call.answered": "a call was answered",
    "call.changed": "a call was held, transferred or recorded, or its sound goes another way",
    "call.ended": "a call is over; the event has its whole record",
    "call.judged": "what was wrong with a call that is over, if anything was",
    "phone.registered": "a phone has registered",
    "phone.unregistered": "a phone is registered no longer",
    "users.changed": "users or devices were changed",
    "settings.changed": "settings were changed",
    "webhook.test": "somebody pressed the button that tries a webhook",
}
