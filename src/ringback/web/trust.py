# SPDX-License-Identifier: Apache-2.0
"""How do browsers and phones learn to trust this server? By a page that is served without encryption, too.

It has the certificate of our own authority in the forms that devices take, and no secrets. The answers of
ACME challenges stand beside it.
"""

from __future__ import annotations

import base64
import hashlib
import uuid
from html import escape
from pathlib import Path
from typing import Annotated

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from fastapi import APIRouter, Depends
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from ringback.server.acme.challenges import answer_for
from ringback.server.acme.upkeep import challenge_folder
from ringback.server.certificates import fingerprint
from ringback.server.first_start import shown_authority
from ringback.web.house import House, house_of
from ringback.web.problems import ApiProblem

router = APIRouter(include_in_schema=False)

#: Steps in the words of each system's own menus. `{file}` is the form of the certificate that it takes.
DEVICES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (
        "iPhone and iPad",
        "ringback.mobileconfig",
        (
            "Open this page in Safari and tap the button; allow the download.",
            "Settings > General > VPN & Device Management: choose the profile and install it.",
            "Settings > General > About > Certificate Trust Settings: switch it on.",
        ),
    ),
    (
        "Android",
        "ringback-ca.crt",
        (
            "Download the certificate.",
            "Settings > Security > Encryption & credentials > Install a certificate > CA certificate.",
            "Choose the file and confirm. Firefox on Android keeps a list of its own.",
        ),
    ),
    (
        "Windows",
        "ringback-ca.crt",
        (
            "Download the certificate and open it: Install Certificate.",
            "Choose Current User, then Place all certificates in the following store: "
            "Trusted Root Certification Authorities.",
            "Start the browser again.",
        ),
    ),
    (
        "macOS",
        "ringback-ca.crt",
        (
            "Download the certificate and open it: Keychain Access takes it.",
            "Open its entry, and under Trust choose Always Trust.",
        ),
    ),
    (
        "Linux and Firefox",
        "ringback-ca.pem",
        (
            "Firefox: Settings > Privacy & Security > View Certificates > Authorities > Import.",
            "Chromium: Settings > Privacy and security > Security > Manage certificates > Authorities > "
            "Import.",
            "Debian and Ubuntu, for all programs: copy it to /usr/local/share/ca-certificates/ringback.crt "
            "and run update-ca-certificates as root.",
        ),
    ),
    (
        "Desk phones and softphones",
        "ringback-ca.pem",
        (
            "Upload the certificate under Trusted (CA) Certificates in the phone's own web page.",
            "Then choose TLS as the transport, port 5061.",
        ),
    ),
)


@router.get("/.well-known/acme-challenge/{token}")
async def challenge(token: str, house: Annotated[House, Depends(house_of)]) -> PlainTextResponse:
    """RFC 8555 section 8.3: the authority looks here."""
    found = await house.in_thread(answer_for, challenge_folder(house.directory), token)
    if found is None:
        raise ApiProblem(404, "Nobody asked for this challenge.")
    return PlainTextResponse(found, media_type="application/octet-stream")


async def _authority(house: Annotated[House, Depends(house_of)]) -> x509.Certificate | None:
    """Our authority; None when a certificate is shown that needs no trust of ours."""
    return await house.in_thread(_read, shown_authority(house.settings, house.directory))


Authority = Annotated[x509.Certificate | None, Depends(_authority)]


@router.get("/trust")
async def trust(authority: Authority) -> HTMLResponse:
    """What to do, device by device."""
    return HTMLResponse(_page(authority))


@router.get("/trust/{name}")
async def certificate(name: str, authority: Authority) -> Response:
    """The certificate in one of its forms."""
    form = FORMS.get(name)
    if form is None or authority is None:
        raise ApiProblem(404, "There is no such certificate here.")
    media_type, make = form
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(make(authority), media_type=media_type, headers=headers)


