# SPDX-License-Identifier: Apache-2.0
"""Why did this call go there, and why did it fail? The verbs that answer.

explain       {call_id | id, record?} -> {found, call_id, call_ids, decisions, verdicts, record, messages}
dry-run       {message, source, transport, as} -> {decisions, outgoing, response}; nothing is sent
tls-failures  {} -> {failures}: whose TLS handshakes failed, each with its verdict

A `record` that was stored can be given: then an old call is judged anew, by the messages that are still kept.
Evidence of verdicts are places in `messages`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ringback.pbx.dry_run import dry_run
from ringback.pbx.verbs import Answer, Verb, anyone, joined
from ringback.server.tracing.query import MOST_CALL_IDS, BadQuery, find, query_of
from ringback.server.verdicts import encryption
from ringback.server.verdicts.diagnose import MESSAGES, diagnose

if TYPE_CHECKING:
    from ringback.pbx.app import PhoneSystem

#: A Call-ID that people type is looked for by its beginning when it is this long.
SHORTEST = 4


async def _explain(system: PhoneSystem, arguments: Mapping[str, Any]) -> Answer:
    wanted = str(arguments.get("call_id") or "")
    record = await _record(system, str(arguments.get("id") or "") or wanted, arguments.get("record"))
    if not wanted and record is None:
        if arguments.get("id"):
            return {"found": False}
        raise BadQuery("say the call_id, or the id of a call")
    return await explained(system, wanted, record)


async def explained(system: PhoneSystem, call_id: str, record: Mapping[str, Any] | None) -> Answer:
    """All that this process knows about a call."""
    decisions = system.server.decisions
    if record is not None and not call_id:
        call_id = next((str(each) for each in record.get("call_ids") or ()), "")
    if record is None and not decisions.knows(call_id) and len(call_id) >= SHORTEST:
        near = decisions.beginning_with(call_id)
        call_id = near[0] if len(near) == 1 else call_id
    call_id = decisions.main(call_id)
    call_ids = [call_id, *decisions.legs_of(call_id), *((record or {}).get("call_ids") or ())]
    call_ids = list(dict.fromkeys(str(each) for each in call_ids if each))[:MOST_CALL_IDS]
    made = decisions.of(call_id)
    if record is not None:
        made = made or list(record.get("decisions") or ())
        record = {**record, "decisions": made}
    messages = await _messages(system, call_ids, record)
    judged: Mapping[str, Any] = record or {"decisions": made}
    verdicts = diagnose(judged, messages, tls_failures=system.server.tls_failures())
    return {
        "found": bool(made or messages or record),
        "call_id": call_id,
        "call_ids": call_ids,
        "decisions": made,
        "verdicts": verdicts,
        "record": record,
        "messages": messages,
    }


async def _messages(
    system: PhoneSystem, call_ids: Sequence[str], record: Mapping[str, Any] | None
) -> list[dict[str, Any]]:
    if not call_ids:
        return []
    system.recorder.flush()
    since = float((record or {}).get("began_at") or 0.0) - 2.0
    query = query_of({"call_ids": list(call_ids), "since": max(0.0, since), "limit": MESSAGES})
    messages, _ = await find(query, system.recorder.ring, system.recorder.place)
    return messages


async def _record(system: PhoneSystem, key: str, given: object) -> Mapping[str, Any] | None:
    """The one that was given, or that of a call that is on."""
    if isinstance(given, Mapping):
        return {str(name): value for name, value in given.items()}
    live = system.server.book.find(key) if key else None
    if live is None:
        return None
    await system.server.look_at_call(live.id)
    return live.described()


async def verdicts_on(system: PhoneSystem, record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What is wrong with a call of which this is the record."""
    found: list[dict[str, Any]] = (await explained(system, "", record))["verdicts"]
    return found


def _merged(answers: Sequence[Answer]) -> Answer:
    """Of several processes the one that decided; its messages, and those that another one saw."""
    found = [answer for answer in answers if answer.get("found")]
    if not found:
        return {"found": False}
    return max(found, key=lambda answer: (len(answer["decisions"]), len(answer["messages"])))


async def _tls_failures(system: PhoneSystem, _: Mapping[str, Any]) -> Answer:
    failures = system.server.tls_failures()
    return {"failures": [{**each, "verdict": encryption.judge(each)} for each in failures]}


ROWS: dict[str, Verb] = {
    "explain": Verb(_explain, _merged),
    "dry-run": Verb(dry_run, anyone),
    "tls-failures": Verb(_tls_failures, joined),
}
