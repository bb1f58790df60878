# SPDX-License-Identifier: Apache-2.0
"""Which settings exist, what they mean and what they may be.

Every setting is one field; the text below it is its documentation (`docs/settings.md` is printed from here
by `settings_page.py`). Reading files, the environment and flags is `config_file.py`'s business.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from ringback.server.acme.settings import AcmeSettings
from ringback.server.call_records.settings import RecordSettings
from ringback.server.conference_settings import checked_room
from ringback.server.config_types import (
    DigestAlgorithm,
    HostName,
    HostPort,
    IpAddress,
    LogLevel,
    Port,
    Seconds,
    Section,
)
from ringback.server.tracing.settings import TraceSettings
from ringback.server.web_settings import WebSettings


class SipSettings(Section):
    """Where SIP is spoken and how others name this server."""

    domain: HostName = ""
    """The domain in the addresses of your users, as in sip:101@example.com. Empty: the advertised address is
    used, which is what phones on a local network want."""

    aliases: tuple[HostName, ...] = ()
    """Other domain names that mean this server too. Its own addresses are known without being listed."""

    host: Annotated[tuple[IpAddress, ...], Field(min_length=1, max_length=16)] = ("0.0.0.0", "::")  # noqa: S104 (a server listens)
    """The addresses to listen on. "0.0.0.0" is every IPv4 address of this machine, "::" every IPv6 address;
    an IPv6 that the machine does not have is left out."""

    advertise: Annotated[tuple[IpAddress, ...], Field(max_length=2)] = ()
    """The address that phones are told to reach us at, at most one for IPv4 and one for IPv6. Empty: the
    address of the interface that reaches the default route. Behind a router with port forwarding, put
    the public address here."""

    port: Port = 5060
    """The port for SIP over UDP and TCP. 0 takes a free one."""

    tls_port: Port = 5061
    """The port for SIP over TLS. 0 takes a free one."""

    tcp_keep_alive: Seconds = 95.0
    """How often a quiet connection is asked whether it is still there (RFC 5626 section 4.4.1)."""


class TlsSettings(Section):
    """The certificate shown to phones that connect with TLS."""

    certificate: Path | None = None
    """A file with your certificate and its chain, in PEM form. Empty: one is made, signed by a certificate
    authority that belongs to this data directory and is renewed without being asked."""

    key: Path | None = None
    """The file with the private key of `certificate`, in PEM form."""


class AuthenticationSettings(Section):
    """How users prove who they are (RFC 7616, RFC 8760)."""

    algorithms: Annotated[tuple[DigestAlgorithm, ...], Field(min_length=1)] = ("SHA-256", "MD5")
    """The digest algorithms that are offered, the preferred one first. Many older phones speak only MD5.
    Browser phones (JsSIP, SIP.js) know only MD5 and look at nothing but the last one: keep it there."""

    md5_only_agents: Annotated[tuple[str, ...], Field(max_length=100)] = ()
    """How the User-Agent of phones begins that give up when they are offered anything but MD5, as
    "Grandstream HT801". Old baresip is known without being listed."""

    nonce_lifetime: Annotated[float, Field(ge=10, le=86_400)] = 300.0
    """How long a challenge may be answered, in seconds. Later, the phone gets a new one without asking its
    owner.
    """


class RegistrarSettings(Section):
    """What phones may register (RFC 3261 section 10.3)."""

    minimum_expires: Annotated[int, Field(ge=1, le=86_400)] = 60
    """The shortest time in seconds a phone may register for; less is answered with 423 (Interval Too
    Brief).
    """

    default_expires: Annotated[int, Field(ge=1, le=604_800)] = 3600
    """The time in seconds a registration lasts when the phone does not say how long."""

    maximum_expires: Annotated[int, Field(ge=1, le=604_800)] = 7200
    """The longest time in seconds a registration lasts; more is shortened to this."""

    max_contacts: Annotated[int, Field(ge=1, le=100)] = 10
    """How many phones one user may have registered at the same time."""


class ProxySettings(Section):
    """How calls are passed on (RFC 3261 section 16)."""

    record_route: bool = True
    """Stay on the path of a call after it is answered. Phones behind NAT need it."""

    recurse_on_redirect: bool = True
    """Follow the new addresses when a phone answers with a redirection (3xx). Otherwise the caller gets
    them.
    """

    redirect_instead_of_proxy: bool = False
    """Answer calls with the addresses of the called user's phones (302) instead of passing the call on."""

    strangers_may_call: bool = False
    """Let callers who are not users here call the users here. They can never call out of the domain."""

    users_may_call_out: bool = True
    """Let users here call addresses in other domains."""

    timer_c: Annotated[float, Field(gt=180, le=3600)] = 181.0
    """How long a call may ring without any news before it is given up, in seconds. RFC 3261 section 16.6
    asks for more than three minutes."""

    ring_time: Annotated[float, Field(ge=5, le=600)] = 120.0
    """How long the phones of a user ring before the caller is told that nobody answers, in seconds."""

    max_branches: Annotated[int, Field(ge=1, le=64)] = 16
    """How many phones one call may ring."""

    max_breadth: Annotated[int, Field(ge=1, le=255)] = 60
    """How many branches a call may have in all proxies together (RFC 5393)."""


