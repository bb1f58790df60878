# SPDX-License-Identifier: Apache-2.0
"""How is docs/performance.md made? From bench/results.json, and from bench/notes.md for what figures cannot say.

python bench/report.py
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from typing import Any

import bench_charts
import bench_compare
import bench_goodput
import bench_results
from bench_cases import BY_NAME
from bench_program import ROOT

PAGE = ROOT / "docs" / "performance.md"
CHART = ROOT / "docs" / "performance.svg"
NOTES = ROOT / "bench" / "notes.md"

HEAD = """\
# Performance

What Ringback costs, beside Kamailio, in turns on the same machine. This page is made by `make bench`
(`bench/report.py`, from `bench/results.json`); run it and you get your own.

![CPU time a call, and goodput under overload](performance.svg)
"""

HOW = """\
## How it is measured

- CPU is user and system time of all of a server's processes, from the operating system's accounting (`/proc/PID/stat`), over what
  was completed. Runs in which something failed or was sent twice are named: a server that drops looks cheap.
- The servers take turns (A B A B); figures are medians of as many runs as the table says. "Saturation": the load generator (`bench/load/`, C) keeps 64
  calls running. "/s": it starts so many calls a second, evenly. "Highest": held for ten seconds without a loss or a retransmission,
  looked for in at most seven tries.
- The warm-up at saturation is longer than 5 s, the time that Kamailio keeps transactions: its memory is not new any more then.
- Kamailio does what Ringback does and little more or less (`bench/kamailio.cfg`): Max-Forwards, rport, NAT check of REGISTER, usrloc in
  memory, Record-Route, stateful relay. Its location is in memory only and all users have one password,
  in its configuration; Ringback writes each change to its database and looks accounts up.
- Ringback is `ringback serve` with the settings of a new installation, except `strangers_may_call` (the callers are not its users),
  a higher `max_transactions`, log level warning and no console (`web.console`; idle it takes 0.2 % of a processor). Every REGISTER is challenged; there is no setting that would not.
