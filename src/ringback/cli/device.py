# SPDX-License-Identifier: Apache-2.0
"""`ringback device`: give each phone of a user a password of its own, list them, and take one away without
touching the others. Works beside a running server and without one.
"""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from ringback.cli.options import installation_options, place
from ringback.cli.output import Failure, print_json, print_table
from ringback.cli.user import json_option, opened_store, qr_option, tell_server, user_in, wrong_use

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringback.server.storage.devices import DeviceRecord
    from ringback.server.storage.store import Store

#: For the options; the storage module is imported when a command runs.
KINDS = ("phone", "browser", "app")
SECURITIES = {"default": "", "optional": "optional", "required": "required", "off": "off"}
UNITS = {"h": 3600.0, "d": 86400.0, "w": 604800.0}


@click.group()
def command() -> None:
    """Give each phone of a user a password of its own, and take it away again."""


@command.command()
@click.argument("number")
@click.argument("name")
@click.option("--kind", type=click.Choice(KINDS), default="phone", show_default=True, help="What it is.")
@click.option("--for", "lifetime", metavar="TIME", help="It ends by itself: 8h, 30d, 2w.")
@click.option(
    "--security",
    type=click.Choice(list(SECURITIES)),
    default="default",
    show_default=True,
    help="Whether its sound must be encrypted.",
)
@qr_option
@json_option
@installation_options
def add(
    number: str,
    name: str,
    *,
    kind: str,
    lifetime: str | None,
    security: str,
    qr: bool,
    as_json: bool,
    data: str | None,
    config: str | None,
) -> None:
    """Add a device of user NUMBER, with a password that is made for it. NAME tells it from the others."""
    from dataclasses import replace

    from ringback.cli.account_settings import described, print_account
    from ringback.pbx.accounts import mint_device
    from ringback.pbx.phone_settings import PhoneSettings

    seconds = _seconds(lifetime)
    where = place(data, config).must_exist()
    with closing(opened_store(where)) as store:
        user = user_in(store, number)
        realm = store.value("realm") or ""
        options: dict[str, Any] = {"name": name, "kind": kind, "realm": realm, "lifetime": seconds}
        device, password = wrong_use(lambda: mint_device(store, number, made_by="ringback device", **options))
        if SECURITIES[security]:
            device = replace(device, security=SECURITIES[security])  # type: ignore[arg-type]  # one of them
            store.put_device(device)
        server = tell_server(where, store, verb="devices-changed")
    account = PhoneSettings(number, user.name, password, server)
    if as_json:
        print_json({**described(account), "device": _to_json(device)})
        return
    click.echo(f"Device {device.name!r} of user {number} is added ({device.id}). Enter this into it:")
    print_account(account, with_qr=qr)


@command.command("list")
@click.argument("number", required=False)
@json_option
@installation_options
def list_devices(number: str | None, *, as_json: bool, data: str | None, config: str | None) -> None:
    """List the devices of user NUMBER, or all of them."""
    where = place(data, config)
    found: Sequence[DeviceRecord] = []
    if where.directory.is_dir():
        with closing(opened_store(where)) as store:
            if number is not None:
                user_in(store, number)
            found = store.devices(number=number)
    if as_json:
        print_json([_to_json(device) for device in found])
        return
    headings = ("ID", "USER", "NAME", "KIND", "LAST REGISTERED", "ENDS", "SOUND")
    empty = "There are no devices with passwords of their own. Add one: ringback device add 101 'Desk phone'"
    print_table(headings, [_row(device) for device in found], when_empty=empty)


@command.command()
@click.argument("device")
@installation_options
def remove(device: str, *, data: str | None, config: str | None) -> None:
    """Take the password of DEVICE (its id, or the beginning of it) away; its registrations end at once."""
    where = place(data, config).must_exist()
    with closing(opened_store(where)) as store:
        found = _found(store, device)
        store.remove_device(found.id)
        tell_server(where, store, verb="devices-changed", reminds=False)
    click.echo(f"Device {found.name!r} of user {found.number} is removed.")


def _found(store: Store, device: str) -> DeviceRecord:
    """The only one whose id begins so."""
    matching = [each for each in store.devices() if device and each.id.startswith(device)]
    if len(matching) == 1:
        return matching[0]
    reason = "more than one device begins so" if matching else "there is no such device"
    raise Failure(f"{reason}: {device!r}; `ringback device list` shows them")


def _seconds(text: str | None) -> float | None:
    """How long "8h" is."""
    if text is None:
        return None
    amount, unit = text[:-1], text[-1:]
    if unit not in UNITS or not (amount.isascii() and amount.isdigit()) or not 0 < int(amount) <= 10_000:
        raise Failure(f"{text!r} is no time: write 8h, 30d or 2w", code=2)
    return int(amount) * UNITS[unit]


def _row(device: DeviceRecord) -> tuple[str, ...]:
    sound = {"required": "always encrypted", "off": "never encrypted", "optional": "encrypted if it can"}
    return (
        device.id,
        device.number,
        device.name,
        device.kind,
        _when(device.last_seen) or "never",
        _when(device.expires_at),
        sound.get(device.security, ""),
    )


def _when(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at)) if at else ""


def _to_json(device: DeviceRecord) -> dict[str, Any]:
    from dataclasses import fields

    return {each.name: getattr(device, each.name) for each in fields(device) if each.name != "ha1s"}
