# SPDX-License-Identifier: Apache-2.0
"""Write docs/diagnostics.md from the tables of diagnostics: `python tools/write_diagnostics.py [--check]`."""

import sys
from collections.abc import Iterator
from pathlib import Path

from ringback.server.verdicts.diagnose import FAMILIES
from ringback.server.verdicts.diagnostic import Diagnostic

PAGE = Path(__file__).parents[1] / "docs" / "diagnostics.md"

HEAD = """# Diagnostics

When a call fails, drops or has no sound, `ringback explain CALL-ID` and the page of the call in the console say what
the server decided about it, and what went wrong: a number such as RB-5001, a sentence with the facts of that call, and
what to do. This page explains the numbers.

    $ ringback explain a84b4c76e66710
      ...
      RB-5001 error: The answer was never acknowledged
        101 did not acknowledge the answer: the 200 was sent 11 times in 32 s and no ACK came. The ACK goes to
        the Contact sip:102@10.0.0.5:5060, an address of a private network that 203.0.113.7:5060 cannot reach.
        Make sure that the address in our Contact can be reached by this phone: ...

What may have happened can be tried: `ringback explain FILE --source 203.0.113.7:5060 --as 101` takes the request in FILE
through the very services of the running server as if it had come from there, and sends nothing. Whose TLS handshakes
failed is shown by `ringback explain --tls`.

The severities: an *error* kept people from talking, a *warning* disturbed them, a *note* says what happened and that
nothing is wrong. This page is written by `tools/write_diagnostics.py` from the tables that the server uses; a test holds
it current.
"""


def page() -> str:
    return "\n".join([HEAD, *_contents(), *_families()]).rstrip() + "\n"


def _contents() -> Iterator[str]:
    yield "| Number | What | Severity |"
    yield "|---|---|---|"
    for _, _, rows in FAMILIES:
        for row in rows:
            yield f"| [{row.code}](#{row.code.lower()}) | {row.title} | {row.severity} |"
    yield ""


def _families() -> Iterator[str]:
    for title, question, rows in FAMILIES:
        yield f"## {title}\n\n{question}\n"
        for row in rows:
            yield from _section(row)


def _section(row: Diagnostic) -> Iterator[str]:
    yield f"### {row.code}\n"
    yield f"**{row.title}** ({row.severity})\n"
    yield f"{row.cause}\n"
    yield f"*What to do:* {row.advice}\n"


def main() -> int:
    if "--check" in sys.argv:
        current = PAGE.read_text() if PAGE.exists() else ""
        if current != page():
            print(f"{PAGE} is not current; run python tools/write_diagnostics.py", file=sys.stderr)
            return 1
        return 0
    PAGE.write_text(page())
    return 0


if __name__ == "__main__":
    sys.exit(main())
