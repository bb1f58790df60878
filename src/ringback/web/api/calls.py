# SPDX-License-Identifier: Apache-2.0
"""Which calls are on, and what can be done with them?"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends

from ringback.web.api.access import TheHouse, missing, routes, sees_all
from ringback.web.api.call_shapes import Call, Calls, as_seen_by_a_party, is_speaker, numbers_of
from ringback.web.api.people_shapes import CallRequest, Placed, PlayRequest, RecordRequest, TransferRequest
from ringback.web.api.shapes import Done, IdInPath, SearchText
from ringback.web.house import House
from ringback.web.problems import ApiProblem
from ringback.web.sessions import Role, Visitor, needs

router = routes("calls")

Reader = Annotated[Visitor, Depends(needs(Role.PERSON, "calls:read"))]
Caller = Annotated[Visitor, Depends(needs(Role.PERSON, "calls:write"))]
Operator = Annotated[Visitor, Depends(needs(Role.OPERATOR, "calls:write"))]


#: So many of the newest are listed.
MOST = 1000


@router.get("/calls")
async def list_calls(house: TheHouse, visitor: Reader, search: SearchText = "") -> Calls:
    """The calls that are on, the newest first."""
    answer = await house.server.ask("calls", limit=MOST)
    found = [call for call in answer["calls"] if is_visible(call, visitor) and _contains(call, search)]
    found.sort(key=lambda call: -call["began_at"])
    return Calls(items=[shown(call, visitor) for call in found], total=len(found))


@router.post("/calls", status_code=201)
async def place_call(house: TheHouse, visitor: Caller, wish: CallRequest) -> Placed:
    """Ring the phones of `from`; who picks up there is connected with `to`."""
    if not sees_all(visitor) and wish.from_ != visitor.number:
        raise ApiProblem(403, "you may place calls from your own number only")
    answer = await house.server.ask("call-place", **wish.model_dump(by_alias=True))
    await house.audit(visitor, "call.place", wish.from_, None, {"to": wish.to})
    return Placed(id=str(answer["id"]))


@router.get("/calls/{call_id}")
async def read_call(house: TheHouse, visitor: Reader, call_id: IdInPath) -> Call:
    """One call that is on."""
    return shown(await _live_call(house, visitor, call_id), visitor)


@router.delete("/calls/{call_id}")
async def hang_up_call(house: TheHouse, visitor: Caller, call_id: IdInPath) -> Done:
    """End a call."""
    await _command(house, visitor, call_id, "call-hangup")
    return Done()


@router.post("/calls/{call_id}/transfer")
async def transfer_call(house: TheHouse, visitor: Caller, call_id: IdInPath, wish: TransferRequest) -> Done:
    """Connect one side of a call with somebody else."""
    await _command(house, visitor, call_id, "call-transfer", to=wish.to, leg=wish.leg)
    return Done()


@router.post("/calls/{call_id}/record")
async def record_call(house: TheHouse, visitor: Operator, call_id: IdInPath, wish: RecordRequest) -> Done:
    """Start or stop recording a call."""
    await _command(house, visitor, call_id, "call-record", on=wish.on)
    return Done()


@router.post("/calls/{call_id}/play")
async def play_into_call(house: TheHouse, visitor: Operator, call_id: IdInPath, wish: PlayRequest) -> Done:
    """Play a prompt to one side of a call."""
    await _command(house, visitor, call_id, "call-play", leg=wish.leg, path=wish.prompt)
    return Done()


def is_visible(call: dict[str, Any], visitor: Visitor) -> bool:
    """True if the visitor may know of this call."""
    return sees_all(visitor) or (bool(visitor.number) and visitor.number in numbers_of(call))


def must_speak(call: dict[str, Any], visitor: Visitor) -> None:
    """Whose phone only rang, because 0 or a group was called, neither hears nor moves what others say."""
    if not sees_all(visitor) and not is_speaker(call, visitor.number):
        raise ApiProblem(403, "only the two who speak may do this")


def shown(call: dict[str, Any], visitor: Visitor) -> Call:
    """A call as this visitor may see it."""
    return Call.model_validate(call if sees_all(visitor) else as_seen_by_a_party(call, visitor.number))


async def _live_call(house: House, visitor: Visitor, call_id: str) -> dict[str, Any]:
    answer = await house.server.ask("call", id=call_id)
    call = answer.get("call")
    if not answer.get("found") or not isinstance(call, dict) or not is_visible(call, visitor):
        raise missing("call", call_id)
    return call


async def _command(house: House, visitor: Visitor, call_id: str, verb: str, **arguments: Any) -> None:
    """Do something with a call that the visitor may see. It may end between the question and the command."""
    must_speak(await _live_call(house, visitor, call_id), visitor)
    answer = await house.server.ask(verb, id=call_id, **arguments)
    if answer.get("found") is False:
        raise missing("call", call_id)
    await house.audit(visitor, verb.replace("-", "."), call_id, None, arguments or None)


def _contains(call: dict[str, Any], search: str) -> bool:
    parties = (call.get("caller") or {}, call.get("callee") or {})
    words = [str(party.get(key, "")) for party in parties for key in ("number", "name")]
    return search.casefold() in " ".join([*words, str(call.get("dialled", ""))]).casefold()
