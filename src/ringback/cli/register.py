# SPDX-License-Identifier: Apache-2.0
"""`ringback register`: does this account work?"""

from __future__ import annotations

import asyncio
from typing import Any

import click

from ringback.cli.output import Failure
from ringback.cli.phone_options import PhoneOptions, gathered, phone_options, started_phone
from ringback.cli.phone_outcome import EXIT_CODE_HELP, run_phone, say


@click.command(epilog=EXIT_CODE_HELP)
@click.option(
    "--for", "seconds", type=click.FloatRange(0, 86_400), default=0.0, help="Stay registered so long."
)
@phone_options
def command(**options: Any) -> None:
    """Register like a phone, say what happened, and unregister: `ringback register --as 101@example.com`."""
    phone = gathered(options)
    if phone.who is None:
        raise Failure("who shall register? Say --as 101@example.com", code=2)
    run_phone(_register(phone, **options))


async def _register(options: PhoneOptions, *, seconds: float) -> None:
    async with started_phone(options, register=True) as phone:
        registration = phone.registration
        assert registration is not None
        assert registration.contact is not None
        where = registration.contact.uri
        click.echo(f"registered {phone.account.uri} at {where} for {registration.granted:.0f} s")
        if seconds:
            await asyncio.sleep(seconds)
    say("unregistered")
