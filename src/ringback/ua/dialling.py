# SPDX-License-Identifier: Apache-2.0
"""How is a call placed? INVITE, redirections (RFC 3261 8.1.3.4), giving up in time (section 9).

async with phone.dial("102") as call:    # answered here; hung up at the end
    await call.play("hello.wav")

call = await phone.dial("102")           # the same, and the caller hangs up when they like
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ringback.sip.message import SipUri
from ringback.ua.call import Call
from ringback.ua.errors import CallError, NoAnswer
from ringback.ua.requests import Alternatives

if TYPE_CHECKING:
    from ringback.sip.message import Request, Response
    from ringback.ua.agent import UserAgent

#: How long a cancelled call may take to say that it is cancelled.
CANCEL_TIME = 2.0

Progress = Callable[["Response"], None]


class Dialling:
    """A call that is being placed: an asynchronous context manager, and awaitable."""

    def __init__(
        self,
        agent: UserAgent,
        target: str,
        *,
        timeout: float | None,
        headers: Sequence[tuple[str, str]],
        on_progress: Progress | None,
    ) -> None:
        self._agent = agent
        self._target = agent.account.resolve(target)
        self._timeout = timeout
        self._headers = headers
        self._on_progress = on_progress
        self._call: Call | None = None

    def __await__(self) -> Generator[Any, None, Call]:
        return self._place().__await__()

    async def __aenter__(self) -> Call:
        self._call = await self._place()
        return self._call

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._call is not None
        await self._call.hangup()

    async def _place(self) -> Call:
        """The answered call. Whatever goes wrong, nothing is left ringing."""
        call: Call | None = None
        try:
            async with asyncio.timeout(self._timeout):
                request = await self._invite(self._target)
                alternatives = Alternatives(request)
                while True:
                    call = await self._start(request)
                    again = await self._outcome(call, alternatives)
                    if again is None:
                        return call
                    request = again
        except TimeoutError:
            await self._give_up(call)
            raise NoAnswer(408, f"No answer within {self._timeout:g} s") from None
        except BaseException:
            await self._give_up(call)
            raise

    async def _invite(self, target: SipUri) -> Request:
        contact = await self._agent.reachability.contact_towards(
            self._agent.first_hop(target), secure=target.secure
        )
        return self._agent.make_request("INVITE", target, headers=[("Contact", str(contact)), *self._headers])

    async def _start(self, request: Request) -> Call:
        call = Call(self._agent.host, is_incoming=False)
        call.on_progress = self._on_progress
        hop = self._agent.first_hop(self._target)
        flow = await self._agent.reachability.flow_to(hop)
        audio = call.adopt_audio(await self._agent.audio.open(flow.remote.host))
        try:
            self._agent.place(call, request, audio.make_offer())
        except BaseException:
            self._agent.audio.close_later(audio)
            raise
        return call

    async def _outcome(self, call: Call, alternatives: Alternatives) -> Request | None:
        """None when the call was answered; the next INVITE when there is one; else the refusal is raised."""
        try:
            await call.wait_answered()
        except CallError as error:
            again = alternatives.after(call.invite, error.response)
            if again is None:
                raise
            return again
        return None

    async def _give_up(self, call: Call | None) -> None:
        if call is None or call.is_over:
            return
        await call.hangup()
        with suppress(TimeoutError):
            async with asyncio.timeout(CANCEL_TIME):
                await call.wait_ended()
