# SPDX-License-Identifier: Apache-2.0
"""Is this request from who it says? Challenges and their verification: RFC 7616, RFC 8760, RFC 3261 section
22.

Nonces are not stored. A nonce is the time, a serial number and a keyed hash over both, the realm and the
source it was given to; whoever brings it back proves that we made it. What is stored is one window of used
nonce counts for each nonce that was used with a right password, in a table with a limit: nobody without an
account makes it grow, and when it overflows the oldest nonces become stale instead of replayable.

An unknown user gets the same answer as a wrong password and costs the same work, but for half a
microsecond, and 2 for each further secret of a user who has some.
"""

from __future__ import annotations

import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ringback.sip.digest import (
    ALGORITHMS,
    Algorithm,
    Proof,
    algorithm_named,
    digest_response,
    encoded,
    printed,
)
from ringback.sip.errors import PeerError
from ringback.sip.message.credentials import Credentials
from ringback.sip.message.uri import SipUri, parse_uri

#: User and algorithm name (without -sess) -> HA1, or None if there is no such user or no such hash.
StoredSecret = Callable[[str, str], str | None]

#: The same -> name and HA1 of each further secret of the user: one for each device.
FurtherSecrets = Callable[[str, str], Iterable[tuple[str, str]]]

#: Nonce counts further behind the highest one than this are refused as replays.
WINDOW = 64
_ALL_BITS = (1 << WINDOW) - 1

#: The longest claim that is looked at; the parser's line limit is above it.
CLAIM_LIMIT = 4096


@dataclass(slots=True)
class Verdict:
    """`user` is set when the credentials are right and fresh. `stale`: right, but the nonce is used up.

    `detail` is for the log; it must not reach the peer, who could learn from it which users exist. `device`
    is the name of the further secret that was right, "" for the user's own.
    """

    user: str | None
    stale: bool
    detail: str
    device: str = ""


@dataclass(slots=True)
class _CountWindow:
    """Which nonce counts of one nonce, given to `source`, were used: the highest, and a bit for each of the
    64 before it.
    """

    source: str = ""
    highest: int = 0
    bits: int = 0

    def accepts(self, count: int) -> bool:
        """Take `count` if it was never taken. Requests may overtake each other, so order is no rule."""
        if count > self.highest:
            step = count - self.highest
            self.bits = (self.bits << step) & _ALL_BITS | 1 if step < WINDOW else 1
            self.highest = count
            return True
        position = self.highest - count
        if position >= WINDOW or self.bits >> position & 1:
            return False
        self.bits |= 1 << position
        return True