def _read(file: Path | None) -> x509.Certificate | None:
    if file is None:
        return None
    try:
        return x509.load_pem_x509_certificate(file.read_bytes())
    except (OSError, ValueError):
        return None


def _pem(authority: x509.Certificate) -> bytes:
    return authority.public_bytes(Encoding.PEM)


def _der(authority: x509.Certificate) -> bytes:
    return authority.public_bytes(Encoding.DER)


def _profile(authority: x509.Certificate) -> bytes:
    """A configuration profile with one root certificate, as Apple's devices take it. Its names stay the same
    for the same certificate, so that a second installation replaces the first.
    """
    der = _der(authority)
    identifier = hashlib.sha256(der).digest()
    inner, outer = (str(uuid.UUID(bytes=identifier[at : at + 16], version=4)).upper() for at in (0, 16))
    name = escape(_name(authority))
    content = base64.b64encode(der).decode("ascii")
    return PROFILE.format(inner=inner, outer=outer, name=name, content=content).encode("utf-8")


def _name(authority: x509.Certificate) -> str:
    found = authority.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(found[0].value) if found else "Ringback"


def _page(authority: x509.Certificate | None) -> str:
    if authority is None:
        return PAGE.format(content=f"<p>{NOTHING_TO_DO}</p>")
    content = INTRODUCTION.format(
        name=escape(_name(authority)),
        ends=f"{authority.not_valid_after_utc:%Y-%m-%d}",
        fingerprint=fingerprint(authority),
    )
    return PAGE.format(content=content + "".join(_device(*device) for device in DEVICES))


def _device(name: str, file: str, steps: tuple[str, ...]) -> str:
    items = "".join(f"<li>{escape(step)}</li>" for step in steps)
    button = f'<a class="button" href="/trust/{file}" download>{escape(file)}</a>'
    return f"<section><h2>{escape(name)}</h2><p>{button}</p><ol>{items}</ol></section>"


FORMS = {
    "ringback-ca.pem": ("application/x-pem-file", _pem),
    "ringback-ca.crt": ("application/x-x509-ca-cert", _der),
    "ringback.mobileconfig": ("application/x-apple-aspen-config", _profile),
}

NOTHING_TO_DO = (
    "This server shows a certificate that browsers and phones trust by themselves. Nothing needs to be done."
)

INTRODUCTION = """<p>This telephone server has a certificate authority of its own. A device that trusts it
shows no warning any more, and browsers let the telephone use the microphone. Do this only if you know whose
server this is, and compare the fingerprint with the one that <code>ringback status</code> prints.</p>
<dl><dt>Authority</dt><dd>{name}</dd><dt>Valid until</dt><dd>{ends}</dd>
<dt>SHA-256 fingerprint</dt><dd class="fingerprint">{fingerprint}</dd></dl>"""

PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Trust this server - Ringback</title><link rel="stylesheet" href="/trust.css"></head>
<body><main><h1>Trust this server</h1>{content}<p><a href="/">To the console</a></p></main></body></html>
"""

PROFILE = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0"><dict>
<key>PayloadContent</key><array><dict>
<key>PayloadCertificateFileName</key><string>ringback-ca.crt</string>
<key>PayloadContent</key><data>{content}</data>
<key>PayloadDisplayName</key><string>{name}</string>
<key>PayloadIdentifier</key><string>ringback.authority.{inner}</string>
<key>PayloadType</key><string>com.apple.security.root</string>
<key>PayloadUUID</key><string>{inner}</string>
<key>PayloadVersion</key><integer>1</integer>
</dict></array>
<key>PayloadDisplayName</key><string>{name}</string>
<key>PayloadDescription</key><string>Lets this device trust the telephone server of your office.</string>
<key>PayloadIdentifier</key><string>ringback.trust.{outer}</string>
<key>PayloadRemovalDisallowed</key><false/>
<key>PayloadType</key><string>Configuration</string>
<key>PayloadUUID</key><string>{outer}</string>
<key>PayloadVersion</key><integer>1</integer>
</dict></plist>
"""
