# SPDX-License-Identifier: Apache-2.0
"""How do settings, tokens, webhooks, the audit log and the state of the server look in the API?"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from ringback.web.api.call_shapes import Verdict
from ringback.web.api.shapes import Given, Page, Shape

SettingValue = bool | int | float | str | list[str] | None


class Setting(Shape):
    """One setting: what it is, where that comes from, and what it may be."""

    path: str
    """As it is written in the file, with its section: "sip.domain"."""
    value: SettingValue
    default: SettingValue
    source: str
    """Where the value comes from: file:line:column, a variable, a flag; empty for the default."""
    doc: str
    type: Literal["text", "number", "integer", "boolean", "list", "path", "choice"]
    choices: list[str] = []
    minimum: float | None = None
    maximum: float | None = None
    needs_restart: bool = False
    is_writable: bool = True
    """False when a flag or a variable sets it: the file would not be heard."""
    problem: str = ""


class SettingsPage(Shape):
    """All settings. Send `version` with changes, so that nobody overwrites what they have not seen."""

    items: list[Setting] = []
    total: int = 0
    version: str = ""
    file: str = ""
    """Where changes are written."""
    is_writable: bool = True
    problem: str = ""


class SettingsChange(Given):
    """New values by path; null takes the setting out of the file, so that its default holds."""

    changes: Annotated[dict[Annotated[str, Field(max_length=100)], SettingValue], Field(max_length=200)]
    version: Annotated[str, Field(max_length=128)] = ""


class SettingsChanged(Shape):
    """What has changed, and what waits for a restart."""

    changed: list[str] = []
    needs_restart: list[str] = []
    version: str = ""


class CertificateState(Shape):
    """The certificate phones and browsers are shown."""

    subject: str = ""
    issuer: str = ""
    names: list[str] = []
    expires_at: float | None = None
    source: str = ""
    """Who made it: our own authority, a file, or ACME."""
    authority: str = ""
    """SHA-256 fingerprint of our own authority, if that made it. Devices learn to trust it at /trust."""
    problem: str = ""


class DiskState(Shape):
    """The disk that holds the data directory, in bytes."""

    total: int = 0
    free: int = 0
    database: int = 0
    recordings: int = 0


class TlsFailure(Shape):
    """A phone or browser with which no encrypted connection came about."""

    remote: str = ""
    local: str = ""
    kind: str = ""
    detail: str = ""
    server_name: str = ""
    we_called: bool = False
    first_at: float = 0.0
    last_at: float = 0.0
    count: int = 1
    verdict: Verdict | None = None


class SystemState(Shape):
    """How the server is doing."""

    version: str = ""
    uptime: float = 0.0
    domain: str = ""
    realm: str = ""
    advertised: list[str] = []
    addresses: dict[str, str] = {}
    users: int = 0
    registrations: int = 0
    calls: int = 0
    store: dict[str, Any] = {}
    certificate: CertificateState = CertificateState()
    disk: DiskState = DiskState()
    server: dict[str, Any] = {}
    """The counters of signalling."""
    media: dict[str, Any] = {}
    workers: list[dict[str, Any]] = []
    conferences: dict[str, Any] = {}
    trace: dict[str, Any] = {}
    web: dict[str, Any] = {}
    tls_failures: list[TlsFailure] = []


class Token(Shape):
    """An API token, without its secret."""

    id: str
    name: str = ""
    scopes: list[str] = []
    created_at: float = 0.0
    expires_at: float = 0.0
    used_at: float = 0.0
    person: str = ""


class Tokens(Shape):
    """The tokens of the person who asks, and the scopes one may have."""

    items: list[Token] = []
    total: int = 0
    scopes: dict[str, str] = {}


class NewToken(Given):
    """A token to be made."""

    name: Annotated[str, Field(min_length=1, max_length=64)]
    scopes: Annotated[list[Annotated[str, Field(max_length=40)]], Field(min_length=1, max_length=40)]
    expires: Annotated[float, Field(ge=0, le=32_503_680_000)] = 0.0
    """When it ends, in seconds since 1970. 0: never."""


class AddedToken(Shape):
    """A token that was made. `secret` is shown once and kept nowhere."""

    token: Token
    secret: str


class Webhook(Shape):
    """An address outside that is told what happens here."""

    id: str
    url: str
    events: list[str] = []
    """Kinds of events, "call.*" for all of a noun; "*" for all."""
    enabled: bool = True
    created_at: float = 0.0
    waiting: int = 0
    failure: str = ""
    """Why the last delivery failed; empty when it did not."""


class Webhooks(Shape):
    """All webhooks, and the kinds of events there are."""

    items: list[Webhook] = []
    total: int = 0
    kinds: dict[str, str] = {}


Url = Annotated[str, Field(min_length=1, max_length=2000, pattern=r"^https?://[^\s\x00-\x1f]+$")]
EventKinds = Annotated[
    list[Annotated[str, Field(pattern=r"^(\*|[a-z]{1,20}\.(\*|[a-z-]{1,20}))$")]],
    Field(min_length=1, max_length=50),
]


class NewWebhook(Given):
    """A webhook to be added."""

    url: Url
    events: EventKinds = ["*"]


class WebhookChange(Given):
    """What is to change; what is left out stays as it is."""

    url: Url | None = None
    events: EventKinds | None = None
    enabled: bool | None = None


class AddedWebhook(Shape):
    """A webhook that was added. `secret` signs its deliveries; it is shown once."""

    webhook: Webhook
    secret: str


class Delivery(Shape):
    """One event on its way to a webhook."""

    id: int
    event: str
    created_at: float
    attempts: int = 0
    next_attempt_at: float | None = None
    delivered_at: float | None = None
    status: int = 0
    failure: str = ""


class Deliveries(Page):
    """Deliveries, the newest first."""

    items: list[Delivery] = []


class AuditEntry(Shape):
    """Who changed what."""

    id: int
    at: float
    person: str = ""
    name: str = ""
    address: str = ""
    action: str = ""
    subject: str = ""
    before: Any = None
    after: Any = None


class AuditLog(Page):
    """Changes, the newest first."""

    items: list[AuditEntry] = []
