# SPDX-License-Identifier: Apache-2.0
"""Does it cost less than a twentieth of a call to refuse one? Else the refusals of a rush eat what is left for calls.

Both in one process, and without sockets: CPU time, the best of several tries, taken in turns. Measured: 1.2 %; with
the sockets 2.7 %, most of which is the system's.
"""

import time
from collections.abc import Callable

import pytest
from workload import CALLER, SDP, TOGETHER, Address, Office
from workload import INVITE as WHOLE_INVITE

from ringback.kernel import IMPLEMENTATION
from ringback.server.overload.gate import MOST_WAITING, OverloadGate, OverloadPolicy
from ringback.sip.flow import Flow, Transport

FLOW = Flow(Transport.UDP, Address("192.0.2.1", 5060), CALLER)
BATCH, TRIES = 64, 8
MOST = 0.05


def invite(number: int) -> bytes:
    return WHOLE_INVITE % {b"user": b"1000", b"number": number, b"size": len(SDP), b"sdp": SDP}


def ack(number: int) -> bytes:
    return (
        invite(number).partition(b"Content-Type")[0].replace(b"INVITE", b"ACK") + b"Content-Length: 0\r\n\r\n"
    )


class FullGate:
    """No room is left for the caller."""

    def __init__(self) -> None:
        self.gate = OverloadGate(OverloadPolicy(), secret=b"s" * 16, wall_clock=lambda: 0.0)
        self.number = MOST_WAITING
        self.gate.sort([(invite(number), FLOW) for number in range(self.number)], 0.0)
        self.gate.answers()

    def refuse_some(self) -> Callable[[], int]:
        numbers = range(self.number, self.number + BATCH)
        self.number += BATCH
        calls, acks = ([(make(number), FLOW) for number in numbers] for make in (invite, ack))

        def work() -> int:
            self.gate.sort(calls, 0.0)
            answers = self.gate.answers()
            self.gate.sort(acks, 0.0)
            return len(answers)

        return work


def cost(work: Callable[[], int], expected: int) -> float:
    """CPU seconds for one."""
    begun = time.process_time()
    done = work()
    spent = time.process_time() - begun
    assert done == expected
    return spent / done


@pytest.mark.skipif(IMPLEMENTATION != "compiled", reason="the reference is not made for speed")
async def test_a_refusal_costs_little_beside_a_call() -> None:
    office, full = Office(), FullGate()
    await office.start()
    refusals, calls = [], []
    for _ in range(TRIES):
        refusals += [cost(full.refuse_some(), BATCH) for _ in range(4)]
        calls.append(cost(office.call_some, TOGETHER))
    await office.server.close()
    assert full.gate.counters.absorbed_acks == full.gate.counters.refused - MOST_WAITING // 2
    assert min(refusals) <= MOST * min(calls), f"{min(refusals):.2g} s beside {min(calls):.2g} s"
