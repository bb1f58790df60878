# SPDX-License-Identifier: Apache-2.0
"""What is a numbered diagnostic, and what a verdict? A row of the tables, and that row true of a call."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

Severity = Literal["error", "warning", "note"]
Verdict = dict[str, Any]

#: The worst first.
ORDER: tuple[Severity, ...] = ("error", "warning", "note")

#: Of the messages that prove something, so many are named.
EVIDENCE = 20


class Diagnostic(NamedTuple):
    """One thing that can be wrong. `cause` says how it comes about, `advice` what to do; both for people."""

    number: int
    title: str
    severity: Severity
    cause: str
    advice: str

    @property
    def code(self) -> str:
        """RB-5001."""
        return f"RB-{self.number}"

    def verdict(self, text: str, evidence: Iterable[int] = (), *, advice: str = "") -> Verdict:
        """It is so, in this call: `text` has its numbers, `evidence` the messages that show it."""
        return {
            "code": self.code,
            "title": self.title,
            "severity": self.severity,
            "text": text,
            "advice": advice or self.advice,
            "page": f"diagnostics.md#{self.code.lower()}",
            "evidence": sorted(set(evidence))[:EVIDENCE],
        }
