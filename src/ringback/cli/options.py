# SPDX-License-Identifier: Apache-2.0
"""Options that several commands share, and the installation they lead to."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ringback.cli.output import Failure

if TYPE_CHECKING:
    from ringback.server.config_file import Loaded

Function = TypeVar("Function", bound=Callable[..., Any])


def installation_options(function: Function) -> Function:
    """--data and --config: which installation a command is about."""
    data = click.option("--data", metavar="DIR", help="The data directory.  [RINGBACK_DATA]")
    config = click.option("-c", "--config", metavar="FILE", help="The settings file.  [RINGBACK_CONFIG]")
    return data(config(function))


@dataclass(frozen=True, slots=True)
class Place:
    """The installation a command is about. Its directory need not exist."""

    loaded: Loaded
    directory: Path

    def must_exist(self) -> Place:
        """For commands that have nothing to do where nothing is."""
        if not self.directory.is_dir():
            raise Failure(
                f"there is no data directory {self.directory}; `ringback serve` makes it, or say --data DIR"
            )
        return self

    def ask(self, verb: str, **arguments: Any) -> dict[str, Any] | None:
        """The running server's answer; None when no server runs here."""
        from ringback.server.control import NoServer, ask

        try:
            return ask(self.directory, verb, **arguments)
        except NoServer:
            return None


def place(data: str | None, config: str | None) -> Place:
    """Read the settings as far as they say where things are."""
    from ringback.server.config_file import load_settings
    from ringback.server.first_start import data_directory

    loaded = load_settings({"data": data, "config": config})
    return Place(loaded, data_directory(loaded.settings))


def place_of_server(data: str | None, config: str | None) -> Place:
    """The place of a running server, whose file may be broken just now: then the data directory alone
    counts.
    """
    from ringback.server.config_file import ConfigurationError, load_settings
    from ringback.server.first_start import data_directory

    try:
        return place(data, config)
    except ConfigurationError:
        loaded = load_settings({"data": data}, {**os.environ, "RINGBACK_CONFIG": os.devnull})
        return Place(loaded, data_directory(loaded.settings))
