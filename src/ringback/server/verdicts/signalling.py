# SPDX-License-Identifier: Apache-2.0
"""Did the messages of this call arrive? RB-5xxx: no ACK, answers that get lost, addresses nobody reaches."""

from __future__ import annotations

from collections.abc import Iterator

from ringback.server.nat import is_numeric, is_reachable
from ringback.server.verdicts.diagnostic import Diagnostic, Verdict
from ringback.server.verdicts.story import Seen, Story, Transaction, host_of

#: A 2xx is repeated after 0.5, 1.5, 3.5 s and so on (13.3.1.4): so often is no accident any more.
REPEATED = 4
#: Repetitions of requests that got their answer, before it is said that packets are lost.
LOSSY = 3
#: Larger datagrams travel in pieces (RFC 3261 18.1.1), and many routers drop those.
LARGE = 1300

NO_ACK = Diagnostic(
    5001,
    "The answer was never acknowledged",
    "error",
    "The phone that calls gets the 200 and sends its ACK to the Contact in it. That address cannot be"
    " reached from where the phone is, or a router or firewall on the way swallows the ACK. The answer is"
    " repeated for 32 seconds, then the call is given up: people hear that their calls drop after half a"
    " minute.",
    "Make sure that the address in our Contact can be reached by this phone: set sip.advertise to the"
    " address that phones outside use. Switch off SIP ALG in the router, or let the phone use TLS.",
)
ACK_UNHEARD = Diagnostic(
    5002,
    "The other phone does not hear the acknowledgement",
    "error",
    "The phone that was called repeats its 200 although an ACK was sent to it, so the ACK does not"
    " arrive. It goes to the Contact that this phone gave, or along the Route.",
    "Look at the Contact of this phone: it must be an address that can be reached from here. Behind a NAT"
    " let it use rport and keep-alives, STUN, or TCP or TLS.",
)
NO_ANSWER_AT_ALL = Diagnostic(
    5003,
    "Nothing comes back",
    "error",
    "A request was repeated until the end and not one response came: the phone is gone, its router has"
    " closed the way, or a firewall drops the packets.",
    "See whether the phone is on and registered. Behind a NAT, a shorter nat.keepalive or TCP keeps the"
    " way open.",
)
ANSWERS_UNHEARD = Diagnostic(
    5004,
    "Our answers do not arrive",
    "error",
    "The same request comes again and again although it was answered each time: our responses get lost on"
    " the way to the phone.",
    "Responses go to where the request came from. A firewall between, or a router that rewrites SIP"
    " (ALG), is the usual reason; TLS on port 5061 passes both.",
)
PACKETS_LOST = Diagnostic(
    5005,
    "Packets of the signalling get lost",
    "warning",
    "Several requests had to be repeated before they were answered. The network loses packets, or one"
    " side is overloaded.",
    "Look at the line and the Wi-Fi of this phone. TCP or TLS repairs loss by itself.",
)
TOO_LARGE = Diagnostic(
    5006,
    "A message is too large for UDP",
    "error",
    "A message of more than 1300 octets travels over UDP in pieces, and routers and firewalls often drop"
    " pieces.",
    "Let the phone use TCP or TLS, or offer fewer codecs and candidates so that the message gets smaller.",
)
REWRITTEN = Diagnostic(
    5007,
    "A router rewrites SIP (SIP ALG)",
    "warning",
    "A message came in a form that no phone sends: part of its addresses were changed on the way. Home"
    " routers do so to help, and break calls.",
    "Turn off SIP ALG (also: SIP helper, SIP passthrough) in the router, or let the phone use TLS, which"
    " a router cannot read.",
)
PRIVATE_CONTACT = Diagnostic(
    5008,
    "A Contact that cannot be reached",
    "warning",
    "The phone says that it is at an address of its own private network, but it comes from somewhere else.",
    "Let the phone find its outside address (rport, STUN), or keep a connection open (TCP, TLS).",
)
SESSION_EXPIRED = Diagnostic(
    5009,
    "The session timer ended the call",
    "error",
    "Both sides had agreed (RFC 4028) to show a sign of life in time. None came from the one whose task"
    " it was, so the call was taken for dead. Typical are calls that end after 15 or 30 minutes.",
    "Update the phone or switch off its session timer. If it sends re-INVITEs or UPDATEs that do not"
    " arrive, see the advice for answers that do not arrive.",
)
FORGOTTEN = Diagnostic(
    5010,
    "One end had forgotten the call",
    "warning",
    "A request inside the call was answered with 481: that phone or server was restarted, or the request"
    " went to another one.",
    "Look whether the phone was restarted during the call; several servers behind one name must share calls.",
)

