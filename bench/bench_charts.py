# SPDX-License-Identifier: Apache-2.0
"""How do the figures look? Bars for what calls cost, lines for what is left of them under overload, as one SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH = 860
INK, FAINT, PAPER = "#222222", "#d9d9d9", "#ffffff"
COLOURS = {"ringback": "#0072b2", "kamailio": "#e69f00", "kamailio_default": "#f3d28b", "floor": "#cc3311"}
NAMES = {
    "ringback": "Ringback",
    "kamailio": "Kamailio, tuned (tlsf)",
    "kamailio_default": "Kamailio as Debian ships it",
    "floor": "floor we set ourselves",
}


@dataclass(frozen=True, slots=True)
class Bars:
    """One scenario: microseconds for each server that was measured."""

    title: str
    values: dict[str, float]


@dataclass(frozen=True, slots=True)
class Curve:
    """Points of one server."""

    name: str
    points: Sequence[tuple[float, float]]


def text(
    x: float,
    y: float,
    words: str,
    *,
    size: int = 12,
    anchor: str = "start",
    weight: str = "normal",
    colour: str = INK,
) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" font-weight="{weight}" fill="{colour}">{escape(words)}</text>'


def legend(x: float, y: float, names: Sequence[str]) -> list[str]:
    parts = []
    for name in names:
        parts.append(f'<rect x="{x:.1f}" y="{y - 9:.1f}" width="12" height="10" fill="{COLOURS[name]}"/>')
        parts.append(text(x + 17, y, NAMES[name]))
        x += 40 + 6.6 * len(NAMES[name])
    return parts


def bar_panel(top: float, rows: Sequence[Bars]) -> tuple[list[str], float]:
    """Horizontal bars, each scenario on its own scale: what matters is the ratio within a row."""
    left, room, thick = 290.0, WIDTH - 290.0 - 90.0, 13.0
    parts = [
        text(
            20,
            top + 8,
            "CPU time a call or request, microseconds (each row has its own scale; shorter is better)",
            size=14,
            weight="bold",
        )
    ]
    parts += legend(
        20,
        top + 32,
        [
            name
            for name in ("ringback", "kamailio", "kamailio_default")
            if any(name in row.values for row in rows)
        ],
    )
    y = top + 52
    for row in rows:
        longest = max(row.values.values())
        parts.append(text(left - 10, y + thick * len(row.values) / 2 + 4, row.title, anchor="end"))
        for name, value in row.values.items():
            width = room * value / longest
            parts.append(
                f'<rect x="{left:.1f}" y="{y:.1f}" width="{max(width, 1):.1f}" height="{thick - 2:.1f}" fill="{COLOURS[name]}"/>'
            )
            parts.append(
                text(
                    left + width + 6,
                    y + thick - 4,
                    f"{value:.0f}" if value >= 20 else f"{value:.1f}",
                    size=11,
                )
            )
            y += thick
        y += 9
    return parts, y


def curve_panel(
    top: float, curves: Sequence[Curve], floors: dict[float, float], factors: Sequence[float]
) -> tuple[list[str], float]:
    """Goodput in percent of capacity, over what is offered in multiples of it. The steps are evenly spaced, not to scale."""
    left, width, height = 70.0, WIDTH - 110.0, 230.0
    bottom = top + 50 + height
    at = {factor: left + width * (index + 0.5) / len(factors) for index, factor in enumerate(factors)}

    highest = max([110.0, *(percent * 1.05 for curve in curves for _, percent in curve.points)])

    def level(percent: float) -> float:
        return bottom - height * percent / highest

    parts = [
        text(
            20,
            top + 8,
            "Calls completed under overload, percent of capacity (open loop, with retransmissions)",
            size=14,
            weight="bold",
        )
    ]
    parts += legend(20, top + 32, [curve.name for curve in curves] + (["floor"] if floors else []))
    for percent in (0, 25, 50, 75, 100):
        parts.append(
            f'<line x1="{left}" x2="{left + width}" y1="{level(percent):.1f}" y2="{level(percent):.1f}" stroke="{FAINT}"/>'
        )
        parts.append(text(left - 8, level(percent) + 4, f"{percent}", anchor="end", size=11))
    parts += [text(x, bottom + 18, f"{factor:g}×", anchor="middle", size=11) for factor, x in at.items()]
    parts.append(
        text(left + width / 2, bottom + 36, "offered, in multiples of capacity", anchor="middle", size=11)
    )
    for factor, percent in floors.items():
        x, y = at[factor], level(percent)
        parts.append(
            f'<line x1="{x - 16:.1f}" x2="{x + 16:.1f}" y1="{y:.1f}" y2="{y:.1f}" stroke="{COLOURS["floor"]}" stroke-width="2"/>'
        )
    for curve in curves:
        line = " ".join(f"{at[factor]:.1f},{level(percent):.1f}" for factor, percent in curve.points)
        parts.append(
            f'<polyline points="{line}" fill="none" stroke="{COLOURS[curve.name]}" stroke-width="2.5"/>'
        )
        parts += [
            f'<circle cx="{at[factor]:.1f}" cy="{level(percent):.1f}" r="3.5" fill="{COLOURS[curve.name]}"/>'
            for factor, percent in curve.points
        ]
    return parts, bottom + 50


def drawing(
    rows: Sequence[Bars], curves: Sequence[Curve], floors: dict[float, float], factors: Sequence[float]
) -> str:
    parts, bottom = bar_panel(20, rows) if rows else ([], 0.0)
    if curves:
        more, bottom = curve_panel(bottom + 30, curves, floors, factors)
        parts += more
    height = bottom + 10
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" height="{height:.0f}" '
        f'font-family="Helvetica, Arial, sans-serif" role="img" aria-label="What calls cost, and goodput under overload">\n'
        f'<rect width="100%" height="100%" fill="{PAPER}"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )
