# SPDX-License-Identifier: Apache-2.0
"""Which settings has the certificate that a public authority gives?"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from ringback.server.config_types import HostName, Section

LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"


def _checked_directory(text: str) -> str:
    """Account keys and orders travel over https only (RFC 8555 section 6.1)."""
    if not text.startswith("https://") or not text.isascii() or " " in text:
        raise ValueError(f"{text!r} is no https:// address")
    return text


class AcmeSettings(Section):
    """A certificate that browsers and phones trust by themselves, from an authority that gives it for the
    asking (ACME, RFC 8555), renewed silently. It needs a domain name of your own."""

    enabled: bool = False
    """Get the certificate from the authority in `directory`, and agree to its terms of service. Until it is
    there, the one of this server's own authority is shown."""

    names: Annotated[tuple[HostName, ...], Field(max_length=100)] = ()
    """The names in the certificate. Empty: `sip.domain` and those of `sip.aliases` that are no addresses."""

    directory: Annotated[str, AfterValidator(_checked_directory)] = LETS_ENCRYPT
    """The authority's directory of addresses."""

    email: Annotated[str, Field(max_length=254)] = ""
    """Where the authority may write to when something is wrong. It may stay empty."""

    challenge: Literal["http", "dns"] = "http"
    """How the authority sees that a name is yours. http: it asks for a page of this server on port 80, which
    must lead to `web.http_port`. dns: it looks for a record in your zone, which `dns_hook` puts there."""

    dns_hook: Path | None = None
    """A program that changes your zone. It is called as `HOOK add NAME VALUE` to make a TXT record, as in
    `add _acme-challenge.example.com x8f..`, and as `HOOK remove NAME VALUE` when it is no longer needed; it
    ends when the record can be seen, with exit code 0."""

    authorities: Path | None = None
    """A file with the authorities (PEM) by which the directory's own certificate is checked, for an authority
    inside of your company. Empty: those of this machine."""
