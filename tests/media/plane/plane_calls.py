# SPDX-License-Identifier: Apache-2.0
"""Calls for the tests of media planes: who offers what to whom, in one line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from plane_peers import PhonePeer

from ringback.media.plane import LegProfile, MediaPlane

PLAIN = LegProfile()


@dataclass
class Call:
    """A bridge with its phones, by the names of their legs."""

    plane: MediaPlane
    name: str = "call"
    peers: dict[str, PhonePeer] = field(default_factory=dict)
    profiles: dict[str, LegProfile] = field(default_factory=dict)

    def add(self, leg: str, peer: PhonePeer, profile: LegProfile = PLAIN) -> None:
        self.peers[leg], self.profiles[leg] = peer, profile

    async def offer(self, source: str, target: str, sdp: bytes) -> bytes:
        offer = await self.plane.offer(
            self.name,
            source,
            target,
            sdp,
            source_profile=self.profiles[source],
            target_profile=self.profiles[target],
        )
        if target in self.peers:
            self.peers[target].take(offer)
        return offer

    async def answer(self, source: str, target: str, sdp: bytes) -> bytes:
        answer = await self.plane.answer(
            self.name,
            source,
            target,
            sdp,
            source_profile=self.profiles[source],
            target_profile=self.profiles[target],
        )
        if target in self.peers:
            self.peers[target].take(answer)
        return answer

    async def join(
        self,
        source: str,
        target: str,
        *,
        offered: Sequence[str] = (),
        answered: Sequence[str] = (),
        **more: object,
    ) -> tuple[bytes, bytes]:
        """Offer and answer with these formats; what each was told."""
        offer = await self.offer(source, target, self.peers[source].sdp(*offered, **more))  # type: ignore[arg-type]
        answer = await self.answer(target, source, self.peers[target].sdp(*answered))
        return offer, answer
