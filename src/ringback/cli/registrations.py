# SPDX-License-Identifier: Apache-2.0
"""`ringback registrations`: which phones are registered, from the running server or from its store."""

from __future__ import annotations

import time
from contextlib import closing
from typing import Any

import click

from ringback.cli.options import Place, installation_options, place_of_server
from ringback.cli.output import note, print_json, print_table


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@installation_options
def command(*, as_json: bool, data: str | None, config: str | None) -> None:
    """Show which phones are registered."""
    where = place_of_server(data, config)
    answer = where.ask("registrations")
    registrations = answer["registrations"] if answer is not None else _stored(where)
    if as_json:
        print_json(registrations)
        return
    if answer is None:
        note("the server is not running; this is what it knew when it stopped")
    headings = ("USER", "CONTACT", "TRANSPORT", "SOURCE", "EXPIRES", "AGENT")
    print_table(headings, map(_row, registrations), when_empty="No phone is registered.")


def _stored(where: Place) -> list[dict[str, Any]]:
    from ringback.pbx.registrations import described
    from ringback.server.first_start import open_store

    if not where.directory.is_dir():
        return []
    store, _ = open_store(where.directory)
    with closing(store):
        now = time.time()
        return [described(binding, now=now) for binding in store.bindings(now=now)]


def _row(registration: dict[str, Any]) -> tuple[str, ...]:
    name = f" ({registration['name']})" if registration.get("name") else ""
    return (
        f"{registration['user']}{name}",
        registration["contact"],
        registration["transport"],
        registration["source"],
        f"in {registration['expires']} s",
        registration["agent"],
    )