class DigestServer:
    """Challenges and verifies for one realm. `secret` is random, at least 16 bytes, and new in each
    process.

    `algorithms` are offered in this order, strongest first (RFC 8760 2.3); what is not offered is not
    accepted. Credentials without qop (RFC 2069) are taken unless auth-int is demanded; then each nonce
    serves once.
    """

    __slots__ = (
        "_accepted_qop",
        "_algorithms",
        "_challenges",
        "_forgotten_until",
        "_keyed",
        "_offered",
        "_qop",
        "_serial",
        "_windows",
        "nonce_lifetime",
        "realm",
        "window_limit",
    )

    def __init__(
        self,
        secret: bytes,
        *,
        realm: str,
        algorithms: Sequence[str] = ("SHA-256", "MD5"),
        nonce_lifetime: float = 300.0,
        qop: Sequence[str] = ("auth",),
        window_limit: int = 65536,
    ) -> None:
        if len(secret) < 16:
            raise ValueError("the secret of a DigestServer has at least 16 bytes")
        self.realm = realm
        self.nonce_lifetime = nonce_lifetime
        self.window_limit = window_limit
        #: Every seal is a copy of this hash, which knows the secret and the realm: 0.5 us, an HMAC 2.
        self._keyed = hashlib.blake2s(encoded(realm) + b"\0", key=_key(secret), digest_size=16)
        self._algorithms = tuple(ALGORITHMS[name.upper()] for name in algorithms)
        self._offered = {row.name: row for row in self._algorithms}
        self._qop = tuple(qop)
        self._accepted_qop = frozenset(qop) if self._qop == ("auth-int",) else frozenset((*qop, ""))
        self._serial = 0
        self._windows: OrderedDict[str, _CountWindow] = OrderedDict()  # the first used first
        self._forgotten_until = float("-inf")
        self._challenges = {
            stale: tuple(self._challenge(algorithm, stale=stale) for algorithm in self._algorithms)
            for stale in (False, True)
        }

    def challenges(self, source: str, *, now: float, stale: bool = False) -> list[str]:
        """The values for WWW-Authenticate or Proxy-Authenticate, one for each algorithm."""
        nonce = self._new_nonce(source, now)
        return [before + nonce + behind for before, behind in self._challenges[stale]]

    def challenge_lines(self, name: str, source: str, *, now: float, stale: bool, md5_only: bool) -> bytes:
        """The same as header lines called `name`: `md5_only` leaves out the others, if MD5 is offered."""
        nonce = self._new_nonce(source, now)
        texts = self._challenges[stale]
        if md5_only:
            rows = zip(self._algorithms, texts, strict=True)
            texts = tuple(text for algorithm, text in rows if algorithm.name == "MD5") or texts
        return encoded("".join([f"{name}: {before}{nonce}{behind}\r\n" for before, behind in texts]))

    def verify(  # noqa: PLR0917
        self,
        credentials: Credentials | Sequence[Credentials],
        method: str,
        request_uri: str,
        body: bytes,
        ha1_for: StoredSecret,
        source: str,
        *,
        now: float,
    ) -> Verdict:
        """Judge the credentials of a request; those for other realms are passed over (RFC 3261 22.3)."""
        for each in [credentials] if isinstance(credentials, Credentials) else credentials:
            if self.is_ours(each):
                return self.judge(each.parameters, method, request_uri, body, ha1_for, source, now=now)
        return Verdict(None, stale=False, detail="no credentials for this realm")

    def is_ours(self, credentials: Credentials) -> bool:
        """True for an answer to a challenge of our realm."""
        scheme = credentials.scheme
        return credentials.parameters.get("realm") == self.realm and (
            scheme == "Digest" or scheme.lower() == "digest"
        )

    def judge(  # noqa: PLR0917
        self,
        claim: Mapping[str, str],
        method: str,
        request_uri: str,
        body: bytes,
        ha1_for: StoredSecret,
        source: str,
        now: float,
        further: FurtherSecrets = lambda user, algorithm: (),
    ) -> Verdict:
        """Judge the parameters of credentials that are ours. `further` is asked when `ha1_for` does not fit:
        users with one secret cost what they did, each other secret costs 2 us.
        """
        proof = self._proof(claim, method, body)
        if isinstance(proof, str):
            return Verdict(None, stale=False, detail=proof)
        if proof.uri != request_uri and not is_same_target(proof.uri, request_uri):
            return Verdict(None, stale=False, detail="the digest was made for another URI")
        device = "" if self._is_right(claim, proof, ha1_for) else _right_one(claim, proof, further)
        if device is None:
            return Verdict(None, stale=False, detail="wrong user or password")
        count = _number_of(proof.nonce_count) if proof.qop else 1
        if not count:
            return Verdict(None, stale=False, detail="qop without a nonce count")
        problem = self._freshness(proof.nonce, count, source, now)
        if problem:
            return Verdict(None, stale=True, detail=problem)
        return Verdict(claim["username"], False, "", device)

    def made(self, nonce: str, source: str) -> bool:
        """True if we gave this nonce to this source: whoever brings it back can receive there."""
        if len(nonce) != 56 or not nonce.isascii():
            return False
        return hmac.compare_digest(nonce[24:], self._seal(nonce[:24], source))

    # --- nonces ---------------------------------------------------------------------------------

    def _new_nonce(self, source: str, now: float) -> str:
        self._serial = (self._serial + 1) & 0xFFFFFFFF
        stamp = f"{_milliseconds(now):016x}{self._serial:08x}"
        return stamp + self._seal(stamp, source)

    def _seal(self, stamp: str, source: str) -> str:
        seal = self._keyed.copy()
        seal.update(encoded(f"{stamp}{source}"))  # a stamp has always the same length
        return seal.hexdigest()

    def _freshness(self, nonce: str, count: int, source: str, now: float) -> str:
        """ "" if the nonce is ours, young and this count of it unused; else why not. Takes the count."""
        window = self._windows.get(nonce)
        is_ours = self.made(nonce, source) if window is None else window.source == source
        if not is_ours:
            return "a nonce that was not made here for this source"
        issued = _issued(nonce)
        if not now - self.nonce_lifetime <= issued <= now + 0.001:
            return "the nonce is too old"
        if window is None:
            if issued <= self._forgotten_until:
                return "the nonce was forgotten under load"
            window = self._new_window(nonce, source, now)
        return "" if window.accepts(count) else "this nonce count was used before"

    def _new_window(self, nonce: str, source: str, now: float) -> _CountWindow:
        """Room is made among the oldest; what leaves before its time cannot come back."""
        windows = self._windows
        while windows:
            oldest = next(iter(windows))
            issued = _issued(oldest)
            if len(windows) < self.window_limit and issued >= now - self.nonce_lifetime:
                break
            windows.popitem(last=False)
            self._forgotten_until = max(self._forgotten_until, issued)
        window = windows[nonce] = _CountWindow(source)
        return window

    # --- challenges and credentials ------------------------------------------------------------------

    def _challenge(self, algorithm: Algorithm, *, stale: bool) -> tuple[str, str]:
        """What stands before and behind the nonce."""
        rest = [("stale", "true", False)] if stale else []
        rest.append(("algorithm", algorithm.name, False))
        if self._qop:
            rest.append(("qop", ",".join(self._qop), True))
        rest.append(("charset", "UTF-8", False))
        behind = printed(rest).removeprefix("Digest ")
        return f'{printed([("realm", self.realm, True)])}, nonce="', f'", {behind}'

    def _proof(self, claim: Mapping[str, str], method: str, body: bytes) -> Proof | str:
        """What the digest should be made of, or what is wrong with the claim."""
        try:
            user, nonce, uri, given = claim["username"], claim["nonce"], claim["uri"], claim["response"]
        except KeyError:
            return "incomplete credentials"
        if not (user and nonce and uri and given and given.isascii()):
            return "incomplete credentials"
        qop, cnonce, count = claim.get("qop", ""), claim.get("cnonce", ""), claim.get("nc", "")
        if len(user) + len(nonce) + len(uri) + len(given) + len(cnonce) + len(count) > CLAIM_LIMIT:
            return "oversized credentials"
        name = claim.get("algorithm", "MD5")
        algorithm = self._offered.get(name) or self._offered_as(name)
        if algorithm is None:
            return "an algorithm that was not offered"
        if qop not in self._accepted_qop:
            qop = qop.lower()
            if qop not in self._accepted_qop:
                return "a qop that was not offered"
        if not qop:
            return Proof(algorithm, nonce, method, uri, body=body)
        if not cnonce:
            return "qop without a cnonce"
        return Proof(algorithm, nonce, method, uri, qop, count, cnonce, body)

    def _offered_as(self, name: str) -> Algorithm | None:
        """The algorithm, in whatever case its name is written."""
        algorithm = algorithm_named(name)
        return None if algorithm is None else self._offered.get(algorithm.name)

    def _is_right(self, claim: Mapping[str, str], proof: Proof, ha1_for: StoredSecret) -> bool:
        """Compare in constant time. A user without a secret is compared with a secret nobody can know, which
        takes 0.5 us longer than to find one.
        """
        user = claim["username"]
        stored = ha1_for(user, proof.algorithm.family)
        secret = self._seal("the secret of nobody: ", user) if stored is None else stored
        is_equal = hmac.compare_digest(claim["response"].lower(), digest_response(secret, proof))
        return is_equal and stored is not None


