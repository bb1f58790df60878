# SPDX-License-Identifier: Apache-2.0
"""A registration, described for people and for programs that show it to people."""

from __future__ import annotations

from typing import Any

from ringback.server.storage.store import BindingRecord
from ringback.sip.flow import Address


def described(binding: BindingRecord, *, now: float, name: str = "") -> dict[str, Any]:
    """The fields of `ringback registrations`. `now` is the wall clock, in seconds since 1970."""
    source = Address(binding.remote_host, binding.remote_port) if binding.remote_host else ""
    return {
        "user": binding.user,
        "key": binding.key,
        "name": name,
        "contact": binding.contact,
        "transport": binding.transport,
        "source": str(source),
        "expires": max(0, round(binding.expires_at - now)),
        "q": binding.q,
        "agent": binding.user_agent,
        "instance": binding.instance,
        "path": list(binding.path),
        "registered_at": binding.registered_at,
        "device": binding.device,
    }
