# SPDX-License-Identifier: Apache-2.0
"""`ringback user`: add, list and remove users, change passwords. Works beside a running server and without
one.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from contextlib import closing
from typing import TYPE_CHECKING, TypeVar

import click

from ringback.cli.options import Place, installation_options, place
from ringback.cli.output import Failure, note, print_json, print_table

if TYPE_CHECKING:
    from ringback.pbx.phone_settings import PhoneSettings, ServerAddress
    from ringback.server.storage.store import Store, UserRecord

Found = TypeVar("Found")

password_option = click.option(
    "--password",
    metavar="SECRET",
    help="Use this password ('-' reads it from standard input); else one is made.",
)
qr_option = click.option("--qr/--no-qr", default=True, help="Print a QR code for the phone.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def command() -> None:
    """Add, list and remove users, and change their passwords."""


@command.command()
@click.argument("number")
@click.argument("name", default="")
@password_option
@qr_option
@json_option
@installation_options
def add(
    number: str,
    name: str,
    *,
    password: str | None,
    qr: bool,
    as_json: bool,
    data: str | None,
    config: str | None,
) -> None:
    """Add a user. NUMBER is what others dial and the user name of the phone; NAME is what they see."""
    from ringback.pbx.accounts import EMERGENCY_NUMBERS, checked_name, checked_number
    from ringback.pbx.phone_settings import PhoneSettings

    wrong_use(lambda: checked_number(number))
    shown_name = wrong_use(lambda: checked_name(name))
    where = place(data, config)
    secret = _chosen_password(password)
    with closing(opened_store(where)) as store:
        existing = {user.number: user for user in store.users()}
        if number in existing:
            raise Failure(f"user {_label(existing[number])} exists already; for a new password: "
                          f"ringback user password {number}")  # fmt: skip
        if number in EMERGENCY_NUMBERS:
            note(
                f"{number} is an emergency number in some countries; inside this office it reaches your user"
            )
        _warn_about_name(shown_name, existing.values())
        _store_user(store, number, shown_name, secret)
        server = tell_server(where, store)
    account = PhoneSettings(number, shown_name, secret, server)
    _show(account, "is added", qr=qr, as_json=as_json)


@command.command("list")
@json_option
@installation_options
def list_users(*, as_json: bool, data: str | None, config: str | None) -> None:
    """List the users."""
    where = place(data, config)
    users: list[UserRecord] = []
    if where.directory.is_dir():
        with closing(opened_store(where)) as store:
            users = sorted(store.users(), key=lambda user: (len(user.number), user.number))
    if as_json:
        print_json([{"number": user.number, "name": user.name, "made_by": user.made_by} for user in users])
        return
    rows = [(user.number, user.name, "made by --demo" if user.made_by == "demo" else "") for user in users]
    print_table(
        ("NUMBER", "NAME", ""), rows, when_empty="There are no users yet. Add one: ringback user add 101 Anna"
    )


@command.command()
@click.argument("number")
@password_option
@qr_option
@json_option
@installation_options
def password(
    number: str, *, password: str | None, qr: bool, as_json: bool, data: str | None, config: str | None
) -> None:
    """Give a user a new password; the old one ends at once. Devices keep those of their own."""
    from ringback.pbx.phone_settings import PhoneSettings

    where = place(data, config).must_exist()
    secret = _chosen_password(password)
    with closing(opened_store(where)) as store:
        user = user_in(store, number)
        _store_user(store, number, user.name, secret)
        server = tell_server(where, store)
    account = PhoneSettings(number, user.name, secret, server)
    _show(account, "has a new password", qr=qr, as_json=as_json)


@command.command()
@click.argument("number")
@installation_options
def remove(number: str, *, data: str | None, config: str | None) -> None:
    """Remove a user with all devices and their registrations."""
    where = place(data, config).must_exist()
    with closing(opened_store(where)) as store:
        user = user_in(store, number)
        store.remove_user(number)
        tell_server(where, store, reminds=False)
    click.echo(f"User {_label(user)} is removed.")


def opened_store(where: Place) -> Store:
    """The store; on a fresh machine all of the first start happens here, since digests need a realm."""
    import asyncio
    import datetime

    from ringback.net.sockets import RealNetwork
    from ringback.server.first_start import open_store, prepare

    if where.directory.is_dir():
        store, _ = open_store(where.directory)
        if store.value("realm") is not None:
            return store
        store.close()
    installation = asyncio.run(
        prepare(where.loaded, RealNetwork(), clock=lambda: datetime.datetime.now(datetime.UTC))
    )
    return installation.store


def _store_user(store: Store, number: str, name: str, secret: str) -> None:
    from ringback.pbx.accounts import new_user

    store.remove_bindings_of(number, device="")  # a phone with the old password is registered no longer
    store.put_user(new_user(number, name, password=secret, realm=store.value("realm") or ""))


def tell_server(
    where: Place, store: Store, *, verb: str = "users-changed", reminds: bool = True
) -> ServerAddress:
    """Make a running server read the users again; where phones reach it. The store has the change already."""
    from ringback.pbx.phone_settings import ServerAddress
    from ringback.server.control import ControlError

    try:
        is_told = where.ask(verb) is not None
    except ControlError as error:
        note(f"the running server does not know yet ({error}); it will after a restart")
        is_told = True
    if reminds and not is_told:
        note("the server is not running now; start it with `ringback serve`")
    addresses = json.loads(store.value("addresses") or "{}")
    return ServerAddress(store.value("domain") or "", addresses)


def user_in(store: Store, number: str) -> UserRecord:
    """The user with this number, or a sentence about who there is."""
    for user in store.users(number=number):
        return user
    users = sorted(user.number for user in store.users(asleep=True))
    known = f"the users are {', '.join(users[:20])}" if users else "there are no users yet"
    raise Failure(f"there is no user {number!r}; {known}")


def _chosen_password(given: str | None) -> str:
    from ringback.pbx.accounts import SHORT_PASSWORD, checked_password, make_password

    if given is None:
        return make_password()
    secret = sys.stdin.readline().rstrip("\r\n") if given == "-" else given
    wrong_use(lambda: checked_password(secret))
    if len(secret) < SHORT_PASSWORD:
        note(f"this password is short ({len(secret)} characters); strangers guess without getting tired")
    return secret


def _warn_about_name(name: str, others: Iterable[UserRecord]) -> None:
    from ringback.pbx.directory import dialled_name

    same = [user.number for user in others if name and dialled_name(user.name) == dialled_name(name)]
    if same:
        note(f"user {same[0]} has that name too; the name reaches neither of them, the numbers still work")


def _label(user: UserRecord) -> str:
    return f"{user.number} ({user.name})" if user.name else user.number


def wrong_use(check: Callable[[], Found]) -> Found:
    """What the check returns; what it refuses is a wrong use of the command (exit code 2)."""
    from ringback.pbx.accounts import InvalidAccount

    try:
        return check()
    except InvalidAccount as error:
        raise Failure(str(error), code=2) from error


def _show(account: PhoneSettings, what: str, *, qr: bool, as_json: bool) -> None:
    from ringback.cli.account_settings import described, print_account

    if as_json:
        print_json(described(account))
        return
    label = f"{account.number} ({account.name})" if account.name else account.number
    click.echo(f"User {label} {what}. Enter this into the phone:")
    print_account(account, with_qr=qr)
