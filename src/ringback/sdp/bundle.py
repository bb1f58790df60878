# SPDX-License-Identifier: Apache-2.0
"""Which streams share one transport? a=mid and a=group:BUNDLE: RFC 5888, RFC 8843 (9143)."""

from __future__ import annotations

import re

from ringback.sdp.errors import UnacceptableSession
from ringback.sdp.session import MediaDescription, SessionDescription

_MID = re.compile(r"[!#$%&'*+.0-9A-Z^_`a-z{|}~-]{1,64}")
#: Groups that are looked at, and members of one.
_MOST_GROUPS = 16
_MOST_MEMBERS = 16


def identification(media: MediaDescription) -> str | None:
    """The a=mid of a stream; None without one (RFC 5888 section 4)."""
    mid = media.attribute("mid")
    if mid is None:
        return None
    mid = mid.strip(" ")
    if not _MID.fullmatch(mid):
        raise UnacceptableSession("a=mid is malformed", section="RFC 5888 4")
    return mid


def bundle_groups(session: SessionDescription) -> tuple[tuple[str, ...], ...]:
    """The mids of each BUNDLE group, as listed."""
    groups: list[tuple[str, ...]] = []
    for value in session.attribute_values("group")[:_MOST_GROUPS]:
        words = [word for word in value.split(" ") if word]
        if words[:1] == ["BUNDLE"] and len(words) > 1:
            groups.append(tuple(words[1 : 1 + _MOST_MEMBERS]))
    return tuple(groups)


def bundle_tags(session: SessionDescription) -> dict[str, str]:
    """For every mid in a BUNDLE group that of the stream whose transport it uses (RFC 8843 section 7.2).

    That is the first of the group with a port: a rejected stream lends its transport to nobody.
    """
    open_mids = _mids_with_a_port(session)
    tags: dict[str, str] = {}
    for group in bundle_groups(session):
        tag = next((mid for mid in group if mid in open_mids), None)
        if tag is not None:
            for mid in group:
                tags.setdefault(mid, tag)
    return tags


def is_open(media: MediaDescription, tags: dict[str, str]) -> bool:
    """True when a stream has a port, or borrows one (RFC 8843 section 6); `tags` as from `bundle_tags`."""
    if media.line.port:
        return True
    mid = identification(media)
    return mid is not None and media.attribute("bundle-only") is not None and tags.get(mid, mid) != mid


def _mids_with_a_port(session: SessionDescription) -> set[str]:
    seen: set[str] = set()
    open_mids: set[str] = set()
    for media in session.media:
        mid = identification(media)
        if mid is None:
            continue
        if mid in seen:
            raise UnacceptableSession("two streams have the same a=mid", section="RFC 5888 4")
        seen.add(mid)
        if media.line.port:
            open_mids.add(mid)
    return open_mids