TABLE = (
    NO_ACK,
    ACK_UNHEARD,
    NO_ANSWER_AT_ALL,
    ANSWERS_UNHEARD,
    PACKETS_LOST,
    TOO_LARGE,
    REWRITTEN,
    PRIVATE_CONTACT,
    SESSION_EXPIRED,
    FORGOTTEN,
)


def find(story: Story) -> Iterator[Verdict]:
    """All that is wrong with the signalling."""
    troubled: list[Transaction] = []
    for transaction in story.transactions:
        for rule in (_no_ack, _ack_unheard, _too_large, _no_answer_at_all, _answers_unheard):
            verdict = rule(story, transaction)
            if verdict is not None:
                troubled.append(transaction)
                yield verdict
                break
    yield from _packets_lost(story, troubled)
    yield from _private_contacts(story, troubled)
    yield from _rewritten(story)
    yield from _ended_by_timer(story)
    yield from _forgotten(story)


# --- acknowledgements ---------------------------------------------------------------------------------


def _no_ack(story: Story, transaction: Transaction) -> Verdict | None:
    successes = [each for each in transaction.finals if each.status < 300]
    if transaction.method != "INVITE" or transaction.is_ours or transaction.acks or len(successes) < REPEATED:
        return None
    first, last = successes[0], successes[-1]
    ours = first.contact
    text = (
        f"{story.who(first)} did not acknowledge the answer: the {first.status} was sent {len(successes)}"
        f" times in {last.at - first.at:.0f} s and no ACK came. The ACK goes to the Contact {ours}"
    )
    if is_numeric(host_of(ours)) and not is_reachable(host_of(ours), first.remote_host):
        text += f", an address of a private network that {first.remote} cannot reach"
    return NO_ACK.verdict(f"{text}.", [transaction.request.index, *_indices(successes)])


def _ack_unheard(story: Story, transaction: Transaction) -> Verdict | None:
    successes = [each for each in transaction.finals if each.status < 300]
    if transaction.method != "INVITE" or not transaction.is_ours or len(successes) < REPEATED:
        return None
    if not transaction.acks:
        return None
    first, ack = successes[0], transaction.acks[0]
    text = (
        f"{story.who(first)} repeated its {first.status} {len(successes)} times; the ACK was sent"
        f" {len(transaction.acks)} times to {ack.remote} and does not arrive. Its Contact is {first.contact}"
    )
    if first.remote != ack.remote:
        text += f", but it speaks from {first.remote}"
    return ACK_UNHEARD.verdict(f"{text}.", [*_indices(successes), *_indices(transaction.acks)])


# --- answers ------------------------------------------------------------------------------------------


def _no_answer_at_all(story: Story, transaction: Transaction) -> Verdict | None:
    requests = transaction.requests
    if not transaction.is_ours or transaction.responses or len(requests) < REPEATED:
        return None
    first = requests[0]
    return NO_ANSWER_AT_ALL.verdict(
        f"{first.method} was sent to {story.who(first)} at {first.remote} {len(requests)} times in"
        f" {requests[-1].at - first.at:.0f} s, and nothing came back.",
        _indices(requests),
    )


def _answers_unheard(story: Story, transaction: Transaction) -> Verdict | None:
    """A repetition that arrives in the moment of our answer is no sign; one long after it is."""
    if transaction.is_ours or not transaction.responses or transaction.request.transport != "UDP":
        return None
    answered_at = transaction.responses[0].at
    later = [each for each in transaction.requests if each.at > answered_at + 0.3]
    failures = [each for each in transaction.finals if each.status >= 300]
    is_unacknowledged = transaction.method == "INVITE" and not transaction.acks and len(failures) >= REPEATED
    if len(later) < LOSSY and not is_unacknowledged:
        return None
    request, response = transaction.request, transaction.responses[0]
    return ANSWERS_UNHEARD.verdict(
        f"{request.method} of {story.who(request)} came {len(transaction.requests)} times from"
        f" {request.remote}; it was answered {len(transaction.responses)} times, to {response.remote}.",
        [*_indices(transaction.requests), *_indices(transaction.responses)],
    )


