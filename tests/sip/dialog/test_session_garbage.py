# SPDX-License-Identifier: Apache-2.0
"""Messages of a real call, bent by a seeded hand: nothing that comes raises, and nothing is left behind."""

import random

import pytest
from session_harness import ANSWER, HELD, HOLD, OFFER, End, Wire, pair

from ringback.sip.errors import InvalidState
from ringback.sip.events import OfferReceived, SessionRequestReceived
from ringback.sip.flow import Flow

GARBAGE = [
    b"",
    b"x",
    b"-1",
    b"4294967296",
    b"9" * 400,
    b"\xff\xfe",
    b'"unclosed',
    b"<sip:",
    b"<sip:a@b>;tag=",
    b"sip:%",
    b"1 1 INVITE",
    b"2147483647 INFO",
    b";;;",
    b"timer, 100rel, \x01",
    b"90;refresher=both",
    b"0",
    b"multipart/mixed",
    b"application/sdp",
    b"Digest realm=",
    b'Digest realm="r", nonce="n", algorithm=MD5, qop="auth"',
]

NAMES = [
    b"Contact",
    b"Record-Route",
    b"Require",
    b"Supported",
    b"RSeq",
    b"RAck",
    b"Session-Expires",
    b"Min-SE",
    b"Allow",
    b"Retry-After",
    b"Content-Type",
    b"Content-Disposition",
    b"WWW-Authenticate",
    b"Reason",
    b"Route",
]


def bent(data: bytes, chance: random.Random) -> bytes:
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    for _ in range(chance.randrange(1, 4)):
        place = chance.randrange(len(lines))
        name = lines[place].partition(b":")[0]
        what = chance.randrange(7)
        if what == 0 and place:
            lines[place] = name + b": " + chance.choice(GARBAGE)
        elif what == 1 and place:
            del lines[place]
        elif what == 2 and place:
            lines.append(lines[place])
        elif what == 3:
            lines.append(chance.choice(NAMES) + b": " + chance.choice(GARBAGE))
        elif what == 4:
            body = chance.choice([b"", OFFER, HOLD, b"v=0\r\n", b"\x00" * 30])
        elif what == 5 and lines[0].startswith(b"SIP/2.0"):
            lines[0] = b"SIP/2.0 %d Bent" % chance.choice(
                [100, 180, 183, 200, 302, 401, 407, 408, 422, 481, 491, 500]
            )
        elif what == 5:
            method = chance.choice(
                [b"INVITE", b"BYE", b"UPDATE", b"PRACK", b"INFO", b"CANCEL", b"ACK", b"DANCE"]
            )
            old = lines[0].partition(b" ")[0]
            lines = [line.replace(old, method) for line in lines]
        else:
            lines = [
                b"CSeq: %d %s" % (chance.choice([0, 1, 2, 3, 5, 2**31 - 1]), line.rpartition(b" ")[2])
                if line.startswith(b"CSeq")
                else line.replace(b"branch=z9hG4bK", b"branch=z9hG4bK%d" % chance.randrange(10**6))
                for line in lines
            ]
    return b"\r\n".join(line for line in lines if not line.startswith(b"Content-Length")) + b"\r\n\r\n" + body


def obliging(end: End) -> None:
    """Answers whatever it is asked."""

    def on_event(event: object) -> None:
        try:
            if isinstance(event, OfferReceived):
                event.session.answer(HELD, now=end.now)
            elif isinstance(event, SessionRequestReceived):
                event.session.respond(event.transaction, 200, now=end.now)
        except InvalidState:
            pass

    end.on_event = on_event


def attempt(end: End, command: object, *arguments: object, **more: object) -> None:
    try:
        end.do(command, *arguments, **more)  # type: ignore[arg-type]
    except InvalidState:
        end.drain()


def lively_call(seed: int) -> tuple[Wire, End, End]:
    wire, alice, bob = pair(seed=seed)
    obliging(alice)
    obliging(bob)
    bob.on_call = lambda session: attempt(
        bob, session.ring, None if session.remote_sdp is None else ANSWER, reliable=True
    )
    alice.invite(bob)
    return wire, alice, bob


def disturb(wire: Wire, chance: random.Random, count: int = 3) -> None:
    for _ in range(count):
        _, source, target, message = chance.choice(wire.trace)
        local, remote = wire.ends[target].address, wire.ends[source].address
        flow = Flow(wire.transport, local, remote, 0, str(local))
        end = wire.ends[target]
        end.stack.receive(bent(message.to_bytes(), chance), flow, wire.now)
        end.drain()


def live(wire: Wire, alice: End, bob: End, chance: random.Random) -> None:
    caller = alice.session
    deeds = (
        lambda: None,
        lambda: attempt(bob, bob.sessions[0].accept, ANSWER),
        lambda: attempt(alice, caller.reinvite, HOLD),
        lambda: attempt(bob, bob.sessions[0].update, HOLD),
        lambda: attempt(alice, caller.request, "INFO"),
    )
    wire.run(0.1)
    for deed in deeds:
        deed()
        disturb(wire, chance)
        wire.run(0.05)


@pytest.mark.parametrize("start", range(0, 300, 50))
def test_bent_messages_raise_nothing_and_leave_nothing(start: int) -> None:
    for seed in range(start, start + 50):
        wire, alice, bob = lively_call(seed)
        live(wire, alice, bob, random.Random(seed))
        for end in (alice, bob):
            for session in end.sessions:
                end.do(session.bye)
        wire.run_until_quiet(400)
        left = [(end.stack.pending, len(end.stack.deadlines), len(end.table)) for end in (alice, bob)]
        assert wire.is_quiet, f"seed {seed}: {left}"
