# SPDX-License-Identifier: Apache-2.0
"""Must the sound of a call come through this server, and why? Only where its two ends could not send to each
other. The reason is a sentence for people: `ringback status` shows it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from ringback.media.plane import BROWSER, LegProfile
from ringback.sdp.addresses import is_loopback, is_private
from ringback.sdp.errors import UnacceptableSession, WarnCode
from ringback.sdp.security import Security
from ringback.sdp.session import SessionDescription
from ringback.sdp.stream import streams_of
from ringback.server.nat import is_numeric, is_reachable

if TYPE_CHECKING:
    from ringback.sip.flow import Flow

#: What is added to an offer that its reader refused for its encodings; the plane translates.
TRANSLATED_CODECS = ("opus", "G722", "PCMU", "PCMA")


@dataclass(frozen=True, slots=True)
class AnchoringPolicy:
    """What the settings say; `is_possible` without a media plane is False."""

    anchor: Literal["needed", "always", "never"] = "needed"
    security: Literal["optional", "required", "off"] = "optional"
    is_possible: bool = False


@dataclass(frozen=True, slots=True)
class End:
    """What is known of how one end of a call takes media. `security` None: it has not said anything yet."""

    name: str
    host: str = ""
    """Where its signalling comes from; "" when that is not known yet."""
    media_host: str = ""
    """Where it says it wants media; before it says so, where its Contact says it is."""
    is_browser: bool = False
    is_secret: bool = False
    """Its signalling is encrypted, so that keys may travel in it."""
    security: Security | None = None
    has_ice: bool = False
    has_rtcp_mux: bool = False
    has_bundle: bool = False
    wish: Literal["", "optional", "required", "off"] = ""
    """How its device is set to encrypt; "" is as the settings say."""

    @classmethod
    def reached_by(cls, name: str, flow: Flow | None, *, contact_host: str = "") -> End:
        """Somebody who has described nothing yet. SIP over WebSocket is spoken by browsers (RFC 7118)."""
        if flow is None:  # what it signals goes where its Contact says
            host = contact_host if is_numeric(contact_host) else ""
            return cls(name, host, host)
        return cls(
            name,
            flow.remote.host,
            contact_host if is_numeric(contact_host) else "",
            is_browser=flow.transport.value in ("WS", "WSS"),
            is_secret=flow.transport.is_secure,
        )

    @property
    def is_behind_nat(self) -> bool:
        """True when others cannot send to where it believes to be."""
        return bool(self.host and self.media_host) and not is_reachable(self.media_host, self.host)

    @property
    def speaks_dtls(self) -> bool:
        """True for browsers, and for who describes itself like one."""
        return self.security is Security.DTLS or (self.is_browser and self.security is None)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One way to offer a call to somebody: as it is (`reason` is ""), or anchored, in this manner."""

    reason: str
    security: Security = Security.PLAIN
    codecs: tuple[str, ...] = ()


def described(end: End, sdp: bytes) -> End:
    """The same end after it has said where and how it takes media. UnacceptableSession (488) when what it
    says cannot be taken: RELIABILITY rows 9 and 10.
    """
    session = SessionDescription.parse(sdp)
    allow_loopback = not end.host or is_loopback(end.host)
    streams = [each for each in streams_of(session, allow_loopback=allow_loopback) if not each.is_rejected]
    stream = next((each for each in streams if each.kind == "audio"), streams[0] if streams else None)
    if stream is None:
        return end
    return replace(
        end,
        media_host=stream.rtp.host if stream.rtp is not None else end.media_host,
        security=stream.security,
        has_ice=stream.ice is not None,
        has_rtcp_mux=stream.rtcp_mux,
        has_bundle=stream.bundle_tag is not None,
    )


def check_security(stream_end: End, policy: AnchoringPolicy) -> None:
    """Where encryption is required, nobody speaks without."""
    if _rule_for(stream_end, policy) == "required" and stream_end.security in (
        Security.PLAIN,
        Security.OPPORTUNISTIC,
    ):
        raise UnacceptableSession(
            "sound must be encrypted here (SRTP)", warning=WarnCode.INCOMPATIBLE_TRANSPORT_PROTOCOL
        )


def check_answer(answerer: End, offerer: End) -> None:
    """The two speak with each other, so both must encrypt in one way. baresip 1.0 answers RTP/SAVP that has
    keys with RTP/SAVP that has a fingerprint.
    """
    ways = {_EXPOSED.get(end.security, end.security) for end in (answerer, offerer)} - {None}
    if len(ways) > 1:
        raise UnacceptableSession(
            f"{answerer.name} does not encrypt as {offerer.name} does",
            warning=WarnCode.INCOMPATIBLE_TRANSPORT_PROTOCOL,
        )


def reason_to_anchor(one: End, other: End, policy: AnchoringPolicy) -> str:
    """The sentence; "" when the two can send to each other, or must."""
    if policy.anchor == "never" or not policy.is_possible:
        return ""
    if policy.anchor == "always":
        return "the setting media.anchor is always"
    return next((reason for rule in RULES if (reason := rule(one, other, policy))), "")


