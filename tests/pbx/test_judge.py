# SPDX-License-Identifier: Apache-2.0
"""Is a call judged soon after its end, and does judging never take more than its share of the time?"""

import asyncio
from itertools import pairwise
from typing import Any

from ringback.pbx import judge
from ringback.pbx.judge import Judge
from ringback.server.bulletin import Bulletin
from ringback.testing import run


def test_calls_are_judged_one_after_another_with_a_hundred_times_the_pause_between_them() -> None:
    async def check() -> None:
        bulletin, judged, moments = Bulletin(), [], []

        async def verdicts(record: dict[str, Any]) -> list[dict[str, Any]]:
            moments.append(asyncio.get_running_loop().time())
            await asyncio.sleep(0.02)
            return [{"code": "RB-1001"}] if record["id"] != "fine" else []

        bulletin.listen(lambda event: judged.append(event["id"]), only=("call.judged",))
        court = Judge(bulletin, verdicts)
        court.start()
        begun = asyncio.get_running_loop().time()
        for name in ("a", "fine", "b"):
            bulletin.post("call.ended", call={"id": name})
        await asyncio.sleep(10)
        await court.close()
        assert judged == ["a", "b"]
        assert moments[0] - begun >= judge.DELAY
        assert all(after - before >= 2.0 for before, after in pairwise(moments))

    run(check())


def test_a_verdict_that_fails_stops_no_other(caplog: Any) -> None:
    async def check() -> None:
        bulletin, judged = Bulletin(), []

        async def verdicts(record: dict[str, Any]) -> list[dict[str, Any]]:
            if record["id"] == "bad":
                raise ValueError("ours")
            return [{"code": "RB-1001"}]

        bulletin.listen(lambda event: judged.append(event["id"]), only=("call.judged",))
        court = Judge(bulletin, verdicts)
        court.start()
        bulletin.post("call.ended", call={"id": "bad"})
        bulletin.post("call.ended", call={"id": "good"})
        await asyncio.sleep(5)
        await court.close()
        assert judged == ["good"]

    run(check())
    assert "could not be judged" in caplog.text
