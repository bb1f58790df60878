# SPDX-License-Identifier: Apache-2.0
"""How do we send the other side of a call to somebody else? REFER and its reports (RFC 3515, RFC 5589).

await call.transfer("102")                            # blind: they call 102 instead of us
await call.transfer("102", fallback="voicemail:102")  # where to if 102 does not answer
await call.transfer(other_call)                       # attended: the two talk, we leave (RFC 3891)
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ringback.sip.errors import InvalidState, PeerError
from ringback.sip.message import NameAddr, SipUri
from ringback.sip.transfer_fields import EVENT, Fragment, read_sipfrag, refer_to, reference_to
from ringback.ua.call_requests import session_request
from ringback.ua.errors import CallEnded, CallError, NoAnswer, error_for

if TYPE_CHECKING:
    from ringback.sip.dialog.dialog import Dialog
    from ringback.sip.message import Request
    from ringback.sip.message.values import DialogReference
    from ringback.ua.call import Call
    from ringback.ua.call_host import CallHost

#: How long the new call may ring before we give up hearing of it.
LONGEST_TRANSFER = 60.0


class Transfer:
    """One REFER on its way: its reports, and how it ended."""

    def __init__(self, host: CallHost, call: Call) -> None:
        self._host = host
        self._call = call
        self._number = -1
        #: The last report.
        self.progress: Fragment | None = None
        self._outcome: asyncio.Future[Fragment] = asyncio.get_running_loop().create_future()

    async def send(self, target: NameAddr, *, timeout: float) -> None:
        """Returns when the new call was answered. Raises what became of it, or why it was not even tried."""
        headers = [("Refer-To", str(target)), ("Referred-By", str(self._own_address()))]
        self._number, response = await session_request(
            self._host, self._call.session, "REFER", headers=headers
        )
        if response.status >= 300:
            raise error_for(response.status, response.reason, response=response)
        if (response.headers.get("Refer-Sub") or "").lower() == "false":  # RFC 4488: no reports will come
            return
        try:
            async with asyncio.timeout(timeout):
                status, reason = await self._outcome
        except TimeoutError:
            raise NoAnswer(408, f"No answer within {timeout:g} s") from None
        if status >= 300:
            raise error_for(status, reason)

    def notified(self, request: Request) -> int:
        """The answer to a NOTIFY about it (RFC 3515 2.4.4: `id` is the CSeq number of the REFER)."""
        try:
            number = _report_of(request)
            report = read_sipfrag(request.body)
        except PeerError as error:
            return error.status
        if number is not None and self._number >= 0 and number != str(self._number):
            return 481
        self.progress = report
        if report.status >= 200 and not self._outcome.done():
            self._outcome.set_result(report)
        return 200

    def _own_address(self) -> NameAddr:
        dialog = _dialog(self._call)
        return NameAddr(dialog.local_uri.uri, dialog.local_uri.display_name)


async def transfer(
    host: CallHost, call: Call, target: str | Call, *, fallback: str | None, timeout: float
) -> None:
    """Send the other side of `call` to `target`, and leave."""
    try:
        await _refer(host, call, target, timeout=timeout)
    except CallEnded as ended:
        if ended.status != 200:  # they left for the new call without telling us: as good as a report
            raise
    except CallError:
        if fallback is None:
            raise
        await _refer(host, call, fallback, timeout=timeout)
    await call.hangup()
    if not isinstance(target, str):
        await target.hangup()


async def _refer(host: CallHost, call: Call, target: str | Call, *, timeout: float) -> None:
    await call.while_alive(call.wait_ready())  # a REFER needs a confirmed dialog
    uri, replaces = (_address(host, call, target), None) if isinstance(target, str) else _other_end(target)
    sending = Transfer(host, call)
    call.outgoing_transfer = sending
    try:
        await call.while_alive(sending.send(refer_to(uri, replaces), timeout=timeout))
    finally:
        call.outgoing_transfer = None


def _address(host: CallHost, call: Call, target: str) -> SipUri:
    """Whom `target` means; a program without a domain of its own means the domain of its peer."""
    return host.resolve(target, _dialog(call).remote_uri.uri)


def _other_end(other: Call) -> tuple[SipUri, DialogReference]:
    """The far end of another call of ours, and the dialog that its new call is to replace."""
    if not other.is_answered or other.is_over:
        raise InvalidState("a call can only be handed over to one that is answered")
    dialog = _dialog(other)
    uri = dialog.remote_target
    if not isinstance(uri, SipUri):
        raise InvalidState("the other call has no SIP address")
    return uri, reference_to(dialog.id)


def _dialog(call: Call) -> Dialog:
    dialog = call.session.dialog
    if dialog is None:
        raise InvalidState("the call is not answered yet")
    return dialog


def _report_of(request: Request) -> str | None:
    """The `id` of the REFER that a NOTIFY reports on; None when it names none. PeerError for other events."""
    value = request.headers.get("Event") or ""
    event, _, parameters = value.partition(";")
    if event.strip(" \t").lower() != EVENT:
        raise PeerError("not about a REFER", status=489, section="RFC 3515 2.4.4")
    for parameter in parameters.split(";"):
        name, _, number = parameter.strip(" \t").partition("=")
        if name.lower() == "id":
            return number
    return None
