# SPDX-License-Identifier: Apache-2.0
"""What happens in a simulation? Calls between phones, each with a plan that both ends follow."""

import asyncio
import contextlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from ringback.sip.errors import RingbackError
from ringback.testing.invariants import CALL_NUMBER
from ringback.ua.call import Call
from ringback.ua.errors import CallError
from ringback.ua.phone import Phone

#: The header field that tells the callee which plan a call follows.
PLAN = CALL_NUMBER
UNKNOWN_NUMBER = "999"
#: How long a callee rings or listens to silence when the goodbye of the caller was lost.
GOODWILL = 45.0

#: How a call goes, and how often.
KINDS = {
    "caller hangs up": 4,
    "callee hangs up": 3,
    "hold": 2,
    "both hold": 1,
    "busy": 2,
    "declined": 1,
    "cancelled": 3,
    "no answer": 1,
    "unknown number": 1,
    "message": 2,
}


@dataclass(slots=True)
class Plan:
    """One call. Times are seconds."""

    number: int
    kind: str
    caller: str
    callee: str
    start: float
    ringing: float
    talking: float
    patience: float
    outcome: str = "not begun"
    ours: Call | None = None
    #: The name of a phone that rang, and its call. Two phones may ring for one number.
    theirs: list[tuple[str, Call]] = field(default_factory=list)


def make_plans(chance: random.Random, numbers: Sequence[str], count: int) -> list[Plan]:
    """Plans for `count` calls, several at the same time."""
    plans = []
    for number in range(count):
        kind = chance.choices(list(KINDS), list(KINDS.values()))[0]
        caller, callee = chance.sample(numbers, 2)
        plans.append(
            Plan(
                number,
                kind,
                caller,
                UNKNOWN_NUMBER if kind == "unknown number" else callee,
                start=chance.uniform(0.0, 4.0),
                ringing=chance.uniform(0.0, 1.0),
                talking=chance.uniform(0.1, 1.0),
                patience=chance.uniform(0.0, 2.0)
                if kind == "cancelled"
                else 6.0
                if kind == "no answer"
                else 60.0,
            )
        )
    return plans


class Script:
    """Plays the plans on phones."""

    def __init__(self, phones: Mapping[str, Phone], plans: Sequence[Plan]) -> None:
        self._phones = phones
        self._plans = plans
        for name, phone in phones.items():
            phone.on_call(partial(self._pick_up, name))
            phone.on_message(self._read)

    async def play(self) -> None:
        """All calls, each at its time."""
        await asyncio.gather(*(self._play(plan) for plan in self._plans))

    def violations(self, *, is_broken: bool) -> list[str]:
        """At the end both sides of every call agree that it is over, and on whether it ever was answered."""
        found = []
        for plan in self._plans:
            names = [name for name, _call in plan.theirs]
            calls = [call for call in (plan.ours, *(call for _name, call in plan.theirs)) if call is not None]
            if not all(call.is_over for call in calls):
                found.append(f"both ends agree: a side of plan {plan.number} ({plan.kind}) lives on")
            if plan.outcome == "answered" and not any(call.is_answered for _name, call in plan.theirs):
                found.append(f"both ends agree: plan {plan.number} ({plan.kind}) is answered at one end only")
            if len(names) != len(set(names)):
                found.append(f"one call: plan {plan.number} ({plan.kind}) rang twice at one of {names}")
            expected = EXPECTED.get(plan.kind)
            if not is_broken and expected is not None and plan.outcome not in expected:
                found.append(f"outcome: plan {plan.number} ({plan.kind}) ended as {plan.outcome!r}")
        return found

    # --- the caller ---

    async def _play(self, plan: Plan) -> None:
        await asyncio.sleep(plan.start)
        phone = self._phones[plan.caller]
        try:
            if plan.kind == "message":
                await phone.message(plan.callee, "hello")
                plan.outcome = "delivered"
            else:
                await self._call(phone, plan)
        except CallError as error:
            plan.outcome = type(error).__name__
        except RingbackError as error:
            plan.outcome = f"{type(error).__name__}: {error}"

    async def _call(self, phone: Phone, plan: Plan) -> None:
        headers = [(PLAN, str(plan.number))]
        async with phone.dial(plan.callee, timeout=plan.patience, headers=headers) as call:
            plan.ours = call
            plan.outcome = "answered"
            if plan.kind in ("hold", "both hold"):
                await self._hold(call)
            if plan.kind == "callee hangs up":
                await call.wait_ended()
            else:
                await asyncio.sleep(plan.talking)

    async def _hold(self, call: Call) -> None:
        """Refusals (491 when both do it) end nothing."""
        for change in (call.hold, call.resume):
            try:
                await change()
            except CallError:
                if call.is_over:
                    return

    # --- the callee ---

    async def _pick_up(self, name: str, call: Call) -> None:
        plan = self._plans[int(call.invite.headers[PLAN])]  # checked: our own script wrote it
        plan.theirs.append((name, call))
        await call.ring()
        await asyncio.sleep(plan.ringing)  # two phones of one number answer at nearly the same moment
        if plan.kind == "busy":
            await call.reject(486)
        elif plan.kind == "declined":
            await call.reject(603)
        elif plan.kind == "no answer":
            with contextlib.suppress(TimeoutError):  # a CANCEL can be lost with its connection
                async with asyncio.timeout(GOODWILL):
                    await call.wait_ended()
        else:
            await call.answer()
            with contextlib.suppress(TimeoutError):  # whom nobody answers for so long, hangs up
                async with asyncio.timeout(GOODWILL):
                    await self._talk(call, plan)
            await call.hangup()

    async def _talk(self, call: Call, plan: Plan) -> None:
        if plan.kind == "both hold":
            await self._hold(call)
        if plan.kind == "callee hangs up":
            await asyncio.sleep(plan.talking)
        else:
            await call.wait_ended()

    async def _read(self, _message: object) -> None:
        """A text message came."""


#: What a plan may end as, when nothing but the network is against it.
EXPECTED: dict[str, set[str]] = {
    "caller hangs up": {"answered"},
    "callee hangs up": {"answered"},
    "hold": {"answered"},
    "both hold": {"answered"},
    "busy": {"Busy"},
    "declined": {"Declined"},
    "cancelled": {"NoAnswer", "answered"},
    "no answer": {"NoAnswer"},
    "unknown number": {"NotFound"},
    "message": {"delivered"},
}
