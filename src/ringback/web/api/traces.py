# SPDX-License-Identifier: Apache-2.0
"""Which messages did the server see, and why did a call go where it went?"""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Query

from ringback.web.api.access import TheHouse, missing, routes
from ringback.web.api.call_records import explanation_of, find_record
from ringback.web.api.shapes import IdInPath
from ringback.web.api.trace_shapes import (
    AskedTraces,
    DryRun,
    DryRunResult,
    Explanation,
    TracedCalls,
    Traces,
    TraceStatus,
    TraceSwitch,
)
from ringback.web.sessions import Role, Visitor, needs

router = routes("traces")

Reader = Annotated[Visitor, Depends(needs(Role.OPERATOR, "traces:read"))]
Writer = Annotated[Visitor, Depends(needs(Role.ADMIN, "traces:write"))]


@router.get("/traces")
async def search_traces(house: TheHouse, _: Reader, asked: Annotated[AskedTraces, Query()]) -> Traces:
    """Messages by Call-ID, by who sent the request or who it was for, and by time."""
    wanted = {name: value for name, value in asked.model_dump(by_alias=True).items() if value}
    return Traces.model_validate(await house.server.ask("trace", **wanted))


@router.get("/traces/calls")
async def list_traced_calls(
    house: TheHouse, _: Reader, asked: Annotated[AskedTraces, Query()]
) -> TracedCalls:
    """What is in the trace, a line for each Call-ID, the newest first."""
    wanted = {name: value for name, value in asked.model_dump(by_alias=True).items() if value}
    items = (await house.server.ask("trace-calls", **wanted))["calls"]
    return TracedCalls.model_validate({"items": items, "total": len(items)})


@router.get("/traces/status")
async def read_trace_status(house: TheHouse, _: Reader) -> TraceStatus:
    """How the trace is set, and what it holds."""
    return TraceStatus.model_validate(await house.server.ask("trace-status"))


@router.put("/traces")
async def switch_trace(house: TheHouse, visitor: Writer, wish: TraceSwitch) -> TraceStatus:
    """Change what is traced, until the server starts again."""
    change = wish.model_dump(exclude_none=True)
    await house.server.ask("trace-switch", **change)
    await house.audit(visitor, "trace.switch", "trace", None, change)
    return TraceStatus.model_validate(await house.server.ask("trace-status"))


@router.get("/explain/{call_id:path}")
async def explain_call(house: TheHouse, _: Reader, call_id: IdInPath) -> Explanation:
    """Why did it go there, and what was wrong? `call_id` is a call's id here or a Call-ID."""
    record = await find_record(house, call_id)
    if record is not None:
        return Explanation.model_validate(await explanation_of(house, record))
    answer = await house.server.ask("explain", call_id=call_id)
    if not answer.get("found"):
        raise missing("call", call_id)
    return Explanation.model_validate(answer)


@router.post("/explain")
async def dry_run(house: TheHouse, _: Reader, wish: DryRun) -> DryRunResult:
    """What would the server do with this message? Nothing is sent and nothing changes."""
    answer = await house.server.ask("dry-run", **wish.model_dump(by_alias=True))
    return DryRunResult.model_validate(answer)
