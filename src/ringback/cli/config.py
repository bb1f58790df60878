# SPDX-License-Identifier: Apache-2.0
"""`ringback config`: check a settings file, show what is set and by whom, print the reference page."""

from __future__ import annotations

from pathlib import Path

import click

from ringback.cli.options import installation_options
from ringback.cli.output import Failure, print_table


@click.group()
def command() -> None:
    """Check a settings file, or print what is set."""


@command.command()
@click.argument("file", type=click.Path(path_type=Path))
def check(file: Path) -> None:
    """Say what is wrong with FILE: exit code 0 if nothing, 1 otherwise."""
    from ringback.server.config_file import ConfigurationError, check_file
    from ringback.server.config_schema import all_settings

    try:
        loaded = check_file(file)
    except ConfigurationError as error:
        count = len(error.problems)
        if count == 1 and error.problems[0].place == str(file):
            raise Failure(str(error)) from error
        for problem in error.problems:
            click.echo(str(problem), err=True)
        raise Failure(f"{file} has {count} {'mistake' if count == 1 else 'mistakes'}") from error
    count = sum(1 for path, _ in all_settings() if path in loaded.origins)
    click.echo(f"{file}: nothing is wrong ({count} {'setting' if count == 1 else 'settings'})")


@command.command()
@installation_options
def show(data: str | None, config: str | None) -> None:
    """Print every setting that is not a default, and where it comes from."""
    from ringback.server.config import Settings
    from ringback.server.config_file import load_settings
    from ringback.server.reload import changes

    loaded = load_settings({"data": data, "config": config})
    rows = [
        (change.name, change.after, loaded.origins.get(tuple(change.name.split(".")), ""))
        for change in changes(Settings(), loaded.settings)
    ]
    print_table(
        ("SETTING", "VALUE", "SET BY"), rows, when_empty="Nothing is set: all settings have their defaults."
    )


@command.command()
def reference() -> None:
    """Print the reference of all settings (Markdown)."""
    from ringback.server.settings_page import settings_page

    click.echo(settings_page(), nl=False)
