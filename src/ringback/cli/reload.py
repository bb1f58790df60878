# SPDX-License-Identifier: Apache-2.0
"""`ringback reload`: make the running server read its settings again."""

from __future__ import annotations

import click

from ringback.cli.options import installation_options, place_of_server
from ringback.cli.output import Failure


@click.command()
@installation_options
def command(data: str | None, config: str | None) -> None:
    """Make the running server read its settings again.

    A file with a mistake changes nothing; the mistakes are printed with their places, and the exit code is 1.
    """
    where = place_of_server(data, config)
    answer = where.ask("reload")
    if answer is None:
        raise Failure(f"no server is running on {where.directory}")
    changes = answer["changes"]
    for change in changes:
        click.echo(change["text"])
    if not changes:
        click.echo("Nothing changed.")
    elif any(change["needs_restart"] for change in changes):
        click.echo("The changes marked so take effect when the server is restarted; the others hold now.")
    else:
        click.echo("These changes hold now.")
