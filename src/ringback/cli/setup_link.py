# SPDX-License-Identifier: Apache-2.0
"""`ringback setup-link`: a link with which somebody becomes the owner, or gets a new password."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ringback.cli.options import Place, installation_options, place_of_server
from ringback.cli.output import Failure


@click.command()
@click.option("--reset", is_flag=True, help="A new password for somebody who lost theirs (and their codes).")
@click.option("--person", metavar="NAME", help="Whose: an e-mail address, a number or a name.  [the owner]")
@installation_options
def command(*, reset: bool, person: str | None, data: str | None, config: str | None) -> None:
    """Print a link that works once, for 15 minutes.

    Without --reset it makes the owner of a new installation. Links made before work no longer.
    """
    from ringback.pbx.web_process import link_to, make_setup_secret

    if person and not reset:
        raise click.UsageError("--person goes with --reset")
    where = place_of_server(data, config).must_exist()
    whom = _whom(where.directory, person) if reset else None
    secret = make_setup_secret(where.directory, reset=whom)
    if not secret:
        raise Failure("the set-up is done already; for a lost password say --reset")
    click.echo(link_to(secret, _addresses(where)))


def _whom(directory: Path, person: str | None) -> str:
    """The identifier of the person, or of the owner."""
    from ringback.server.first_start import sealer_of
    from ringback.server.storage.people import PeopleStore
    from ringback.server.storage.sqlite import FILE_NAME

    people = PeopleStore.open(directory / FILE_NAME, sealer=sealer_of(directory))
    if person:
        found = people.sign_in_as(person)
    else:
        found = next((each for each in people.people() if each.role == "owner"), None)
    if found is None:
        raise Failure(f"there is no {person!r} here" if person else "there is no owner yet")
    return found.id


def _addresses(where: Place) -> dict[str, str]:
    """Where the server is, or was when it ran last."""
    from ringback.server.first_start import open_store

    store, _ = open_store(where.directory)
    try:
        found = json.loads(store.value("addresses") or "{}")
    finally:
        store.close()
    return found if isinstance(found, dict) else {}
