# SPDX-License-Identifier: Apache-2.0
"""The page is made of whatever was measured, and an odd run is named in it."""

from typing import Any
from xml.etree import ElementTree as ET

import bench_charts
import bench_compare
import pytest
import report


def run(cost: float, **counted: int) -> dict[str, Any]:
    answer = {"p50": 1000, "p99": 2500, "max": 9000, "count": 10}
    return {
        "us_per_call": cost,
        "us_per_message": cost / 13,
        "memory": {"resident": 60 << 20, "shared_once": 40 << 20},
        "counted": {
            "failed": 0,
            "retransmitted": 0,
            "repeated": 0,
            "completed": 1000,
            "answer_us": answer,
            **counted,
        },
    }


def row(ringback: list[float], kamailio: list[float], **counted: int) -> dict[str, Any]:
    runs = {
        "ringback": [run(cost, **counted) for cost in ringback],
        "kamailio": [run(cost) for cost in kamailio],
    }
    return {
        "title": "basic call",
        "must": 0.7,
        "aim": 0.35,
        "runs": runs,
        "highest": {"ringback": {"rate": 4000}},
    }


def test_the_ratio_is_that_of_the_medians() -> None:
    assert bench_compare.ratio(row([40, 50, 400], [90, 100, 110])) == pytest.approx(0.5)


def test_a_case_is_a_line_with_cost_ratio_and_targets() -> None:
    page = report.cases({"call": row([40, 50, 60], [100, 100, 100])})
    line = next(line for line in page.split("\n") if line.startswith("| basic call"))
    assert line.startswith("| basic call | 50.0 (40-60) | 100.0 (100-100) |  | 0.50 | 0.70 | 0.35 |")
    assert "| 4 000 |" in line
    assert "In no run was anything lost" in page


def test_a_run_that_lost_something_is_named() -> None:
    page = report.cases({"call": row([50], [100], failed=3)})
    assert "- basic call, Ringback: 3 failed of 1000" in page


def test_a_server_that_cannot_do_a_case_leaves_its_cells_empty() -> None:
    found = row([50], [100])
    del found["runs"]["ringback"]
    assert "nan" not in report.cases({"call": found})


def test_the_chart_is_an_image_with_every_scenario_and_the_floors() -> None:
    bars = [bench_charts.Bars("basic <call>", {"ringback": 40.0, "kamailio": 100.0})]
    curves = [bench_charts.Curve("ringback", [(1.0, 98.0), (2.0, 95.0)])]
    image = ET.fromstring(bench_charts.drawing(bars, curves, {2.0: 85}, [1.0, 2.0]))
    texts = [element.text for element in image.iter("{http://www.w3.org/2000/svg}text")]
    assert "basic <call>" in texts
    assert "2×" in texts
    assert bench_charts.NAMES["floor"] in texts
