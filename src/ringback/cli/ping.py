# SPDX-License-Identifier: Apache-2.0
"""`ringback ping`: is somebody there? OPTIONS, RFC 3261 section 11."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ringback.cli.output import Failure
from ringback.cli.phone_options import PhoneOptions, gathered, phone_options, started_phone
from ringback.cli.phone_outcome import EXIT_CODE_HELP, exit_code, run_phone
from ringback.cli.text import printable
from ringback.ua.errors import error_for

if TYPE_CHECKING:
    from ringback.sip.message import Response

#: A server that answers so is there and works; it only does not like our question.
ALIVE = (401, 405, 407, 501)


@click.command(epilog=EXIT_CODE_HELP)
@click.argument("uri")
@phone_options
def command(uri: str, **options: Any) -> None:
    """Ask a SIP address whether it is there. URI may be a host alone: `ringback ping pbx.example.com`."""
    response, seconds = run_phone(_ping(uri, gathered(options)))
    said_by = response.headers.get("Server") or response.headers.get("User-Agent")
    who = f" ({said_by})" if said_by else ""
    click.echo(printable(f"{response.status} {response.reason}{who} in {1000 * seconds:.1f} ms"))
    if response.status >= 300 and response.status not in ALIVE:
        code = exit_code(error_for(response.status, response.reason))
        raise Failure(f"{uri} is not there: {response.status} {response.reason}", code=code)


async def _ping(uri: str, options: PhoneOptions) -> tuple[Response, float]:
    async with started_phone(options, target=uri) as phone:
        before = phone.agent.now
        response = await phone.options(host_as_uri(uri))
        return response, phone.agent.now - before


def host_as_uri(text: str) -> str:
    """A host alone means the server on it; a number alone stays a number."""
    looks_like_host = "." in text or text.startswith("[") or text == "localhost" or ":" in text
    return (
        f"sip:{text}"
        if looks_like_host and "@" not in text and not text.startswith(("sip", "tel:"))
        else text
    )