def _right_one(claim: Mapping[str, str], proof: Proof, further: FurtherSecrets) -> str | None:
    """The name of the secret the digest was made with. All are tried, so that time does not tell which."""
    given, found = claim["response"].lower(), None
    for name, secret in further(claim["username"], proof.algorithm.family):
        if hmac.compare_digest(given, digest_response(secret, proof)):
            found = name
    return found


def _number_of(nonce_count: str) -> int:
    """What eight hexadecimal digits say; 0 for anything else."""
    if len(nonce_count) != 8 or not nonce_count.isalnum():
        return 0
    try:
        return int.from_bytes(bytes.fromhex(nonce_count), "big")
    except ValueError:
        return 0


def is_same_target(uri: str, request_uri: str) -> bool:
    """RFC 7616 3.4.6: the digest's uri names the same resource as the Request-URI.

    Elements on the way add and drop parameters, so for SIP URIs user, host and port decide.
    """
    if uri == request_uri:
        return True
    try:
        claimed, requested = parse_uri(uri), parse_uri(request_uri)
    except PeerError:
        return False
    if not isinstance(claimed, SipUri) or not isinstance(requested, SipUri):
        return False
    return (claimed.user, claimed.host, claimed.port) == (requested.user, requested.host, requested.port)


def _key(secret: bytes) -> bytes:
    """As long as the keyed hash takes one."""
    return hashlib.sha256(secret).digest()


def _issued(nonce: str) -> float:
    return int(nonce[:16], 16) / 1000  # checked: hexadecimal, and sealed by us


def _milliseconds(now: float) -> int:
    return max(0, round(now * 1000))
