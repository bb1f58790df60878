# SPDX-License-Identifier: Apache-2.0
"""`ringback status`: is a server running here, and how is it?"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click

from ringback.cli.options import installation_options, place_of_server
from ringback.cli.output import Failure, print_json
from ringback.cli.text import printable


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@installation_options
def command(*, as_json: bool, data: str | None, config: str | None) -> None:
    """Say how the running server is. Exit code 1 when none is running."""
    where = place_of_server(data, config)
    answer = where.ask("status")
    if answer is None:
        raise Failure(f"no server is running on {where.directory}")
    answer["tracing"] = {
        name: value for name, value in (where.ask("trace-status") or {}).items() if name != "ok"
    }
    answer["tls_failures"] = (where.ask("tls-failures") or {}).get("failures", [])
    if as_json:
        print_json({key: value for key, value in answer.items() if key != "ok"})
        return
    for label, value in _rows(answer):
        click.echo(f"{label:<21}{printable(str(value))}")


def _rows(status: dict[str, Any]) -> list[tuple[str, object]]:
    store = status["store"]
    disk = f"failing: {store['failure']} ({store['pending']} changes wait)" if store["failure"] else "ok"
    counters = {name: value for name, value in status["server"].items() if name not in (*status, "calls")}
    addresses = ", ".join(f"{name} {address}" for name, address in status["addresses"].items())
    return [
        ("Version", status["version"]),
        ("Process", status["process"]),
        ("Running for", f"{status['uptime']:.0f} s"),
        ("Domain", status["domain"]),
        ("Addresses", addresses),
        ("Users", status["users"]),
        ("Registrations", status["registrations"]),
        ("Store", disk),
        ("Certificate", _certificate(status["certificate"])),
        *([("TLS failures", _failures(status["tls_failures"]))] if status["tls_failures"] else []),
        *([("Workers", _workers(status["workers"]))] if status.get("workers") else []),
        *([("Media", _media(status["media"]))] if status.get("media") else []),
        *([("Console", _console(status["web"]))] if status.get("web") else []),
        *([("Trace", _trace(status["trace"]))] if status.get("trace") else []),
        *([("Kept messages", _messages(status["tracing"]))] if status["tracing"] else []),
        *((name.replace("_", " ").capitalize(), _value(value)) for name, value in counters.items()),
        *(("Call", _call(call)) for call in status["server"].get("calls", ())),
    ]


def _call(call: dict[str, Any]) -> str:
    """Who speaks with whom, since when, and why the sound comes through the server if it does."""
    sound = f"; anchored because: {call['anchored']}" if call["anchored"] else ""
    verdicts = "".join(f"; {verdict}" for verdict in call["verdicts"])
    legs = "".join(f"; {leg}" for leg in call["legs"])
    who = f"{call['caller']} to {call['callee']}, {call['state']} for {call['seconds']} s"
    return f"{who}{sound}{verdicts}{legs}"


def _certificate(certificate: dict[str, Any]) -> str:
    """What phones and browsers are shown, and how to know our own authority by its fingerprint."""
    problem = f"; {certificate['problem']}" if certificate["problem"] else ""
    if "expires_at" not in certificate:
        return problem.removeprefix("; ")
    ends = datetime.fromtimestamp(certificate["expires_at"], UTC).date()
    authority = f" {certificate['authority']}" if certificate["authority"] else ""
    return f"until {ends}, {certificate['source']}{authority}{problem}"


def _failures(failures: list[dict[str, Any]]) -> str:
    """How many peers could not agree with us, the latest of them, and where to read on."""
    latest = max(failures, key=lambda failure: failure["last_at"])
    times = sum(failure["count"] for failure in failures)
    return f"{times}, last {latest['remote']}: {latest['kind']}; see `ringback explain --tls`"


def _workers(workers: list[dict[str, Any]]) -> str:
    """Their processes, and how often one had to be replaced."""
    processes = ", ".join(str(worker["process"] or "none yet") for worker in workers)
    replaced = sum(worker["starts"] - 1 for worker in workers)
    return f"{len(workers)} (processes {processes}{f'; {replaced} replaced' if replaced else ''})"


def _media(media: dict[str, Any]) -> str:
    """Who carries the sound of bridged calls."""
    workers = media.get("workers")
    if not workers:
        return f"{media['engine']} {media.get('address', '')}".strip()
    processes = ", ".join(str(worker["process"] or "none yet") for worker in workers)
    replaced = sum(worker["starts"] - 1 for worker in workers)
    bridges = sum(worker["bridges"] or 0 for worker in workers)
    return f"{bridges} bridges (processes {processes}{f'; {replaced} replaced' if replaced else ''})"


def _console(web: dict[str, Any]) -> str:
    """Its process, and how often one had to be replaced."""
    replaced = f"; {web['starts'] - 1} replaced" if web["starts"] > 1 else ""
    return f"{'serving' if web['serving'] else 'not yet'} (process {web['process'] or 'none yet'}{replaced})"


def _trace(trace: dict[str, Any]) -> str:
    """Where it goes, and whether all of it gets there."""
    failing = f"failing: {trace['failure']}; " if trace["failure"] else ""
    missing = f", {trace['dropped']} dropped" if trace["dropped"] else ""
    return f"{trace['file']} ({failing}{trace['written']} messages{missing})"


def _messages(kept: dict[str, Any]) -> str:
    """How many are kept, and what of them did not reach the files or the collector."""
    if not kept["enabled"]:
        return "not kept"
    sinks = "".join(f"; {name}: {_sink(sink)}" for name, sink in kept["sinks"].items())
    return f"{kept['messages']} kept in {kept['bytes'] / 1e6:.1f} MB of {kept['memory'] / 1e6:.0f} MB{sinks}"


def _sink(sink: dict[str, Any]) -> str:
    paused = ", paused" if sink["is_paused"] else ""
    failing = f", failing: {sink['failure']}" if sink["failure"] else ""
    return f"{sink['written']} written, {sink['dropped']} dropped{paused}{failing}"


def _value(value: object) -> object:
    """A table of counters in one line, without the zeros."""
    if not isinstance(value, dict):
        return value
    return ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in value.items() if count) or "none"
