# SPDX-License-Identifier: Apache-2.0
"""Who is sent away before anybody looks at what he wants? New work for which there is no room, with a 503.

What may be sent away, and from whom, is policy; it comes as data (`rule`, `full`, `known`), and what only
policy can decide is asked back. Here is done what must be cheap: glancing, remembering, and moving octets.
"""

import re
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from typing import Protocol, TypeVar

from ringback.kernel._reference_datagrams import DatagramBatch, Remote
from ringback.kernel._reference_edit import respond
from ringback.kernel._reference_peek import peek
from ringback.kernel._reference_values import vias


class Way(Protocol):
    """What is asked of a flow."""

    @property
    def remote(self) -> Remote: ...
    @property
    def is_reliable(self) -> bool: ...


AnyWay = TypeVar("AnyWay", bound=Way)

LARGEST_PAYLOAD = 65_507
#: No number that people dial for help is longer, with what stands around it.
LONGEST_NUMBER = 64
#: What becomes of a message.
UNREADABLE, UNDERWAY, UNDECIDED, ABSORBED, REPEATED, REFUSED, NEW = range(7)
#: The rows of the table of lanes, and its columns: who is a stranger, a trunk, known.
IS_CALL, HAS_CREDENTIALS, IS_OTHER = 0, 3, 6
STRANGER, TRUNK, KNOWN = range(3)

_UNAVAILABLE = b"SIP/2.0 503 Service Unavailable"
_ENDING = frozenset({b"BYE", b"PRACK"})
_THROTTLING = re.compile(rb";[ \t]*oc", re.IGNORECASE)
_VIA = re.compile(rb"\r\nv(?:ia)?[ \t]*+:[ \t]*+([^\r\n]*+)", re.IGNORECASE)
_TO = re.compile(rb"\r\nto: ([^\r]*)", re.IGNORECASE)
_NO_EMERGENCY = re.compile(rb"INVITE sips?:([^@ ;\0]{0,%d})([@ ])" % LONGEST_NUMBER)
_MASK = (1 << 64) - 1
_PASSED_ON = (b"SIP/", b"BYE ", b"CANCEL ")