class NatSettings(Section):
    """Phones behind routers that translate addresses (RFC 4787)."""

    keepalive: Annotated[float, Field(ge=0, le=3600)] = 25.0
    """How often a phone that registered through such a router over UDP is asked for a sign of life
    (OPTIONS), in seconds, so that the router does not forget the way to it: many forget it after 30.
    0: never."""


class CallSettings(Section):
    """How two phones are joined to a call."""

    mode: Literal["bridge", "proxy"] = "bridge"
    """bridge: this server is a party to both halves of every call, so that phones that have nothing in common
    (encryption, codecs, addresses) can speak, and transfers work between any two of them. proxy: it only
    passes the signalling on, and the phones must find a way to each other by themselves. Calls that are on go
    on as they began."""

    max_bridged: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    """How many calls may be bridged at the same time; the next caller is told to try again (503)."""

    max_duration: Annotated[int, Field(ge=0, le=604_800)] = 0
    """After how many seconds a bridged call is ended, whoever still speaks. 0: never."""


class MediaSettings(Section):
    """Where sound and pictures flow: for the calls this server answers itself, and for those whose two ends
    cannot send to each other."""

    first_port: Annotated[int, Field(ge=1024, le=65534)] = 10_000
    """The first UDP port used for RTP and RTCP."""

    last_port: Annotated[int, Field(ge=1025, le=65535)] = 20_000
    """The last UDP port used for RTP and RTCP. Each call takes two, one between two phones four or more."""

    engine: Literal["own", "rtpengine"] = "own"
    """Who carries the sound of calls between phones: processes of this server, or an rtpengine that runs
    beside it."""

    workers: Annotated[int, Field(ge=1, le=64)] = 1
    """How many processes of our own carry sound."""

    rtpengine: HostPort = "127.0.0.1:2223"
    """Where rtpengine listens for commands (its `listen-ng`), as address:port."""

    webrtc_port: Port = 0
    """One UDP port for the sound and pictures of all browsers, for firewalls that open only one. 0: each call
    takes ports of its own."""

    anchor: Literal["needed", "always", "never"] = "needed"
    """When the sound of a bridged call comes through this server. needed: when the two ends could not speak
    otherwise (encryption, codecs, address families, routers between them), or when somebody records or
    listens. always: every call. never: not even then; such calls fail."""

    security: Literal["optional", "required", "off"] = "optional"
    """Whether sound is encrypted (SRTP) on the way to each phone. optional: where the phone can. required:
    calls of phones that cannot are refused. off: only towards browsers, which know nothing else."""

    max_calls: Annotated[int, Field(ge=1, le=10_000)] = 200
    """How many calls to built-in numbers there may be at the same time."""


