# SPDX-License-Identifier: Apache-2.0
"""How do users, their devices and what phones need look in the API?"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ringback.web.api.shapes import Dialled, Given, Number, Page, Shape

Name = Annotated[str, Field(max_length=64)]
EmailAddress = Annotated[str, Field(max_length=254, pattern=r"^$|^[^@\s\x00-\x1f]+@[^@\s\x00-\x1f]+$")]
DeviceKind = Literal["phone", "browser", "app"]
DeviceSecurity = Literal["", "optional", "required", "off"]
RoleName = Literal["owner", "admin", "operator", "person"]


class Office(Shape):
    """What the whole office has in common."""

    name: str = ""
    country: str = ""
    domain: str = ""
    operator: list[str] = []
    """The numbers that ring when somebody dials 0; empty: everyone who has a registered phone."""
    set_up: bool = False


class OfficeChange(Given):
    """What is to change; what is left out stays as it is."""

    name: Annotated[str, Field(max_length=100)] | None = None
    country: Annotated[str, Field(pattern=r"^([A-Z]{2})?$")] | None = None
    """ISO 3166 code of the country, as "DE"."""
    operator: Annotated[list[Number], Field(max_length=100)] | None = None
    set_up: bool | None = None


class User(Shape):
    """A user: a number, and the person who signs in for it if there is one."""

    number: str
    name: str = ""
    email: str = ""
    role: str = ""
    """The role of the person who signs in; empty when nobody can."""
    devices: int = 0
    registered: int = 0
    on_call: bool = False


class Users(Page):
    """Users by number."""

    items: list[User] = []


class NewUser(Given):
    """A user to be added. Without a number it gets the next free one."""

    name: Name
    number: Number | None = None
    email: EmailAddress = ""


class UserChange(Given):
    """What is to change; what is left out stays as it is."""

    name: Name | None = None
    email: EmailAddress | None = None
    role: RoleName | None = None


class PastedUsers(Given):
    """One user a line: a name, and after a comma an e-mail address and a number if wanted."""

    text: Annotated[str, Field(min_length=1, max_length=65_536)]


class Invitation(Shape):
    """A link with which somebody chooses a password and signs in. It is shown once."""

    link: str
    expires_at: float


class Account(Shape):
    """What has to be entered into a phone. The password is shown once and kept nowhere."""

    number: str
    password: str
    server: str = ""
    domain: str = ""
    qr: str = ""
    """A QR code for phone apps: an SVG picture as a `data:` address."""
    uri: str = ""
    invitation: Invitation | None = None


class AddedUser(Shape):
    """A user that was added, and its account."""

    user: User
    account: Account


class LineProblem(Shape):
    """What is wrong with one line of a pasted text."""

    line: int
    message: str


class AddedUsers(Shape):
    """The users that were added, and the lines that were not understood."""

    items: list[AddedUser] = []
    problems: list[LineProblem] = []


class Device(Shape):
    """One phone of a user, with a password of its own. Without an id: the account of the user itself."""

    id: str
    number: str = ""
    name: str = ""
    kind: str = "phone"
    created_at: float = 0.0
    expires_at: float = 0.0
    last_seen: float = 0.0
    made_by: str = ""
    security: str = ""


class Devices(Shape):
    """The devices of one user."""

    items: list[Device] = []
    total: int = 0


class NewDevice(Given):
    """A device to be added."""

    name: Annotated[str, Field(min_length=1, max_length=64)]
    kind: DeviceKind = "phone"


class DeviceChange(Given):
    """What is to change; what is left out stays as it is."""

    name: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    security: DeviceSecurity | None = None


class AddedDevice(Shape):
    """A device that was added. The password is shown once and kept nowhere."""

    device: Device
    password: str
    qr: str = ""
    settings: dict[str, str] = {}
    """What to enter where: the words on the phone -> what belongs there."""


class InvitedPerson(Shape):
    """Who is invited by a link."""

    name: str = ""
    number: str = ""
    email: str = ""
    office: str = ""
    expires_at: float = 0.0


class Acceptance(Given):
    """The password that an invited person chooses."""

    password: Annotated[str, Field(min_length=1, max_length=256)]


class Registration(Shape):
    """A phone that is registered now."""

    user: str
    key: str = ""
    name: str = ""
    device: str = ""
    contact: str = ""
    transport: str = ""
    source: str = ""
    expires: int = 0
    q: float = 1.0
    agent: str = ""
    instance: str = ""
    path: list[str] = []
    registered_at: float = 0.0


class Registrations(Page):
    """Registered phones by number."""

    items: list[Registration] = []


class IceServer(Shape):
    """Where a browser finds its way through routers."""

    urls: list[str]
    username: str = ""
    credential: str = ""


class PhoneAccount(Shape):
    """All that a browser phone needs to register. `ha1` (RFC 7616) is of a password that nobody knows."""

    number: str
    name: str = ""
    uri: str
    ws: str
    realm: str
    ha1: str
    device: str
    ice_servers: list[IceServer] = []
    domain: str = ""
    expires_at: float = 0.0


class PhoneRequest(Given):
    """Which browser asks. One that kept the id of its device gets a new secret for it, and no second one."""

    device: Annotated[str, Field(max_length=64)] = ""
    name: Annotated[str, Field(max_length=64)] = ""


class HistoryEntry(Shape):
    """A call as one of its parties remembers it."""

    id: str
    at: float
    direction: Literal["in", "out"]
    number: str = ""
    name: str = ""
    result: str = ""
    seconds: float = 0.0


class History(Page):
    """The calls of one person, the newest first."""

    items: list[HistoryEntry] = []


class Contact(Shape):
    """Somebody in the office."""

    number: str
    name: str = ""
    state: Literal["online", "offline", "busy", "ringing"] = "offline"


class Contacts(Shape):
    """Everybody in the office."""

    items: list[Contact] = []
    total: int = 0


class GuestPage(Shape):
    """A page on which anybody may call one number: /call/NAME."""

    name: str
    number: str = ""
    title: str = ""
    enabled: bool = True


class GuestPages(Shape):
    """All pages for guests."""

    items: list[GuestPage] = []
    total: int = 0


class NewGuestPage(Given):
    """A page for guests; one of that name is replaced."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
    number: Number
    title: Annotated[str, Field(max_length=100)] = ""
    enabled: bool = True


class GuestWelcome(Shape):
    """What a guest sees before the call."""

    name: str
    title: str = ""
    office: str = ""
    enabled: bool = True


class GuestAccount(PhoneAccount):
    """All that a guest's browser needs for the one call it may make."""

    target: str
    target_name: str = ""
    title: str = ""


class CallRequest(Given):
    """A call to be placed: the phones of `from` ring; who picks up is connected with `to`."""

    from_: Annotated[Number, Field(alias="from")]
    to: Dialled


class TransferRequest(Given):
    """Connect who is at this side of the call (the callee if nothing is said) with somebody else."""

    to: Dialled
    leg: Literal["", "caller", "callee"] = ""


class RecordRequest(Given):
    """Start or stop recording."""

    on: bool


class PlayRequest(Given):
    """Play a prompt into one side of a call."""

    prompt: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$")]
    leg: Literal["", "caller", "callee"] = ""


class Placed(Shape):
    """A call that was placed."""

    id: str
