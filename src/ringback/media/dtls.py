# SPDX-License-Identifier: Apache-2.0
"""How do two ends agree on keys? A DTLS handshake whose certificate the description names (RFC 5763, 5764).

The owner lets in only what comes from an address it believes. Among those each address has a handshake of its
own, so that none can spoil another's; the first that shows the named certificate is the peer's, and keys of
all others are never used (RELIABILITY row 41). Addresses that ICE has proved are one peer's: a browser that
finds a better way in the middle goes on from there, and never says hello again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from ringback.media.certificate import SRTP_PROFILES, Certificate, fingerprint_of
from ringback.media.handshake import RECORD, Handshake, Send, client_random
from ringback.rtp.srtp import KEY_BYTES
from ringback.sdp.dtls import DtlsDescription
from ringback.sip.flow import Address

log = logging.getLogger("ringback.media")

#: RFC 3711: octets of a master salt. GCM takes 12 (RFC 7714 section 12).
_SALT_BYTES, _GCM_SALT_BYTES = 14, 12
_EXPORT_LABEL = b"EXTRACTOR-dtls_srtp"
#: Handshakes that peers open and that go on at a time.
MOST_HANDSHAKES = 8
#: Handshakes that we open and that fail before we give up.
MOST_ATTEMPTS = 5
_RETRY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class SrtpKeys:
    """What both ends know now: the suite, and master key with salt of each direction."""

    suite: str
    local: bytes = field(repr=False)
    remote: bytes = field(repr=False)


class DtlsAssociation:
    """All handshakes of one stream, until one is the peer's.

    send:
        takes the datagrams of a flight, and where they go
    on_keys:
        called once, with the keys and the address of the peer
    """

    __slots__ = (
        "_attempts",
        "_certificate",
        "_done",
        "_expected",
        "_handshakes",
        "_loop",
        "_on_keys",
        "_retry",
        "_send",
        "failures",
        "is_client",
        "is_closed",
    )

    def __init__(
        self,
        certificate: Certificate,
        *,
        is_client: bool,
        expected: DtlsDescription,
        send: Send,
        on_keys: Callable[[SrtpKeys, Address], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._certificate = certificate
        self._expected = expected
        self._send = send
        self._on_keys = on_keys
        self._handshakes: dict[Address, Handshake] = {}
        self._done: Handshake | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._attempts = 0
        self.is_client = is_client
        self.is_closed = False
        #: Handshakes that came to nothing.
        self.failures = 0

    @property
    def is_done(self) -> bool:
        """True once the keys are agreed on."""
        return self._done is not None

    def is_for(self, expected: DtlsDescription, *, is_client: bool) -> bool:
        """True when a new description means the same association (RFC 8842 section 5)."""
        mine = self._expected
        is_same = mine.fingerprints == expected.fingerprints and mine.tls_id == expected.tls_id
        return is_same and self.is_client == is_client

    def start(self, peer: Address) -> None:
        """Open the handshake, when it is ours to open. Called again when the peer is elsewhere now."""
        if not self.is_client or self.is_done or self.is_closed or self._retry is not None:
            return
        if self._handshakes:
            for handshake in self._handshakes.values():
                handshake.peer = peer
        elif self._attempts < MOST_ATTEMPTS:
            self._attempts += 1
            self._begin(peer).advance()

    def receive(self, data: bytes, source: Address, *, is_proven: bool = False) -> None:
        """A datagram from an address that is believed; `is_proven` by ICE."""
        if self.is_closed or len(data) < RECORD.size:
            return
        if self._done is not None:
            if is_proven:
                self._done.peer = source
            self._done.receive(data)
        elif self.is_client:
            for handshake in tuple(self._handshakes.values()):
                handshake.receive(data)
        else:
            known = self._moved(data, source) if is_proven else self._handshakes.get(source)
            (known or self._begin(source)).receive(data)

    def close(self) -> None:
        """Forget everything; the peer learns of the end by other ways."""
        self.is_closed = True
        if self._retry is not None:
            self._retry.cancel()
        for handshake in self._handshakes.values():
            handshake.close()
        self._handshakes.clear()

    def _moved(self, data: bytes, source: Address) -> Handshake | None:
        """The handshake that goes on from this address: the one of the same hello, or the newest."""
        random = client_random(data)
        known = self._handshakes.get(source)
        others = [each for each in self._handshakes.values() if random in (None, each.client_random)]
        if not others or (known in others and random is None):
            return known
        handshake = others[-1]
        self._handshakes = {at: each for at, each in self._handshakes.items() if each is not handshake}
        self._handshakes[source] = handshake
        handshake.peer = source
        return handshake

    def _begin(self, peer: Address) -> Handshake:
        if len(self._handshakes) >= MOST_HANDSHAKES:
            oldest = next(iter(self._handshakes))
            self._handshakes.pop(oldest).close()
        handshake = Handshake(
            self._certificate, peer, is_client=self.is_client, send=self._send, ended=self._ended
        )
        self._handshakes[peer] = handshake
        return handshake

    def _ended(self, handshake: Handshake, problem: str | None) -> None:
        self._handshakes = {at: each for at, each in self._handshakes.items() if each is not handshake}
        suite = SRTP_PROFILES.get(handshake.connection.get_selected_srtp_profile())
        if problem is None and suite is None:
            problem = "it knows no SRTP profile of ours"
        elif problem is None and not self._is_expected(handshake):
            problem = "its certificate is not the one that its description names"
        if problem is not None or suite is None:
            self._failed(handshake, problem)
        elif not self.is_done:
            self._done = handshake
            for other in self._handshakes.values():
                other.close()
            self._handshakes.clear()
            self._on_keys(self._keys(handshake, suite), handshake.peer)

    def _failed(self, handshake: Handshake, problem: str | None) -> None:
        self.failures += 1
        if handshake.is_done and self.failures == 1:
            log.warning("a DTLS peer at %s is refused: %s", handshake.peer, problem)
        else:
            log.debug("a DTLS handshake with %s failed: %s", handshake.peer, problem)
        if self.is_client and not self.is_closed and not self.is_done:
            self._retry = self._loop.call_later(_RETRY_SECONDS, self._again, handshake.peer)

    def _again(self, peer: Address) -> None:
        self._retry = None
        self.start(peer)

    def _is_expected(self, handshake: Handshake) -> bool:
        shown = handshake.connection.get_peer_certificate(as_cryptography=True)
        return shown is not None and any(
            fingerprint_of(shown, each.algorithm) == each for each in self._expected.fingerprints
        )

    def _keys(self, handshake: Handshake, suite: str) -> SrtpKeys:
        """RFC 5764 section 4.2: two keys, then two salts, those of the client first."""
        both = KEY_BYTES[suite]
        key_bytes = both - (_GCM_SALT_BYTES if "GCM" in suite else _SALT_BYTES)
        octets = handshake.connection.export_keying_material(_EXPORT_LABEL, 2 * both)
        keys, salts = octets[: 2 * key_bytes], octets[2 * key_bytes :]
        half = len(salts) // 2
        client, server = keys[:key_bytes] + salts[:half], keys[key_bytes:] + salts[half:]
        return SrtpKeys(suite, client, server) if self.is_client else SrtpKeys(suite, server, client)
