# SPDX-License-Identifier: Apache-2.0
"""`ringback message`: send a text message (RFC 3428)."""

from __future__ import annotations

from typing import Any

import click

from ringback.cli.phone_options import PhoneOptions, gathered, phone_options, started_phone
from ringback.cli.phone_outcome import EXIT_CODE_HELP, run_phone, say


@click.command(epilog=EXIT_CODE_HELP)
@click.argument("uri")
@click.argument("text")
@phone_options
def command(uri: str, text: str, **options: Any) -> None:
    """Send TEXT to URI."""
    run_phone(_message(uri, text, gathered(options)))


async def _message(uri: str, text: str, options: PhoneOptions) -> None:
    async with started_phone(options, target=uri) as phone:
        response = await phone.message(uri, text)
        say(f"delivered: {response.status} {response.reason}")
