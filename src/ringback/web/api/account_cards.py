# SPDX-License-Identifier: Apache-2.0
"""What does somebody enter into a phone, in words and as a QR code?"""

from __future__ import annotations

import segno

from ringback.pbx.phone_settings import PhoneSettings, ServerAddress
from ringback.web.api.people_shapes import Account
from ringback.web.house import House


def settings_of(house: House, number: str, name: str, password: str) -> PhoneSettings:
    """Everything a phone needs."""
    return PhoneSettings(number, name, password, ServerAddress(house.domain, house.addresses))


def account_of(house: House, number: str, name: str, password: str) -> Account:
    """The account of a new user."""
    settings = settings_of(house, number, name, password)
    return Account(
        number=number,
        password=password,
        server=settings.host,
        domain=settings.domain,
        qr=qr_picture(settings.phone_uri),
        uri=settings.address,
    )


def words_for_a_phone(settings: PhoneSettings) -> dict[str, str]:
    """The words on a phone's screen -> what belongs there, without the password."""
    rows = {
        "User name": settings.number,
        "Display name": settings.name,
        "Domain": settings.domain,
        "Server": settings.host,
        "Encrypted": settings.server.addresses.get("tls", ""),
    }
    return {label: value for label, value in rows.items() if value}


def qr_picture(text: str) -> str:
    """An SVG picture as a `data:` address, for an <img>."""
    code = segno.make(text, error="m", micro=False)
    return code.svg_data_uri(scale=4, border=4, dark="#000", light="#fff", xmldecl=False)