class Door:
    """Sends away what has no chance.

    refused, known:
        two sets that take turns: numbers of what was refused lately (at most `limit` in the first), and
        addresses that proved who they are
    lanes:
        how many there are
    """

    def __init__(
        self,
        secret: bytes,
        refused: list[set[int]],
        known: Sequence[AbstractSet[Remote]],
        limit: int,
        lanes: int,
    ) -> None:
        if len(secret) < 16:
            raise ValueError("a secret of 16 octets")
        if len(refused) != 2 or len(known) != 2:
            raise ValueError("two sets that take turns")
        self._secret = secret
        #: What waits, by its number.
        self.waiting: dict[int, object] = {}
        self.refused, self.known, self._limit = refused, known, limit
        #: For each lane the hosts of which it takes no more for now.
        self.full: tuple[set[str], ...] = tuple(set() for _ in range(lanes))
        self.rule(lanes=bytes(9), numbers=frozenset(), trunks=frozenset(), ends=(b"\r\n",), last_end=b"\r\n")
        self.seen = self.absorbed = self.repeated = self.refusals = self.unreadable = 0

    def rule(
        self,
        *,
        lanes: bytes,
        numbers: frozenset[bytes],
        trunks: frozenset[str],
        ends: tuple[bytes, ...],
        last_end: bytes,
    ) -> None:
        """The policy.

        lanes:
            a number for calls, requests with credentials and others; each from strangers, trunks, the known
        numbers:
            whom to call for help
        ends:
            the last lines of a refusal, one of which is taken by its tag
        last_end:
            the same for trunks, and for what came through a proxy
        """
        if len(lanes) != 9 or max(lanes) >= len(self.full) or not ends:
            raise ValueError("nine lanes that there are, and an end")
        self._lanes, self._numbers, self._trunks = lanes, numbers, trunks
        self._ends, self._last_end = ends, last_end

    @property
    def is_shut(self) -> bool:
        """True while something may be sent away."""
        return any(self.full) or bool(self.refused[0] or self.refused[1])

    def sort(
        self,
        batch: Sequence[tuple[bytes, AnyWay]],
        place: Callable[[tuple[bytes, AnyWay], int, int], bool],
        other: Callable[[tuple[bytes, AnyWay], int], object],
        odd: Callable[[tuple[bytes, AnyWay]], object],
    ) -> tuple[list[tuple[bytes, AnyWay]], list[tuple[bytes, AnyWay]]]:
        """(what is underway, answers to those who are sent away).

        place:
            takes new work for a lane, with its number; False when there is no room for more of its host
        other:
            takes what only policy knows the lane of, and a CANCEL of what waits
        odd:
            refuses what is not plain
        """
        underway: list[tuple[bytes, AnyWay]] = []
        answers: list[tuple[bytes, AnyWay]] = []
        for message in batch:
            data, flow = message
            verdict, key, lane = self._judge(data, flow.remote)
            self._count(verdict)
            if verdict == UNDERWAY:
                underway.append(message)
            elif verdict == UNDECIDED:
                other(message, key)
            elif verdict == NEW and not place(message, lane, key):
                self.full[lane].add(flow.remote[0])
                verdict = REFUSED
            if verdict == REFUSED:
                self._refuse(message, key, answers, odd)
        return underway, answers

    def refuse(
        self, batch: Sequence[tuple[bytes, AnyWay]], odd: Callable[[tuple[bytes, AnyWay]], object]
    ) -> list[tuple[bytes, AnyWay]]:
        """Answers to all of these, which are remembered."""
        answers: list[tuple[bytes, AnyWay]] = []
        for message in batch:
            glance = peek(message[0])
            if glance is None:
                odd(message)
            else:
                self._refuse(message, _key(glance[2], message[1].remote), answers, odd)
        return answers

    def receive(self, datagrams: DatagramBatch) -> tuple[list[tuple[bytes, Remote]], int, int]:
        """(what is handed on, how many came, how many were answered at once)."""
        batch = datagrams.receive()
        if not self.is_shut:
            return batch, len(batch), 0
        handed_on: list[tuple[bytes, Remote]] = []
        answers: list[tuple[bytes, Remote]] = []
        for data, remote in batch:
            verdict, key, _ = UNDERWAY, 0, 0
            if len(data) >= 12 and not data.startswith(_PASSED_ON):
                verdict, key, _ = self._judge(data, remote)
            if verdict == REFUSED:
                found = self._answer(data, remote, is_datagram=True)
                if found is None or len(found[0]) > LARGEST_PAYLOAD:
                    verdict = UNDERWAY
                else:
                    self._remember(key)
                    self.refusals += 1
                    answers.append((found[0], (remote[0], found[1])))
            if verdict in (REFUSED, ABSORBED, REPEATED):
                self._count(verdict)
            else:
                handed_on.append((data, remote))
        return handed_on, len(batch), datagrams.send(answers)

    # --- inside

    def _count(self, verdict: int) -> None:
        self.seen += 1
        self.absorbed += verdict == ABSORBED
        self.repeated += verdict == REPEATED
        self.unreadable += verdict == UNREADABLE

    def _judge(self, data: bytes, remote: Remote) -> tuple[int, int, int]:
        """What becomes of a message, its number and its lane."""
        glance = peek(data)
        if glance is None:
            return UNREADABLE, 0, 0
        method, has_to_tag, branch = glance
        if not method or method in _ENDING:
            return UNDERWAY, 0, 0
        key = _key(branch, remote)
        if method == b"ACK":
            return (ABSORBED if self._was_refused(key) else UNDERWAY), key, 0
        if method == b"CANCEL":
            return (UNDECIDED if key in self.waiting else UNDERWAY), key, 0
        if has_to_tag:
            return UNDERWAY, 0, 0
        row = self._row(data, method)
        if row is None:
            return UNDECIDED, key, 0
        lane = self._lanes[row + self._standing(remote)]
        if key in self.waiting:
            return REPEATED, key, lane
        is_refused = self._was_refused(key) or remote[0] in self.full[lane]
        return (REFUSED if is_refused else NEW), key, lane

    def _row(self, data: bytes, method: bytes) -> int | None:
        """Of the table of lanes; None when only policy can tell."""
        if method == b"INVITE":
            found = _NO_EMERGENCY.match(data)
            is_sure = found is not None and (found[2] == b" " or found[1] not in self._numbers)
            return IS_CALL if is_sure else None
        if method == b"OPTIONS" and b"@" not in data[: data.find(b" ", len(b"OPTIONS "))]:
            return None
        return HAS_CREDENTIALS if method == b"REGISTER" and b"\nAuthorization:" in data else IS_OTHER

    def _standing(self, remote: Remote) -> int:
        if remote in self.known[0] or remote in self.known[1]:
            return KNOWN
        return TRUNK if remote[0] in self._trunks else STRANGER

    def _was_refused(self, key: int) -> bool:
        return key in self.refused[0] or key in self.refused[1]

    def _remember(self, key: int) -> None:
        if not key:
            return
        if len(self.refused[0]) >= self._limit:
            self.refused[:] = [set(), self.refused[0]]
        self.refused[0].add(key)

    def _refuse(
        self,
        message: tuple[bytes, AnyWay],
        key: int,
        answers: list[tuple[bytes, AnyWay]],
        odd: Callable[[tuple[bytes, AnyWay]], object],
    ) -> None:
        data, flow = message
        self._remember(key)
        found = self._answer(data, flow.remote, is_datagram=not flow.is_reliable)
        if found is None or (found[1] != flow.remote[1] and not flow.is_reliable):
            odd(message)
        else:
            self.refusals += 1
            answers.append((found[0], flow))

    def _answer(self, data: bytes, remote: Remote, *, is_datagram: bool) -> tuple[bytes, int] | None:
        """A 503, and to which port it goes (RFC 3261 18.2.2, RFC 3581 4); None to what is not plain."""
        glance = peek(data)
        lines = _VIA.findall(data, 0, data.find(b"\r\n\r\n") + 2)
        if glance is None or not lines or _THROTTLING.search(lines[0]):
            return None
        tag = keyed_hash(self._secret, glance[2] or data)
        is_proxied = len(lines) > 1 or b"," in lines[0] or remote[0] in self._trunks
        at_end = self._last_end if is_proxied else self._ends[(tag >> 48) % len(self._ends)]
        text, (host, port) = f"{tag:016x}", remote
        answer = respond(data, _UNAVAILABLE, to_tag=text, at_end=at_end, host=host, port=port)
        # Who wrote this tag into To himself is odd enough, too.
        if answer is None or not _TO.findall(answer)[0].endswith(b";tag=" + text.encode("ascii")):
            return None
        hop = vias(lines[0].rstrip(b" \t"))[0]
        return answer, port if hop.rport >= 0 or not is_datagram else hop.port or 5060


def keyed_hash(secret: bytes, data: bytes) -> int:
    """64 bits that nobody can know without the secret, which has at least 16 octets.

    SipHash-2-4 (Aumasson and Bernstein, 2012).
    """
    if len(secret) < 16:
        raise ValueError("a secret of 16 octets")
    low, high = int.from_bytes(secret[:8], "little"), int.from_bytes(secret[8:16], "little")
    state = (
        low ^ 0x736F6D6570736575,
        high ^ 0x646F72616E646F6D,
        low ^ 0x6C7967656E657261,
        high ^ 0x7465646279746573,
    )
    padded = data + bytes(-(len(data) + 1) % 8) + bytes((len(data) & 255,))
    for start in range(0, len(padded), 8):
        word = int.from_bytes(padded[start : start + 8], "little")
        a, b, c, d = state
        a, b, c, d = _mixed(*_mixed(a, b, c, d ^ word))
        state = a ^ word, b, c, d
    a, b, c, d = state
    c ^= 0xFF
    for _ in range(4):
        a, b, c, d = _mixed(a, b, c, d)
    return a ^ b ^ c ^ d


def _mixed(a: int, b: int, c: int, d: int) -> tuple[int, int, int, int]:
    """One SipRound."""
    a, c = a + b & _MASK, c + d & _MASK
    b, d = (b << 13 & _MASK | b >> 51) ^ a, (d << 16 & _MASK | d >> 48) ^ c
    a = a << 32 & _MASK | a >> 32
    c, a = c + b & _MASK, a + d & _MASK
    b, d = (b << 17 & _MASK | b >> 47) ^ c, (d << 21 & _MASK | d >> 43) ^ a
    return a, b, c << 32 & _MASK | c >> 32, d


def _key(branch: bytes, remote: Remote) -> int:
    """The number of a request, its repetitions, its CANCEL and the ACK to its refusal; 0 without a branch."""
    return hash((branch, remote[0])) if branch else 0
