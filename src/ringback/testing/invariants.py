# SPDX-License-Identifier: Apache-2.0
"""What must be true of every run, whatever the network did? One function a rule, over the ledger.

Each returns sentences that say what was violated and where; none when all is well. `INVARIANTS` is the table.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator

from ringback.sip.message.message import Request, Response
from ringback.testing.ledger import Entry, Ledger

#: 64 * T1, and what the network may add.
TRANSACTION_TIME = 32.0
SLACK = 3.0
#: How long a phone may ring (the setting `ring_time`), and until its CANCEL is given up.
LONGEST_RINGING = 120.0 + TRANSACTION_TIME
SERVER = "server"
#: Timer A lets an INVITE be sent so often (RFC 3261 17.1.1.2); others are sent more often.
ALL_SENDINGS = 7
#: The header field that our own phones number their calls with.
CALL_NUMBER = "X-Plan"
NO_RESPONSE = "no final response"


def every_request_gets_one_final_response(ledger: Ledger) -> Iterator[str]:
    """At its originator, in time: a client transaction ends in exactly one way (RFC 3261 17.1)."""
    finals: dict[tuple[str, tuple[str, str]], list[Entry]] = defaultdict(list)
    for entry, response in ledger.responses(is_sent=False):
        if response.status >= 200:
            finals[entry.who, entry.transaction].append(entry)
    for entry, request in _first_sent(ledger):
        if entry.who == SERVER or request.method == "ACK":
            continue
        answers = finals[entry.who, entry.transaction]
        kinds = {_verdict(answer.message) for answer in answers}
        limit = TRANSACTION_TIME + SLACK + (LONGEST_RINGING if request.method == "INVITE" else 0.0)
        if not answers:
            yield f"{NO_RESPONSE}: {entry}"
        elif len(kinds) > 1:
            yield f"final responses {sorted(kinds)} to one request: {entry}"
        elif answers[0].now - entry.now > limit:
            yield f"a final response after {answers[0].now - entry.now:.1f} s: {entry}"


def no_second_final_response_upstream(ledger: Ledger) -> Iterator[str]:
    """What was sent as the outcome of a transaction stays its outcome (RFC 3261 16.7 step 5)."""
    sent: dict[tuple[object, ...], set[str]] = defaultdict(set)
    for entry, response in ledger.responses(is_sent=True):
        # A CANCEL that comes again when its INVITE is forgotten gets 481 after its 200.
        if response.status >= 200 and response.cseq.method != "CANCEL":
            kinds = sent[entry.who, entry.life, entry.transaction, response.call_id, entry.flow.remote]
            kinds.add(_verdict(response))
            if len(kinds) > 1:
                yield f"second final response {sorted(kinds)}: {entry}"


def ack_is_never_answered(ledger: Ledger) -> Iterator[str]:
    """RFC 3261 17: there is no response to ACK."""
    for entry, response in ledger.responses():
        if response.cseq.method == "ACK":
            yield f"a response to ACK: {entry}"


def goodbyes_are_never_refused_for_load(ledger: Ledger) -> Iterator[str]:
    """A BYE or CANCEL makes load less."""
    for entry, response in ledger.responses(is_sent=True):
        if response.status == 503 and response.cseq.method in ("BYE", "CANCEL"):
            yield f"503: {entry}"


def cseq_increases(ledger: Ledger) -> Iterator[str]:
    """RFC 3261 12.2.1.1 and 8.1.3.5: strictly, for each new request of one sender in one dialog."""
    latest: dict[tuple[str, ...], int] = {}
    for entry, request in _first_sent(ledger):
        if entry.who == SERVER or request.method in ("ACK", "CANCEL"):
            continue
        key = (entry.who, request.call_id, request.from_.tag or "", request.to.tag or "")
        if request.cseq.number <= latest.get(key, -1):
            yield f"CSeq {request.cseq.number} after {latest[key]}: {entry}"
        latest[key] = request.cseq.number


def branches_are_unique(ledger: Ledger) -> Iterator[str]:
    """RFC 3261 8.1.1.7: the same branch means the same request."""
    seen: dict[tuple[str, str], tuple[str, int]] = {}
    for entry, request in ledger.requests(is_sent=True):
        key = (entry.who, request.top_via.branch or "")
        identity = (request.call_id, request.cseq.number)
        if seen.setdefault(key, identity) != identity:
            yield f"branch used for {seen[key]} and {identity}: {entry}"


def max_forwards_decreases(ledger: Ledger) -> Iterator[str]:
    """RFC 3261 16.6 step 3."""
    received: dict[tuple[str, str, str], int] = {}
    for entry, request in ledger.requests():
        key = (request.call_id, str(request.cseq), request.from_.tag or "")
        if entry.who != SERVER or request.method == "CANCEL":
            continue
        if not entry.is_sent:
            received[key] = request.max_forwards or 0
        elif key in received and _is_forwarded(request) and request.max_forwards != received[key] - 1:
            yield f"Max-Forwards {request.max_forwards} after {received[key]}: {entry}"


def only_authenticated_calls_are_forwarded(ledger: Ledger) -> Iterator[str]:
    """A request that begins something reaches a phone only with the proof of its sender.

    A bridge makes a call of its own for it: what both halves share is the number of the call.
    """
    proved: set[tuple[str, object]] = set()
    for entry, request in ledger.requests():
        if entry.who != SERVER or request.to.tag is not None or request.method in ("ACK", "CANCEL"):
            continue
        key = (request.call_id, request.cseq.number)
        number = (CALL_NUMBER, request.headers.get(CALL_NUMBER))
        if not entry.is_sent:
            if "Proxy-Authorization" in request.headers:
                proved |= {key, number} if number[1] else {key}
        elif key not in proved and number not in proved:
            yield f"forwarded without proof: {entry}"


def nonce_counts_are_accepted_once(ledger: Ledger) -> Iterator[str]:
    """RFC 7616 3.4: the same nonce count proves nothing a second time."""
    accepted: dict[tuple[str, str], tuple[str, int]] = {}
    forwarded = {
        (request.call_id, request.cseq.number)
        for entry, request in ledger.requests(is_sent=True)
        if entry.who == SERVER
    }
    for entry, request in ledger.requests(is_sent=False):
        identity = (request.call_id, request.cseq.number)
        if entry.who != SERVER or identity not in forwarded:
            continue
        for credentials in request.credentials:
            key = (credentials.parameters.get("nonce", ""), credentials.parameters.get("nc", ""))
            if accepted.setdefault(key, identity) != identity:
                yield f"nonce count accepted for {accepted[key]} and {identity}: {entry}"


INVARIANTS: tuple[Callable[[Ledger], Iterator[str]], ...] = (
    every_request_gets_one_final_response,
    no_second_final_response_upstream,
    ack_is_never_answered,
    goodbyes_are_never_refused_for_load,
    cseq_increases,
    branches_are_unique,
    max_forwards_decreases,
    only_authenticated_calls_are_forwarded,
    nonce_counts_are_accepted_once,
)


def violations(ledger: Ledger, *, is_broken: bool = False) -> list[str]:
    """Every sentence of every invariant; on a network that broke, requests may stay without a response."""
    found = [f"{rule.__name__}: {sentence}" for rule in INVARIANTS for sentence in rule(ledger)]
    return [sentence for sentence in found if not (is_broken and NO_RESPONSE in sentence)]


def is_unlucky(ledger: Ledger) -> bool:
    """True when some request was sent as often as the timers say and no answer came: loss can do that.

    An INVITE is sent 7 times: with 10 % loss each way this happens to 9 of a million.
    """
    sendings = Counter(
        (entry.who, entry.transaction)
        for entry, request in ledger.requests(is_sent=True)
        if request.method != "ACK"
    )
    answered = {(entry.who, entry.transaction) for entry, _response in ledger.responses(is_sent=False)}
    return any(count >= ALL_SENDINGS and key not in answered for key, count in sendings.items())


def _first_sent(ledger: Ledger) -> Iterator[tuple[Entry, Request]]:
    """Each request once, without its retransmissions."""
    seen: set[tuple[str, str, str]] = set()
    for entry, request in ledger.requests(is_sent=True):
        key = (entry.who, request.top_via.branch or "", request.method)
        if key not in seen:
            seen.add(key)
            yield entry, request


def _verdict(message: Request | Response) -> str:
    """2xx are one kind: a forked call may be answered twice (RFC 3261 13.2.2.4)."""
    assert isinstance(message, Response)
    return "2xx" if message.status < 300 else str(message.status)


def _is_forwarded(request: Request) -> bool:
    """An ACK to a failure is the hop's own (RFC 3261 17.1.1.3)."""
    return len(request.vias) > 1