class LimitSettings(Section):
    """What strangers can make grow has an end."""

    max_message: Annotated[int, Field(ge=2048, le=1_048_576)] = 65_536
    """The longest SIP message that is read, in bytes."""

    max_connections: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    """How many connections may be open at the same time."""

    max_connections_per_address: Annotated[int, Field(ge=1, le=1_000_000)] = 100
    """How many connections one IP address may have open at the same time."""

    max_transactions: Annotated[int, Field(ge=100, le=10_000_000)] = 100_000
    """How many requests may be in progress at the same time; beyond it new ones are answered with 503. Four
    times as many that are answered may wait for repetitions (32 seconds, about 4 KB each)."""

    handshake_timeout: Seconds = 5.0
    """How long a TLS or WebSocket handshake may take, in seconds."""

    first_message_timeout: Seconds = 10.0
    """How long a new connection may stay silent, in seconds."""

    message_timeout: Seconds = 5.0
    """How long the pieces of one message may be apart on a connection, in seconds."""

    write_queue: Annotated[int, Field(ge=65_536, le=16_777_216)] = 262_144
    """How many bytes may wait for a peer that does not read, before its connection is closed."""


class ConferenceSettings(Section):
    """Rooms in which many talk with each other. *6 mutes; recordings are in the data directory."""

    rooms: Annotated[tuple[Annotated[str, AfterValidator(checked_room)], ...], Field(max_length=1000)] = ()
    """The numbers of the rooms: "300" (for 50 users), or "300 pin=4711 limit=20 record guests"."""


class OverloadSettings(Section):
    """Who is served first when more comes than this server can do (RFC 6357). Calls that are on go on."""

    enabled: bool = True
    """Under overload, serve in the order of what is at stake, and refuse new calls with 503 once they waited
    for 0.2 seconds. Otherwise it is first come, first served, until nothing is served in time."""

    emergency_numbers: Annotated[tuple[str, ...], Field(max_length=100)] = ("112", "911")
    """The numbers that people dial for help, as they dial them. Under overload these calls go first; so do
    calls to urn:service:sos (RFC 5031) without being listed."""

    trunks: Annotated[tuple[IpAddress, ...], Field(max_length=1000)] = ()
    """The addresses of other servers that send calls here for many people. Their calls go before calls of
    phones that have not registered, and they are never told to stop sending for some seconds."""

    shortest_retry: Annotated[int, Field(ge=1, le=3600)] = 5
    """How soon a phone that was refused may try again, in seconds. Each one is told another time between this
    and `longest_retry`, so that they do not come back all at once."""

    longest_retry: Annotated[int, Field(ge=1, le=3600)] = 30
    """The longest time that a phone which was refused is told to wait, in seconds."""


class LogSettings(Section):
    """What is written about what happens."""

    level: LogLevel = "info"
    """How much is written: debug, info, warning or error."""

    trace_file: Path | None = None
    """A file to which every SIP message that is sent or received is appended, as one line of JSON, secrets
    hidden. `ringback ladder FILE` draws the calls in it. At 10 MB it is moved to FILE.1, over the one before;
    only its owner can read it. Empty: no message is written down."""


class Settings(Section):
    """Everything that can be set. A change in `data`, `workers`, `[sip]`, `[web]` or `[media]` needs a
    restart."""

    data: Path | None = None
    """The directory with everything this server keeps: users, registrations, keys.
    Empty: ~/.local/share/ringback, or $XDG_DATA_HOME/ringback."""

    workers: Annotated[int, Field(ge=1, le=64)] = 1
    """How many processes share the work of signalling, on the same ports: about as many as the machine has
    cores. 1: everything in one process."""

    demo: bool = False
    """Make two users, 101 and 102, with new passwords that are printed at start: for trying things out."""

    sip: SipSettings = SipSettings()
    web: WebSettings = WebSettings()
    tls: TlsSettings = TlsSettings()
    acme: AcmeSettings = AcmeSettings()
    authentication: AuthenticationSettings = AuthenticationSettings()
    registrar: RegistrarSettings = RegistrarSettings()
    proxy: ProxySettings = ProxySettings()
    nat: NatSettings = NatSettings()
    calls: CallSettings = CallSettings()
    media: MediaSettings = MediaSettings()
    conference: ConferenceSettings = ConferenceSettings()
    limits: LimitSettings = LimitSettings()
    overload: OverloadSettings = OverloadSettings()
    log: LogSettings = LogSettings()
    trace: TraceSettings = TraceSettings()
    records: RecordSettings = RecordSettings()


