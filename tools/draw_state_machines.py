# SPDX-License-Identifier: Apache-2.0
"""Draw docs/state-machines.md from the transition tables: `python tools/draw_state_machines.py [--check]`."""

import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from ringback.sip.dialog import negotiation, transitions
from ringback.sip.transaction import client, server

PAGE = Path(__file__).parents[1] / "docs" / "state-machines.md"

MACHINES = [
    (
        "INVITE client transaction",
        "RFC 3261 17.1.1 with RFC 6026",
        "sip/transaction/client.py",
        client.INVITE_TRANSITIONS,
    ),
    (
        "Non-INVITE client transaction",
        "RFC 3261 17.1.2 with RFC 4320",
        "sip/transaction/client.py",
        client.NON_INVITE_TRANSITIONS,
    ),
    (
        "INVITE server transaction",
        "RFC 3261 17.2.1 with RFC 6026",
        "sip/transaction/server.py",
        server.INVITE_TRANSITIONS,
    ),
    (
        "Non-INVITE server transaction",
        "RFC 3261 17.2.2 with RFC 4320",
        "sip/transaction/server.py",
        server.NON_INVITE_TRANSITIONS,
    ),
    ("INVITE session", "RFC 3261 13 to 15, RFC 5407", "sip/dialog/transitions.py", transitions.TRANSITIONS),
    ("Offer and answer", "RFC 3264, RFC 6337", "sip/dialog/negotiation.py", negotiation.TRANSITIONS),
]

HEAD = """# State machines

These diagrams are drawn from the tables the code runs on, by `tools/draw_state_machines.py`; a test holds them current.
An input that has no arrow in a state is ignored there.
"""


def next_state(row: Any) -> Any:
    return row[0] if isinstance(row, tuple) else row


def draw(title: str, source: str, file: str, transitions: dict[Any, Any]) -> str:
    arrows: dict[tuple[str, str], list[str]] = defaultdict(list)
    for (state, what), row in transitions.items():
        arrows[state.name, next_state(row).name].append(what.name)
    lines = [f"    {start} --> {end}: {', '.join(inputs)}" for (start, end), inputs in arrows.items()]
    return "\n".join(
        [
            f"\n## {title}",
            "",
            f"{source}; the table is in `{file}`.",
            "",
            "```mermaid",
            "stateDiagram-v2",
            *lines,
            "```",
            "",
        ]
    )


def page() -> str:
    return HEAD + "".join(draw(*machine) for machine in MACHINES)


def main() -> int:
    if "--check" in sys.argv:
        current = PAGE.read_text() if PAGE.exists() else ""
        if current != page():
            print(
                "docs/state-machines.md is not what the tables say: run python tools/draw_state_machines.py"
            )
            return 1
        return 0
    PAGE.write_text(page())
    return 0


if __name__ == "__main__":
    sys.exit(main())
