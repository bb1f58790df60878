# SPDX-License-Identifier: Apache-2.0
"""Which calls were there before, what was in them, and how does one take them along?"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Annotated, Any

from fastapi import Depends, Query, Response
from fastapi.responses import FileResponse

from ringback.server.storage.records import CSV_HEADINGS, Search
from ringback.server.tracing.page import html_page
from ringback.server.tracing.pcap import pcap
from ringback.server.tracing.picture import picture
from ringback.web.api.access import TheHouse, missing, routes, sees_all
from ringback.web.api.call_records import explanation_of, find_record, trace_of
from ringback.web.api.call_shapes import AskedRecordPage, AskedRecords, Call, Records
from ringback.web.api.calls import is_visible, must_speak, shown
from ringback.web.api.csv_text import csv_download
from ringback.web.api.file_inside import file_inside
from ringback.web.api.shapes import IdInPath
from ringback.web.api.trace_shapes import CallTrace
from ringback.web.house import House
from ringback.web.sessions import Role, Visitor, needs

router = routes("records")

Reader = Annotated[Visitor, Depends(needs(Role.PERSON, "records:read"))]
Tracer = Annotated[Visitor, Depends(needs(Role.OPERATOR, "traces:read"))]

MAX_CSV_ROWS = 100_000


@router.get("/records")
async def search_calls(
    house: TheHouse, visitor: Reader, asked: Annotated[AskedRecordPage, Query()]
) -> Records:
    """Calls of before, the newest first."""
    search, page, size = _search(visitor, asked), asked.page, asked.size
    if search is None:
        return Records(page=page, size=size)
    items, total = await asyncio.to_thread(house.records.search, search, page=page, size=size)
    return Records(items=[shown(each, visitor) for each in items], total=total, page=page, size=size)


@router.get("/records.csv", response_class=Response)
async def download_calls(
    house: TheHouse, visitor: Reader, asked: Annotated[AskedRecords, Query()]
) -> Response:
    """The same as a table, at most 100 000 rows."""
    search = _search(visitor, asked)
    if search is None:
        return csv_download("calls.csv", [CSV_HEADINGS])
    return await asyncio.to_thread(
        lambda: csv_download("calls.csv", house.records.csv_rows(search, most=MAX_CSV_ROWS))
    )


@router.get("/records/{record_id}")
async def read_record(house: TheHouse, visitor: Reader, record_id: IdInPath) -> Call:
    """One call, with what the server decided and what was wrong."""
    record = await _record(house, visitor, record_id)
    found = await explanation_of(house, record)
    return shown({**record, "decisions": found["decisions"], "verdicts": found["verdicts"]}, visitor)


@router.get("/records/{record_id}/trace")
async def read_record_trace(house: TheHouse, visitor: Tracer, record_id: IdInPath) -> CallTrace:
    """The messages of a call and its ladder."""
    record = await _record(house, visitor, record_id)
    answer = await trace_of(house, record)
    drawn = await asyncio.to_thread(picture, answer["messages"], record)
    return CallTrace.model_validate({**answer, "picture": drawn})


@router.get("/records/{record_id}/trace.pcap", response_class=Response)
async def download_record_pcap(house: TheHouse, visitor: Tracer, record_id: IdInPath) -> Response:
    """The messages as a file for Wireshark."""
    record = await _record(house, visitor, record_id)
    packets = await asyncio.to_thread(pcap, (await trace_of(house, record))["messages"])
    return _download(packets, "application/vnd.tcpdump.pcap", f"call-{record['id']}.pcap")


@router.get("/records/{record_id}/page.html", response_class=Response)
async def download_record_page(house: TheHouse, visitor: Tracer, record_id: IdInPath) -> Response:
    """The whole call in one page that needs no server, to send to somebody."""
    record = await _record(house, visitor, record_id)
    trace = await trace_of(house, record)
    told = {**record, "decisions": trace["decisions"], "verdicts": trace["verdicts"]}
    page = await asyncio.to_thread(html_page, told, trace["messages"])
    return _download(page.encode(errors="replace"), "text/html; charset=utf-8", f"call-{record['id']}.html")


@router.get("/records/{record_id}/recording", response_class=FileResponse)
async def download_recording(house: TheHouse, visitor: Reader, record_id: IdInPath) -> FileResponse:
    """What was said, if it was recorded."""
    record = await _record(house, visitor, record_id)
    must_speak(record, visitor)
    folder = house.directory / "recordings"
    file = await asyncio.to_thread(file_inside, folder, str(record.get("recording") or ""))
    if file is None:
        raise missing("recording of call", record_id)
    return FileResponse(file, media_type="audio/wav", filename=f"call-{record['id']}.wav")


def _search(visitor: Visitor, asked: AskedRecords) -> Search | None:
    """What is asked of the store; None if there is nothing this visitor may see."""
    search = Search(asked.search, asked.since, asked.until, asked.result, asked.number)
    if sees_all(visitor):
        return search
    if not visitor.number:
        return None
    other = asked.number if asked.number != visitor.number else ""
    return replace(search, number=visitor.number, text=f"{search.text} {other}")


async def _record(house: House, visitor: Visitor, record_id: str) -> dict[str, Any]:
    record = await find_record(house, record_id)
    if record is None or not is_visible(record, visitor):
        raise missing("call", record_id)
    return record


def _download(content: bytes, media_type: str, file_name: str) -> Response:
    safe = "".join(each if each.isalnum() or each in "-." else "_" for each in file_name)
    headers = {"Content-Disposition": f'attachment; filename="{safe}"', "X-Content-Type-Options": "nosniff"}
    return Response(content, media_type=media_type, headers=headers)