def _too_large(story: Story, transaction: Transaction) -> Verdict | None:
    """Only what was not heard is worth a word."""
    requests = transaction.requests
    first = requests[0]
    if not (transaction.is_ours and len(requests) >= REPEATED and not transaction.responses):
        return None
    if first.transport != "UDP" or first.size <= LARGE:
        return None
    return TOO_LARGE.verdict(
        f"{first.method} to {story.who(first)} has {first.size} octets; it was sent {len(requests)} times"
        " over UDP, and nothing came back.",
        _indices(requests),
    )


def _packets_lost(story: Story, troubled: list[Transaction]) -> Iterator[Verdict]:
    repeated = [
        each
        for each in story.transactions
        if len(each.requests) > 1 and each.responses and each not in troubled
    ]
    again = [request for each in repeated for request in each.requests[1:]]
    if len(repeated) > 1 and len(again) >= LOSSY:
        total = sum(len(each.requests) for each in story.transactions)
        yield PACKETS_LOST.verdict(
            f"{len(again)} of {total} requests were repetitions, in {len(repeated)} transactions.",
            _indices(again),
        )


# --- addresses ----------------------------------------------------------------------------------------


def _private_contacts(story: Story, troubled: list[Transaction]) -> Iterator[Verdict]:
    """That a phone behind a NAT names its inner address is usual and does no harm: only with trouble."""
    told: set[str] = set()
    for transaction in troubled:
        for seen in (*transaction.requests[:1], *transaction.finals[:1]):
            host = host_of(seen.contact)
            if seen.is_sent or seen.remote in told or not is_numeric(host):
                continue
            if not is_reachable(host, seen.remote_host):
                told.add(seen.remote)
                yield PRIVATE_CONTACT.verdict(
                    f"{story.who(seen)} says that it is at {seen.contact}, but it comes from {seen.remote}.",
                    [seen.index],
                )


def _rewritten(story: Story) -> Iterator[Verdict]:
    told: set[str] = set()
    for seen in story.seen:
        signs = "" if seen.is_sent or seen.remote_host in told else _signs_of_rewriting(seen)
        if signs:
            told.add(seen.remote_host)
            yield REWRITTEN.verdict(f"{story.who(seen)} at {seen.remote}: {signs}.", [seen.index])


def _signs_of_rewriting(seen: Seen) -> str:
    """A body that is not as long as it says (UDP: 18.3), or half of a description that was repaired."""
    stated = seen.header("content-length")
    length = len(seen.body[0].encode("utf-8", "replace")) if seen.body else 0
    if (
        seen.transport == "UDP"
        and stated.isdecimal()
        and int(stated[:9]) > length
        and "(hidden" not in seen.text
    ):
        return f"its body has {length} octets and says that it has {stated}"
    sound = seen.sound
    if sound is None or not (is_numeric(sound.origin_host) and is_numeric(sound.host)):
        return ""
    is_repaired = sound.host == seen.remote_host != sound.origin_host
    if is_repaired and not is_reachable(sound.origin_host, seen.remote_host):
        contact = host_of(seen.contact)
        sent_by = seen.header("via").partition(" ")[2]
        if contact == sound.origin_host or sent_by.startswith(sound.origin_host):
            return (
                f"in its description c= is {sound.host}, where it comes from, while o= and other addresses"
                f" are {sound.origin_host}: somebody on the way changed c= only"
            )
    return ""


# --- ends ---------------------------------------------------------------------------------------------


def _ended_by_timer(story: Story) -> Iterator[Verdict]:
    for transaction in story.transactions:
        reason = transaction.request.header("reason").lower()
        if transaction.method == "BYE" and ("session expired" in reason or "session timer" in reason):
            by = "this server" if transaction.is_ours else story.who(transaction.request)
            yield SESSION_EXPIRED.verdict(
                f"{by} ended the call after {story.talked:.0f} s: no refresh had come in time"
                f"{_agreed_timer(story)}.",
                [transaction.request.index],
            )
            return


def _agreed_timer(story: Story) -> str:
    values = [each.header("session-expires") for each in story.seen if each.status // 100 == 2]
    agreed = next((each for each in values if each), "")
    return f" (agreed: {agreed})" if agreed else ""


def _forgotten(story: Story) -> Iterator[Verdict]:
    for transaction in story.transactions:
        if transaction.status == 481 and transaction.request.to_tag and transaction.method != "CANCEL":
            final = transaction.finals[0]
            by = "this server" if final.is_sent else story.who(final)
            yield FORGOTTEN.verdict(
                f"{transaction.method} was answered 481 by {by}: it knows no such call.",
                [transaction.request.index, final.index],
            )
            return


def _indices(seen: list[Seen]) -> list[int]:
    return [each.index for each in seen]