- A message is one that came into or left the server; a basic call has 13.
"""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def number(value: float | None, digits: int = 1) -> str:
    if value is None or math.isnan(value):
        return ""
    return f"{value:,.{digits}f}".replace(",", " ")


def conditions(found: dict[str, Any], measured_with: dict[str, str]) -> str:
    told = [
        (
            "Ringback",
            f"kernel {found['ringback_kernel']}, Python {found['python']}, one worker unless said",
        ),
        (
            "Kamailio",
            f"{found['kamailio']} from Debian; memory manager {found['kamailio_memory']}; one worker unless said",
        ),
        ("SIPp", str(found["sipp"])),
        (
            "Machine",
            f"virtual, {found['cores']} cores, Linux {found['linux']}; {found['network']}; nothing is pinned",
        ),
        (
            "Socket buffers",
            f"limit {found['socket_buffer_limit']} bytes; the generator asks for 4 MB, each server for what it asks by itself",
        ),
    ]
    told += [(f"Code of the part `{name}`", commit) for name, commit in measured_with.items()]
    return "## Conditions\n\n" + table(("", ""), told)


# --- the cases ----------------------------------------------------------------------------------------


def cases(rows: dict[str, Any]) -> str:
    servers = ("ringback", "kamailio", "kamailio_default")
    lines = []
    for row in _in_order(rows):
        costs = [_cost(row, server) for server in servers]
        messages = [number(_median(row, server, "us_per_message"), 2) for server in servers[:2]]
        answers = [
            f"{number(_answer(row, server, 'p50'), 2)} / {number(_answer(row, server, 'p99'), 2)}"
            if server in row["runs"]
            else ""
            for server in servers[:2]
        ]
        highest = [number(row["highest"].get(server, {}).get("rate"), 0) for server in servers[:2]]
        memory = [
            number(_median(row, server, "memory", "shared_once", scale=2**-20), 0) for server in servers[:2]
        ]
        ratio = bench_compare.ratio(row)
        lines.append(
            (
                row["title"],
                *costs,
                number(ratio, 2),
                number(row["must"], 2),
                number(row["aim"], 2),
                *messages,
                *answers,
                *highest,
                *memory,
                str(max(len(each) for each in row["runs"].values())),
            )
        )
    head = ("scenario", "Ringback µs", "Kamailio tlsf µs", "Kamailio qm µs", "ratio to tlsf", "must", "aim", "Ringback µs a message", "Kamailio µs a message",
            "Ringback p50 / p99 ms", "Kamailio p50 / p99 ms", "Ringback highest/s", "Kamailio tlsf highest/s", "Ringback MB", "Kamailio MB", "runs")  # fmt: skip
    return "## Side by side\n\n" + table(head, lines) + "\n" + _doubts(rows)


def _in_order(rows: dict[str, Any]) -> list[dict[str, Any]]:
    """As the list of cases has them."""
    return [rows[name] for name in sorted(rows, key=list(BY_NAME).index)]


def _cost(row: dict[str, Any], server: str) -> str:
    """The median, and the least and most of the runs."""
    costs = [run["us_per_call"] for run in row["runs"].get(server, [])]
    spread = f" ({number(min(costs), 0)}-{number(max(costs), 0)})" if len(costs) > 1 else ""
    return number(bench_compare.cost(row, server)) + spread


def _median(row: dict[str, Any], server: str, *path: str, scale: float = 1.0) -> float | None:
    return bench_results.median(row["runs"][server], *path) * scale if server in row["runs"] else None


def _answer(row: dict[str, Any], server: str, name: str) -> float | None:
    return _median(row, server, "counted", "answer_us", name, scale=1e-3)


def _doubts(rows: dict[str, Any]) -> str:
    """Runs in which something was lost are named, not hidden."""
    found = []
    for row in rows.values():
        for server, runs in row["runs"].items():
            for run in runs:
                counted = run["counted"]
                odd = {
                    name: counted[name] for name in ("failed", "retransmitted", "repeated") if counted[name]
                }
                if odd:
                    found.append(f"{row['title']}, {bench_charts.NAMES[server]}: " + ", ".join(f"{count} {name}" for name, count in odd.items())
                                 + f" of {counted['completed']}")  # fmt: skip
    if not found:
        return "In no run was anything lost or sent twice.\n"
    return "Runs in which something was lost or sent twice:\n\n" + "".join(f"- {line}\n" for line in found)


def workers(found: dict[str, Any]) -> str:
    rows = []
    for server, title in (("ringback", "Ringback"), ("kamailio", "Kamailio tlsf")):
        one, two = (found["runs"][f"{server}-{count}"] for count in (1, 2))
        figures = [
            number(bench_results.median(runs, name), digits)
            for runs in (one, two)
            for name, digits in (("rate", 0), ("us_per_call", 1))
        ]
        rows.append((title, *figures, number(found["gain"][server], 2)))
    head = (
        "",
        "1 worker, calls/s",
        "µs a call",
        "2 workers, calls/s",
        "µs a call",
        "calls/s of two / of one",
    )
    return (
        "## Two workers\n\nThe load generator needs one of the two cores, so two workers cannot double. 64 source ports on each side.\n\n"
        + table(head, rows)
    )


def cleaning(found: dict[str, Any]) -> str:
    rows = [(title, number(found[server]["us_per_call"]), number(found[server]["cleaning_us_per_call"]),
             number(found[server]["us_per_call"] + found[server]["cleaning_us_per_call"])) for server, title in (("ringback", "Ringback"), ("kamailio", "Kamailio tlsf"))]  # fmt: skip
    text = ("Transactions outlive their call (32 s as RFC 3261 says, 5 s in Kamailio), and ending them costs too. Ten seconds of calls at a fresh server, "
            "and what it uses in the 36 seconds after them:\n\n")  # fmt: skip
    return "## With what comes later\n\n" + text + table(("", "µs a call during", "after", "together"), rows)


# --- flatness ---------------------------------------------------------------------------------------------


def flatness(found: dict[str, Any]) -> str:
    base = bench_results.median(found["contacts"]["100"], "us_per_message")
    rows = []
    for count, runs in found["contacts"].items():
        cost = bench_results.median(runs, "us_per_message")
        rows.append(
            (
                f"{int(count):,} contacts".replace(",", " "),
                number(cost, 2),
                f"{100 * (cost / base - 1):+.0f} %",
            )
        )
    parts = [
        "## Does it stay so when there is much?\n\nA basic call over UDP at saturation:\n\n",
        table(("", "µs a message", ""), rows),
        "\n",
        _transactions(found["transactions"]),
    ]
    half = found["half"]
    parts.append(f"At half of saturation ({number(bench_results.median(half, 'rate'), 0)} calls/s) a call is answered in "
                 f"{number(bench_results.median(half, 'counted', 'answer_us', 'p50') / 1000, 2)} ms (p50), "
                 f"{number(bench_results.median(half, 'counted', 'answer_us', 'p99') / 1000, 2)} ms (p99), "
                 f"{number(bench_results.median(half, 'counted', 'answer_us', 'max') / 1000, 1)} ms at most.\n")  # fmt: skip
    if half[-1].get("pauses"):
        parts.append(_pauses(half[-1]["pauses"]))
    return "".join([*parts, _memory(found["memory"])])


def _transactions(pairs: list[dict[str, Any]]) -> str:
    """Each pair is one server, first without and then with calls that ring: the pairs differ more than the two."""
    few, many = sorted((name for name in pairs[0] if name.isdigit()), key=int)
    rows, changes = [], []
    for pair in pairs:
        costs = [pair[name]["us_per_message"] for name in (few, many)]
        changes.append(100 * (costs[1] / costs[0] - 1))
        rows.append((*(number(cost, 2) for cost in costs), f"{changes[-1]:+.0f} %"))
    head = ("no transaction waiting, µs a message", f"{int(many):,} waiting".replace(",", " "), "")
    return table(head, rows) + f"\nThe median change is {statistics.median(changes):+.0f} %.\n\n"


def _pauses(found: dict[str, Any]) -> str:
    counts = found.get("pauses", found)
    rows = [(name, str(count)) for name, count in counts.items() if name != "longest_ms"]
    rows.sort(key=lambda row: (row[0].startswith("over"), float(row[0].split()[1])))
    longest = f"the longest was {found['longest_ms']} ms; " if "longest_ms" in found else ""
    return (
        f"\nPauses of the garbage collector since that server's start, with the saturation before it ({longest}`ringback status --json` tells those of your server):\n\n"
        + table(("pause", "times"), rows)
    )


def _memory(found: dict[str, Any]) -> str:
    rows = [
        ("idle, 100 users", f"{number(found['idle'] / 1e6)} MB", "60 MB"),
        ("a contact, registered through SIP", f"{number(found['bytes_a_contact'], 0)} bytes", "1 200 bytes"),
        ("100 000 users without contacts", f"{number(found['empty_with_accounts'] / 1e6)} MB", ""),
        (
            "start until ready, 100 000 users, none registered",
            f"{number(found['seconds_to_ready_without_contacts'], 2)} s",
            "",
        ),
        (
            "start until ready, 100 000 users and stored contacts",
            f"{number(found['seconds_to_ready'], 2)} s",
            "1 s",
        ),
        ("100 000 users registered by", f"{number(found['seconds_to_register'], 1)} s", ""),
    ]
    return "\nMemory (resident) and start:\n\n" + table(("", "", "must"), rows)


# --- overload, scanners, SIPp -------------------------------------------------------------------------------


def goodput(found: dict[str, Any]) -> str:
    rows = []
    theirs = {point["factor"]: point for point in found["kamailio"]["points"]}
    for point in found["ringback"]["points"]:
        factor = point["factor"]
        health = point["health"]
        floor = bench_goodput.FLOORS.get(factor)
        rows.append((f"{factor:g}", number(point["offered"], 0), number(point["percent_of_capacity"], 0), number(floor, 0), number(theirs[factor]["percent_of_capacity"], 0),
                     _ringing(point), _ringing(theirs[factor]),
                     number(point["in_dialog"], 2), number(point["us_per_refusal"]), number(point["swing"], 0),
                     f"{health['completed']} of {health['started']}, {number(health['answer_us']['max'] / 1000, 0)} ms"))  # fmt: skip
    head = ("offered, × capacity", "calls/s", "completed, % of capacity", "floor", "Kamailio, %", "ringing after p50 / p99 ms", "Kamailio, ms", "% of answered calls that ended well",
            "µs a refusal", "swing %", "health checks answered, slowest")  # fmt: skip
    text = (f"Calls arrive at random whatever happens to them, callers retransmit and give up after four seconds. Capacity is {number(found['ringback']['capacity'], 0)} "
            f"calls/s for Ringback, {number(found['kamailio']['capacity'], 0)} for Kamailio, which has no overload control here (its default). Capacity is what a window of 64 calls gets; open load fills batches better, so a server may exceed it. The cost of a refusal is an estimate: CPU time without that of the completed calls, over refusals.\n\n")  # fmt: skip
    last = found["recovery"]["last_bad_second"]
    until = found["recovery"]["flood_until"]
    after = "at once" if last is None or last < until else f"after {last - until + 1} s"
    return (
        "## Overload\n\n"
        + text
        + table(head, rows)
        + f"\nAfter 20 seconds of five times too much, calls at half of capacity are all served again {after}.\n"
    )


def _ringing(point: dict[str, Any]) -> str:
    """How long callers wait for the 180: the median, and what one in a hundred exceeds."""
    waited = point["counted"]["setup_us"]
    return f"{number(waited['p50'] / 1000, 0)} / {number(waited['p99'] / 1000, 0)}"


def scanners(found: dict[str, Any]) -> str:
    rows = [(f"**Ringback, {name}**", "", number(cost, 2)) for name, cost in found["ours"].items()]
    ordered = sorted(found["others"].items(), key=lambda item: item[1] or 1e9)
    rows += [
        (name, found["versions"].get(name, ""), number(cost, 1) if cost else "fails")
        for name, cost in ordered
    ]
    text = (f"Microseconds to split one INVITE of {found['bytes']} bytes with 15 header fields and to find what identifies its transaction and dialog. "
            "Theirs is the call that parses; where that only splits lines, finding the keys is added. The two fastest of them check nothing. aiosip is given back two names that newer Pythons dropped. Not measured: simplesip, simple-sip-client, Katari and PySIPio, whose parser is a private part of a client; p2psip (Python 2); sipx and hermes-voip, which did not install.\n\n")  # fmt: skip
    return (
        f"## The scanner, beside {len(ordered)} SIP parsers from PyPI\n\n"
        + text
        + table(("", "version", "µs"), rows)
    )


def sipp(found: dict[str, Any]) -> str:
    rows = []
    for name, servers in found.items():
        transport, _, rate = name.partition("-")
        row = [f"{transport.upper()}, {rate} calls/s"]
        for server in ("ringback", "kamailio"):
            each = servers[server]
            row += [
                number(each["us_per_call"], 0),
                f"{each['successful']} / {each['failed']} / {each['retransmissions']}",
            ]
        rows.append(row)
    head = (
        "",
        "Ringback µs a call",
        "good / failed / retransmitted",
        "Kamailio tlsf µs a call",
        "good / failed / retransmitted",
    )
    return "## The same with SIPp\n\nA program that none of us wrote, on both ends of the call.\n\n" + table(
        head, rows
    )


def media(found: dict[str, Any]) -> str:
    rows = []
    for kind, title in (("plain", "RTP to RTP"), ("srtp", "SRTP (AES-CM) to RTP")):
        own, other = (found["relay"][kind][engine] for engine in ("own", "rtpengine"))
        rows.append(
            (
                title,
                number(own["us_per_packet"], 2),
                number(other["us_per_packet"], 2),
                number(own["us_per_packet"] / other["us_per_packet"], 2),
                f"{number(own['p50_ms'], 2)} / {number(own['p99_ms'], 2)}",
                f"{number(other['p50_ms'], 2)} / {number(other['p99_ms'], 2)}",
                f"{own['lost']:.0f} / {other['lost']:.0f}",
            )
        )
    head = ("", "Ringback µs a packet", "rtpengine µs a packet", "ratio", "Ringback delay p50 / p99 ms",
            "rtpengine delay p50 / p99 ms", "lost")  # fmt: skip
    text = (f"{found['streams']} streams of G.711, 20 ms a packet, relayed by one media process and by rtpengine in user space, in turns; medians of {found['runs']}. "
            "The delay includes what the generator and the machine add.\n\n")  # fmt: skip
    printed = "\n".join(f"{name}: {line}" for name, lines in found["programs"].items() for line in lines)
    return f"## Sound\n\n{text}{table(head, rows)}\n\nWhat the other programs print:\n\n```text\n{printed}\n```\n"


def tracing(found: dict[str, Any]) -> str:
    rows = [
        (
            f"{together} together",
            *(number(row["us_per_call"][name], 0) for name in ("off", "memory", "files")),
            *(f"{row['percent'][name]:+.1f} %" for name in ("memory", "files")),
        )
        for together, row in found["together"].items()
    ]
    head = ("calls that arrive", "off, µs/call", "memory", "memory and files", "memory, more", "memory and files, more")  # fmt: skip
    text = (
        f"CPU of a proxied call at {found['rate']:,} calls a second in one process, sockets excepted; {found['rounds']} rounds, in turns. "
        "Memory and files is the default; at this rate writing pauses most of the time. To find a call among "
        f"{found['messages']:,} messages takes {number(found['query_ms'], 0)} ms.\n\n"
    )
    return f"## The trace\n\n{text}{table(head, rows)}"


def chart(results: dict[str, Any]) -> str:
    rows = [bench_charts.Bars(row["title"], {server: bench_compare.cost(row, server) for server in row["runs"]})
            for row in _in_order(results.get("cases", {})) if "ringback" in row["runs"]]  # fmt: skip
    curves, floors, factors = [], {}, []
    if found := results.get("goodput"):
        floors, factors = bench_goodput.FLOORS, [point["factor"] for point in found["ringback"]["points"]]
        curves = [
            bench_charts.Curve(
                server, [(point["factor"], point["percent_of_capacity"]) for point in found[server]["points"]]
            )
            for server in ("ringback", "kamailio")
        ]
    return bench_charts.drawing(rows, curves, floors, factors)


PARTS = {
    "cases": cases,
    "workers": workers,
    "cleaning": cleaning,
    "flatness": flatness,
    "goodput": goodput,
    "scanners": scanners,
    "sipp": sipp,
    "media": media,
    "tracing": tracing,
}


def main() -> None:
    results = bench_results.read()
    parts = [HEAD]
    if NOTES.exists():
        parts.append(NOTES.read_text())
    parts += [make(results[name]) for name, make in PARTS.items() if name in results]
    parts += [conditions(results["conditions"], results.get("measured_with", {})), HOW]
    PAGE.write_text("\n".join(part.strip("\n") + "\n" for part in parts))
    CHART.write_text(chart(results))
    print(f"written: {PAGE.relative_to(ROOT)}, {CHART.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
