# SPDX-License-Identifier: Apache-2.0
"""What does a transport say of itself in offers and answers, and which keys and names are meant by it?

Pure of effects: what an answer would say is asked before anything changes. RFC 4568 (SDES), 8643
(opportunistic), 5763 and 8842 (DTLS), 8839 (ICE), 5761 (one port for RTP and RTCP).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from ringback.media.certificate import Certificate, certificate_of_this_process
from ringback.media.ice import IceCredentials
from ringback.sdp.addresses import is_private
from ringback.sdp.crypto import SUITES, CryptoLine, agreed_crypto, answering_crypto
from ringback.sdp.dtls import Setup, answering_setup
from ringback.sdp.errors import UnacceptableSession, WarnCode
from ringback.sdp.ice import Candidate, IceDescription
from ringback.sdp.local_stream import LocalStream
from ringback.sdp.security import Security
from ringback.sdp.stream import StreamDescription
from ringback.sip.flow import Address

#: Suites with a tag of 32 bits are taken, not offered.
_OFFERED_SUITES = tuple(name for name in SUITES if not name.endswith("_32"))
#: RFC 8445 section 5.1.2.1: a host candidate of the first component, and of the second.
_FIRST_PRIORITY = 2_130_706_431


@dataclass(slots=True)
class SelfDescription:
    """Our wishes, and the secrets that belong to them."""

    security: Security
    wants_ice: bool
    wants_mux: bool
    random_bytes: Callable[[int], bytes] = field(repr=False)
    certificate: Certificate | None = field(default=None, repr=False)
    #: Where peers reach us.
    rtp: Address = field(default_factory=lambda: Address("", 0))
    rtcp: Address | None = None
    #: Once this transport has been the server or the client of a handshake it stays that (RFC 8842 5.5).
    dtls_role: Setup | None = None
    credentials: IceCredentials = field(init=False, repr=False)
    _protocol: str = ""
    _remote_ufrag: str | None = None
    _restart: tuple[str, IceCredentials] | None = field(default=None, repr=False)
    _keys: dict[str, bytes] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self.credentials = IceCredentials.make(self.random_bytes)

    def adopt(self, remote: StreamDescription) -> None:
        """Wish for what the peer offers."""
        self.security = remote.security
        self.wants_ice = _has_full_ice(remote)
        self.wants_mux = remote.rtcp_mux

    def offer(self) -> LocalStream:
        """All that we can do."""
        is_dtls = self.security is Security.DTLS
        return LocalStream(
            self.rtp,
            rtcp=self.rtcp,
            protocol=self._protocol or self.security.protocol(),
            rtcp_mux=self.wants_mux or self.rtcp is None,
            crypto=self._lines(_OFFERED_SUITES) if self._has_crypto else (),
            fingerprint=self.own_certificate.fingerprint if is_dtls else None,
            setup=Setup.ACTPASS,
            ice=self._ice(self.credentials, has_two=self.rtcp is not None) if self.wants_ice else None,
        )

    def answer(self, remote: StreamDescription, *, signalling_host: str | None = None) -> LocalStream:
        """What to say to the offer of `remote`. UnacceptableSession when we cannot agree."""
        crypto = self._answering_line(remote)
        has_ice = self.wants_ice and _has_full_ice(remote)
        has_mux = self.wants_mux and remote.rtcp_mux
        if self.rtcp is None and not (has_ice and has_mux):
            raise _refusal("this port takes only streams with ICE and rtcp-mux")
        is_dtls = self.security is Security.DTLS
        return LocalStream(
            self.rtp,
            rtcp=None if has_mux else self.rtcp,
            protocol=remote.protocol,
            rtcp_mux=has_mux,
            crypto=(crypto,) if crypto else (),
            fingerprint=self.own_certificate.fingerprint if is_dtls else None,
            setup=self._answering_role(remote, signalling_host),
            ice=self._ice(self.credentials_for(remote), has_two=not has_mux) if has_ice else None,
        )

    def agreed_keys(
        self, own: LocalStream, remote: StreamDescription
    ) -> tuple[CryptoLine, CryptoLine] | None:
        """Our line of a=crypto and the peer's; None when packets stay plain. UnacceptableSession likewise."""
        if self.security is Security.DTLS:
            if remote.dtls is None:
                raise _refusal("the answer names no certificate for DTLS-SRTP")
            return None
        agreed = agreed_crypto(own.crypto, remote.crypto) if self._has_crypto else None
        if agreed is None and self.security is Security.SDES:
            raise _refusal("no key for SRTP was agreed on")
        return agreed

    def credentials_for(self, remote: StreamDescription) -> IceCredentials:
        """New ones when the peer's offer starts ICE anew (RFC 8445 section 9)."""
        if remote.ice is None or self._remote_ufrag in (None, remote.ice.ufrag):
            return self.credentials
        if self._restart is None or self._restart[0] != remote.ice.ufrag:
            self._restart = (remote.ice.ufrag, IceCredentials.make(self.random_bytes))
        return self._restart[1]

    def agreed(self, own: LocalStream, remote: StreamDescription, *, is_offerer: bool) -> bool:
        """Remember what the next offer must keep. True when the stream has ICE now."""
        if not is_offerer:
            self.credentials = self.credentials_for(remote)
        if remote.ice is not None:
            self._remote_ufrag = remote.ice.ufrag
        self._protocol = own.protocol if is_offerer else remote.protocol
        return own.ice is not None and _has_full_ice(remote)

    def forget_key(self, suite: str) -> None:
        """The suite is not in use any more: its key must not come back with its counters at zero."""
        self._keys.pop(suite, None)

    @property
    def own_certificate(self) -> Certificate:
        """The one we show."""
        return self.certificate or certificate_of_this_process()

    @property
    def _has_crypto(self) -> bool:
        return self.security in (Security.SDES, Security.OPPORTUNISTIC)

    def _answering_line(self, remote: StreamDescription) -> CryptoLine | None:
        mine, theirs = self.security, remote.security
        if (mine is Security.DTLS) != (theirs is Security.DTLS):
            raise _refusal("DTLS-SRTP is offered" if theirs is Security.DTLS else "DTLS-SRTP is required")
        if theirs is Security.DTLS:
            if remote.dtls is None:
                raise _refusal("DTLS-SRTP is offered without a certificate's fingerprint")
            return None
        line = answering_crypto(remote.crypto, self._lines(tuple(SUITES))) if self._has_crypto else None
        if line is None and Security.SDES in (mine, theirs):
            raise _refusal("no common SRTP suite" if remote.crypto else "SRTP is required at one end only")
        return line

    def _answering_role(self, remote: StreamDescription, signalling_host: str | None) -> Setup:
        offered = remote.dtls.setup if remote.dtls else Setup.ACTPASS
        if offered is not Setup.ACTPASS:
            return answering_setup(offered)
        if self.dtls_role is not None:
            return self.dtls_role
        if remote.ice is None and _is_hidden(remote, signalling_host):
            return Setup.PASSIVE  # only it can reach us
        return answering_setup(offered)

    def _lines(self, suites: tuple[str, ...]) -> tuple[CryptoLine, ...]:
        for name in suites:
            if name not in self._keys:
                self._keys[name] = self.random_bytes(SUITES[name].secret_bytes)
        return tuple(CryptoLine(tag, name, self._keys[name]) for tag, name in enumerate(suites, start=1))

    def _ice(self, credentials: IceCredentials, *, has_two: bool) -> IceDescription:
        first = Candidate("1", 1, _FIRST_PRIORITY, self.rtp)
        candidates = [first]
        if has_two and self.rtcp is not None:
            candidates.append(replace(first, component=2, priority=_FIRST_PRIORITY - 1, address=self.rtcp))
        return IceDescription(credentials.ufrag, credentials.password, tuple(candidates), is_lite=True)


def _has_full_ice(remote: StreamDescription) -> bool:
    """Two lite agents never check each other: their descriptions must do (RFC 8445 section 6.1.1)."""
    return remote.ice is not None and not remote.ice.is_lite


def _is_hidden(remote: StreamDescription, signalling_host: str | None) -> bool:
    """True for a peer behind a NAT."""
    return (
        remote.rtp is not None
        and bool(signalling_host)
        and signalling_host != remote.rtp.host
        and is_private(remote.rtp.host)
    )


def _refusal(detail: str) -> UnacceptableSession:
    return UnacceptableSession(detail, warning=WarnCode.INCOMPATIBLE_TRANSPORT_PROTOCOL, section="RFC 3264 6")