def attempts(caller: End, callee: End, policy: AnchoringPolicy) -> list[Attempt]:
    """How a call is offered, and how again when it was refused for its description (488)."""
    reason = reason_to_anchor(caller, callee, policy)
    wanted = _best_security(caller, callee, policy)
    first = Attempt(reason, wanted) if reason else Attempt("", caller.security or Security.PLAIN)
    if policy.anchor == "never" or not policy.is_possible:
        return [first]
    refused = f"{callee.name} refuses what {caller.name} offers"
    others = (Security.SDES, Security.PLAIN) if callee.is_secret else (Security.PLAIN, Security.SDES)
    rule = _rule_for(callee, policy)
    allowed = [each for each in (wanted, *others, Security.DTLS) if _is_allowed(each, rule)]
    again = [Attempt(reason or refused, each, TRANSLATED_CODECS) for each in dict.fromkeys(allowed)]
    return [first, *again]


def profile_of(end: End) -> LegProfile:
    """How the plane speaks with somebody who has described itself."""
    security = end.security or (Security.DTLS if end.is_browser else Security.PLAIN)
    return LegProfile(
        security,
        ice=end.has_ice,
        rtcp_mux=end.has_rtcp_mux,
        bundle=end.has_bundle,
        signalling_host=end.host,
        is_behind_nat=end.is_behind_nat,
    )


def profile_for(end: End, attempt: Attempt) -> LegProfile:
    """How the plane speaks with somebody who is offered something in this manner."""
    known = profile_of(end)
    if attempt.security is Security.DTLS and end.is_browser:
        return replace(BROWSER, signalling_host=end.host, codecs=attempt.codecs)
    if end.security is attempt.security:
        return replace(known, codecs=attempt.codecs)
    return replace(
        known, security=attempt.security, ice=False, rtcp_mux=False, bundle=False, codecs=attempt.codecs
    )


_EXPOSED: dict[Security | None, Security] = {Security.OPPORTUNISTIC: Security.PLAIN}


# --- the rules ----------------------------------------------------------------------------------------


def _is_browser(one: End, other: End, policy: AnchoringPolicy) -> str:
    if one.speaks_dtls == other.speaks_dtls:
        return ""
    end = one if one.speaks_dtls else other
    return f"{end.name} is a browser (DTLS-SRTP)" if end.is_browser else f"{end.name} speaks DTLS-SRTP"


def _encrypts(one: End, other: End, policy: AnchoringPolicy) -> str:
    """What the other end is yet to say is not known: it may take what it is offered."""
    known = {one.security, other.security} - {Security.OPPORTUNISTIC}
    if Security.SDES in known and policy.security == "off":
        return "encryption of sound is off here"
    if Security.SDES in known and "off" in (one.wish, other.wish):
        return f"encryption of sound is off for {(one if one.wish == 'off' else other).name}"
    if Security.PLAIN in known and "required" in (one.wish, other.wish):
        return f"{(one if one.wish == 'required' else other).name} must encrypt"
    if known == {Security.SDES, Security.PLAIN}:
        ends = (one, other) if one.security is Security.SDES else (other, one)
        return f"{ends[0].name} encrypts (SDES), {ends[1].name} does not"
    return ""


def _other_family(one: End, other: End, policy: AnchoringPolicy) -> str:
    families = [_family(one), _family(other)]
    if "" in families or families[0] == families[1] or (one.speaks_dtls and other.speaks_dtls):
        return ""
    return f"{one.name} speaks {families[0]}, {other.name} {families[1]}"


def _behind_nat(one: End, other: End, policy: AnchoringPolicy) -> str:
    if (one.speaks_dtls and other.speaks_dtls) or _share_network(one, other):
        return ""
    for end in (one, other):
        if end.is_behind_nat:
            return f"{end.name} is behind a NAT ({end.media_host}, seen from {end.host})"
    return ""


#: In the order in which they are asked.
RULES: tuple[Callable[[End, End, AnchoringPolicy], str], ...] = (
    _is_browser,
    _encrypts,
    _other_family,
    _behind_nat,
)


def _best_security(caller: End, callee: End, policy: AnchoringPolicy) -> Security:
    """What is offered first to somebody whose media we carry. Keys are only sent where nobody reads along."""
    if callee.speaks_dtls:
        return Security.DTLS
    if callee.security is not None and _is_allowed(callee.security, _rule_for(callee, policy)):
        return callee.security
    rule = _rule_for(callee, policy)
    if rule == "off":
        return Security.PLAIN
    if rule == "required" or caller.security is Security.SDES:
        return Security.SDES
    return Security.OPPORTUNISTIC if callee.is_secret else Security.PLAIN


def _rule_for(end: End, policy: AnchoringPolicy) -> str:
    return end.wish or policy.security


def _is_allowed(security: Security, rule: str) -> bool:
    if rule == "required":
        return security in (Security.SDES, Security.DTLS)
    return rule != "off" or security in (Security.PLAIN, Security.DTLS)


def _family(end: End) -> str:
    host = end.media_host or end.host
    if not is_numeric(host):
        return ""
    return "IPv6" if ipaddress.ip_address(host).version == 6 else "IPv4"


def _share_network(one: End, other: End) -> bool:
    """Two phones behind one router: they come from one address and believe to be neighbours."""
    if not one.host or one.host != other.host or not (one.media_host and other.media_host):
        return False
    if not (is_private(one.media_host) and is_private(other.media_host)):
        return False
    first, second = ipaddress.ip_address(one.media_host), ipaddress.ip_address(other.media_host)
    width = 64 if first.version == 6 else 24
    return first.version == second.version and second in ipaddress.ip_network(
        f"{first}/{width}", strict=False
    )
