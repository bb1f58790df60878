# SPDX-License-Identifier: Apache-2.0
"""Which diagnostics are true of this call? All families asked, the worst first."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from ringback.server.verdicts import encryption, media, registration, routing, signalling, sound_quality
from ringback.server.verdicts.diagnostic import ORDER, Diagnostic, Verdict
from ringback.server.verdicts.story import Message, Story

logger = logging.getLogger("ringback.verdicts")

#: Messages of one call that are looked at; more is no call that anybody reads.
MESSAGES = 2000
#: Seconds before and after a call in which a failed handshake may have to do with it.
NEARBY = 60.0

FAMILIES: tuple[tuple[str, str, tuple[Diagnostic, ...]], ...] = (
    ("Sound", "Why is there no sound, or bad sound?", (*media.TABLE, *sound_quality.TABLE)),
    ("Calls that did not come about", "Why did this call fail?", routing.TABLE),
    ("Passwords and registration", "Why does this phone not register?", registration.TABLE),
    ("TLS", "Why does the encrypted connection not come about?", encryption.TABLE),
    ("Signalling", "Do the messages arrive?", signalling.TABLE),
)

#: Pure functions of the story.
RULES: tuple[Callable[[Story], Iterator[Verdict]], ...] = (
    signalling.find,
    media.find,
    routing.find,
    registration.find,
)


def diagnose(
    record: Mapping[str, Any] | None,
    messages: Sequence[Message],
    registrations: Iterable[Mapping[str, Any]] = (),
    *,
    tls_failures: Iterable[Mapping[str, Any]] = (),
) -> list[Verdict]:
    """What is wrong with a call, or with a registration; nothing for one that is as it should be.

    `messages` are those of all its legs, in the order of time; evidence are places in it.
    """
    story = Story(messages[:MESSAGES], record, registrations)
    found = [verdict for rule in RULES for verdict in _guarded(rule, story)]
    if not any(verdict["severity"] == "note" for verdict in found):
        found += _handshakes(story, tls_failures)
    return sorted(found, key=lambda verdict: (ORDER.index(verdict["severity"]), verdict["code"]))


def _handshakes(story: Story, failures: Iterable[Mapping[str, Any]]) -> list[Verdict]:
    """Handshakes that failed about that time, with those who were in a call that did not come about."""
    if story.is_answered or not story.seen:
        return []
    begin, end = story.seen[0].at - NEARBY, story.seen[-1].at + NEARBY
    nearby = [each for each in failures if begin <= float(each.get("last_at") or begin) <= end]
    return encryption.concerning(nearby, frozenset(each.remote_host for each in story.seen if each.remote))


def _guarded(rule: Callable[[Story], Iterator[Verdict]], story: Story) -> list[Verdict]:
    """Messages and records are of strangers: a rule that trips over one must not hide what others found."""
    found: list[Verdict] = []
    try:
        found.extend(rule(story))
    except Exception:
        logger.exception("our fault: %s could not judge a call", rule.__module__)
    return found
