# SPDX-License-Identifier: Apache-2.0
"""What do the settings mean to each service? One frozen policy for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringback.net.limits import TransportLimits
from ringback.server.admission import AdmissionPolicy
from ringback.server.anchoring import AnchoringPolicy
from ringback.server.authentication import AuthenticationPolicy
from ringback.server.b2bua.bridge_policy import BridgePolicy
from ringback.server.branch import ForkingPolicy
from ringback.server.forwarding import ForwardingPolicy
from ringback.server.overload.gate import OverloadPolicy
from ringback.server.registration import RegistrarPolicy

if TYPE_CHECKING:
    from ringback.server.config import Settings
    from ringback.server.identity import Identity


def admission_policy(settings: Settings) -> AdmissionPolicy:
    """What is let in."""
    return AdmissionPolicy(max_breadth=settings.proxy.max_breadth)


def authentication_policy(settings: Settings) -> AuthenticationPolicy:
    """Who may do what."""
    return AuthenticationPolicy(
        strangers_may_call=settings.proxy.strangers_may_call,
        users_may_call_out=settings.proxy.users_may_call_out,
        md5_only_agents=settings.authentication.md5_only_agents,
    )


def registrar_policy(settings: Settings) -> RegistrarPolicy:
    """What phones may register."""
    registrar = settings.registrar
    return RegistrarPolicy(
        minimum_expires=registrar.minimum_expires,
        default_expires=registrar.default_expires,
        maximum_expires=registrar.maximum_expires,
        max_contacts=registrar.max_contacts,
    )


def forwarding_policy(settings: Settings, identity: Identity) -> ForwardingPolicy:
    """What is done to requests that pass."""
    return ForwardingPolicy(identity.domain, identity.realm, record_route=settings.proxy.record_route)


def bridge_policy(settings: Settings, *, has_plane: bool) -> BridgePolicy:
    """How calls are joined."""
    return BridgePolicy(
        is_enabled=settings.calls.mode == "bridge",
        max_calls=settings.calls.max_bridged,
        max_duration=settings.calls.max_duration,
        recurses=settings.proxy.recurse_on_redirect,
        strangers_may_call=settings.proxy.strangers_may_call,
        users_may_call_out=settings.proxy.users_may_call_out,
        anchoring=AnchoringPolicy(settings.media.anchor, settings.media.security, is_possible=has_plane),
    )


def forking_policy(settings: Settings) -> ForkingPolicy:
    """How long and how broad calls ring."""
    proxy = settings.proxy
    return ForkingPolicy(
        timer_c=proxy.timer_c,
        ring_time=proxy.ring_time,
        max_branches=proxy.max_branches,
        max_breadth=proxy.max_breadth,
    )


def overload_policy(settings: Settings) -> OverloadPolicy:
    """Who goes first when more comes than can be done, and what the others are told."""
    overload = settings.overload
    return OverloadPolicy(
        emergency_numbers=overload.emergency_numbers,
        trunks=overload.trunks,
        retry_after=(overload.shortest_retry, overload.longest_retry),
    )


def transport_limits(settings: Settings) -> TransportLimits:
    """What strangers may cost the transports."""
    limits = settings.limits
    return TransportLimits(
        handshake=limits.handshake_timeout,
        first_message=limits.first_message_timeout,
        progress=limits.message_timeout,
        connections_per_host=limits.max_connections_per_address,
        connections=limits.max_connections,
        write_queue=limits.write_queue,
        message_size=limits.max_message,
        keep_alive=settings.sip.tcp_keep_alive,
    )
