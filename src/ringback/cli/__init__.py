# SPDX-License-Identifier: Apache-2.0
"""The program `ringback`: which commands there are, and nothing of what they do.

Each command is one file with a click command named `command`; it is imported when it is called, so that the
program starts fast. Adding a command is adding a row to COMMANDS.
"""

from __future__ import annotations

import io
import sys
from importlib import import_module
from typing import NamedTuple

import click

from ringback.cli.output import Failure


class Row(NamedTuple):
    """Where a command lives and what `ringback --help` says about it."""

    module: str
    help: str


COMMANDS: dict[str, Row] = {
    "serve": Row("ringback.cli.serve", "Run the phone system."),
    "user": Row("ringback.cli.user", "Add, list and remove users, and change their passwords."),
    "device": Row("ringback.cli.device", "Give each phone of a user a password of its own."),
    "setup-link": Row("ringback.cli.setup_link", "Make a link for the set-up, or for a lost password."),
    "calls": Row("ringback.cli.calls", "Show the calls that are on or were; end, transfer or record one."),
    "registrations": Row("ringback.cli.registrations", "Show which phones are registered."),
    "config": Row("ringback.cli.config", "Check a settings file, or print what is set."),
    "reload": Row("ringback.cli.reload", "Make the running server read its settings again."),
    "status": Row("ringback.cli.status", "Say how the running server is."),
    "explain": Row("ringback.cli.explain", "Say why a call went where it went, and what went wrong."),
    "trace": Row("ringback.cli.trace", "Watch calls: a live list, the ladder of each, every message."),
    "ladder": Row("ringback.cli.ladder", "Draw a call from the trace of a server."),
    "call": Row("ringback.cli.call", "Call somebody, from the command line."),
    "answer": Row("ringback.cli.answer", "Be a phone that answers."),
    "register": Row("ringback.cli.register", "Register like a phone, and say what happened."),
    "message": Row("ringback.cli.message", "Send a text message."),
    "ping": Row("ringback.cli.ping", "Ask a SIP address whether it is there (OPTIONS)."),
}

#: What stands for `ringback` itself; anything else before a command belongs to `serve`.
OWN_OPTIONS = ("--help", "-h", "--version")


class Commands(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        row = COMMANDS.get(cmd_name)
        if row is None:
            return None
        command: click.Command = import_module(row.module).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            raise click.UsageError(_unknown_command(name), ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, row.help) for name, row in COMMANDS.items()])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """`ringback` alone, and `ringback --demo`, mean `ringback serve`."""
        if not args or (args[0].startswith("-") and args[0] not in OWN_OPTIONS):
            args = ["serve", *args]
        return super().parse_args(ctx, args)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=lambda context, _, on: _version(context, on=on),
    help="Say which version this is.",
)
def program() -> None:
    """A complete phone system: server, phone and tools in one program.

    `ringback` alone is `ringback serve`. Each command explains itself: `ringback COMMAND --help`.
    """


def main() -> None:
    """Run the program; every failure a user can cause is one sentence and an exit code, never a traceback.

    What a command returns is its exit code; None is 0.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name from a phone must print on every terminal
    try:
        code = program(prog_name="ringback", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()  # whoever read our output has gone: nothing to say to nobody
        sys.exit(1)
    except Failure as failure:
        failure.show()
        sys.exit(failure.code)
    except _expected_failures() as error:
        Failure(_sentence(error)).show()
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)


def _expected_failures() -> tuple[type[Exception], ...]:
    from ringback.sip.errors import RingbackError

    return (RingbackError, OSError)


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        about = f"{error.filename}: " if error.filename else ""
        return f"{about}{error.strerror}"
    return str(error) or type(error).__name__


def _unknown_command(name: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, COMMANDS, n=1, cutoff=0.5)
    advice = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(COMMANDS)}"
    return f"no command {name!r}; {advice}"


def _version(context: click.Context, *, on: bool) -> None:
    if not on:
        return
    import platform

    from ringback import kernel
    from ringback.version import VERSION

    implementation = getattr(kernel, "IMPLEMENTATION", "python")
    click.echo(f"ringback {VERSION} · Python {platform.python_version()} · kernel {implementation}")
    context.exit()