def contradictions(settings: Settings) -> list[tuple[tuple[str, ...], str]]:
    """Settings that are fine alone and wrong together: the path of one of them, and a sentence."""
    found: list[tuple[tuple[str, ...], str]] = []
    registrar, media, tls = settings.registrar, settings.media, settings.tls
    if registrar.default_expires < registrar.minimum_expires:
        found.append(
            (("registrar", "default_expires"), f"is less than minimum_expires ({registrar.minimum_expires})")
        )
    if registrar.maximum_expires < registrar.default_expires:
        found.append(
            (("registrar", "maximum_expires"), f"is less than default_expires ({registrar.default_expires})")
        )
    if media.last_port <= media.first_port:
        found.append((("media", "last_port"), f"is not above first_port ({media.first_port})"))
    if settings.overload.longest_retry < settings.overload.shortest_retry:
        shortest = settings.overload.shortest_retry
        found.append((("overload", "longest_retry"), f"is less than shortest_retry ({shortest})"))
    if (tls.certificate is None) != (tls.key is None):
        given, missing = ("certificate", "key") if tls.key is None else ("key", "certificate")
        found.append((("tls", given), f"is given without tls.{missing}; both or none are needed"))
    if len({":" in address for address in settings.sip.advertise}) < len(settings.sip.advertise):
        found.append(
            (
                ("sip", "advertise"),
                "has two addresses of one family; one for IPv4 and one for IPv6 can be told",
            )
        )
    return found + _acme_needs(settings) + _turn_needs(settings) + _port_clashes(settings)


def _acme_needs(settings: Settings) -> list[tuple[tuple[str, ...], str]]:
    """A certificate from an authority needs a way to show that the name is ours."""
    acme = settings.acme
    if not acme.enabled:
        return []
    if settings.tls.certificate is not None:
        return [
            (("acme", "enabled"), "is on, and tls.certificate brings a certificate; one of them is enough")
        ]
    if acme.challenge == "dns" and acme.dns_hook is None:
        return [(("acme", "challenge"), "is dns, which needs acme.dns_hook")]
    if acme.challenge == "http" and not settings.web.console:
        return [(("acme", "challenge"), "is http, which needs web.console")]
    return []


def _turn_needs(settings: Settings) -> list[tuple[tuple[str, ...], str]]:
    """A TURN server serves nobody without credentials."""
    if settings.web.turn_secret_file is None and any(
        server.startswith("turn") for server in settings.web.ice_servers
    ):
        return [(("web", "ice_servers"), "has a TURN server, which needs web.turn_secret_file")]
    return []


def _port_clashes(settings: Settings) -> list[tuple[tuple[str, ...], str]]:
    """Two listeners for TCP cannot share a port."""
    taken: dict[int, str] = {}
    found: list[tuple[tuple[str, ...], str]] = []
    ports = (
        ("sip", "port", settings.sip.port),
        ("sip", "tls_port", settings.sip.tls_port),
        ("web", "http_port", settings.web.http_port),
        ("web", "https_port", settings.web.https_port),
    )
    for section, key, port in ports:
        if port and port in taken:
            found.append(((section, key), f"is the same port as {taken[port]} ({port})"))
        taken.setdefault(port, f"{section}.{key}")
    return found
