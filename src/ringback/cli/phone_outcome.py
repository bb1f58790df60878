# SPDX-License-Identifier: Apache-2.0
"""How do the commands of the phone end? Exit codes tell the outcome, one line says it in words.

0 it worked            10 busy                 14 wrong or no password   18 the server failed (5xx)
1 something else       11 nobody answered      15 nobody could be reached  19 forbidden
2 asked wrongly        12 declined             16 no media in common     20 the other side hung up early
130, 143 interrupted   13 no such number       17 the registration was refused
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

import click

from ringback.cli.output import Failure
from ringback.cli.text import printable
from ringback.media.errors import MediaError, UnreadableAudio, UnwritableAudio
from ringback.sip.errors import InvalidState
from ringback.ua.account import InvalidAddress
from ringback.ua.errors import (
    AuthenticationFailed,
    Busy,
    CallEnded,
    CallError,
    Declined,
    Forbidden,
    NoAnswer,
    NotAcceptable,
    NotFound,
    ServerError,
    Unreachable,
)

Result = TypeVar("Result")

#: The first row that fits counts.
EXIT_CODES: tuple[tuple[type[CallError], int], ...] = (
    (Busy, 10),
    (NoAnswer, 11),
    (Declined, 12),
    (NotFound, 13),
    (AuthenticationFailed, 14),
    (Unreachable, 15),
    (NotAcceptable, 16),
    (ServerError, 18),
    (Forbidden, 19),
    (CallEnded, 20),
)

#: For `--help` of every command of the phone.
EXIT_CODE_HELP = (
    "Exit codes: 0 it worked, 1 it did not, 2 asked wrongly, 10 busy, 11 nobody answered, 12 declined, "
    "13 no such number, 14 wrong or no password, 15 nobody could be reached, 16 no media in common, "
    "18 the server failed, 19 forbidden, 20 the other side hung up early."
)


def exit_code(error: CallError) -> int:
    """The exit code that tells this outcome."""
    return next((code for kind, code in EXIT_CODES if isinstance(error, kind)), 1)


def say(line: str) -> None:
    """Progress, to standard error; what strangers wrote cannot move the cursor."""
    click.echo(printable(line), err=True)


def run_phone(work: Coroutine[Any, Any, Result]) -> Result:
    """Run a command of the phone; what goes wrong becomes one sentence and an exit code."""
    try:
        return asyncio.run(_until_terminated(work))
    except Unreachable as error:
        raise Failure(f"nobody could be reached: {error.reason}", code=exit_code(error)) from error
    except CallEnded as error:
        raise Failure("the other side hung up before everything was said", code=exit_code(error)) from error
    except CallError as error:
        raise Failure(str(error), code=exit_code(error)) from error
    except (InvalidAddress, UnreadableAudio, UnwritableAudio, ValueError) as error:
        raise Failure(str(error), code=2) from error
    except (MediaError, InvalidState) as error:
        raise Failure(str(error)) from error
    except asyncio.CancelledError:
        raise click.exceptions.Exit(143) from None


async def _until_terminated(work: Coroutine[Any, Any, Result]) -> Result:
    """SIGTERM ends the work as Ctrl-C does: it is cancelled, and cleans up."""
    task = asyncio.ensure_future(work)
    with suppress(NotImplementedError, RuntimeError, ValueError):  # not in the main thread
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await task
