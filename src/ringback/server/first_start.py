# SPDX-License-Identifier: Apache-2.0
"""What has to be there before a server can start, made on the first start and found on the next.

The data directory, the secret, the store, the domain and the addresses (with the reasons for them), the
realm, the certificate. `prepare` makes an `Installation` of them.
"""

from __future__ import annotations

import datetime
import json
import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ringback.net.network import Network
from ringback.server.acme.upkeep import usable_acme_files
from ringback.server.addresses import Choice, advertised_addresses, domain, other_names
from ringback.server.certificates import (
    AUTHORITY,
    CertificateFiles,
    brought_certificate,
    local_certificate,
    server_context,
)
from ringback.server.config import Settings
from ringback.server.config_file import Loaded, default_data_directory
from ringback.server.data_directory import make_directory
from ringback.server.identity import Identity
from ringback.server.secret import derive, load_or_make_secret
from ringback.server.storage.records import RecordStore
from ringback.server.storage.sealing import Sealer
from ringback.server.storage.snapshot import Snapshot
from ringback.server.storage.sqlite import FILE_NAME, SqliteStore
from ringback.server.storage.store import NewerStoreError, StorageError, Store
from ringback.sip.flow import Address

Clock = Callable[[], datetime.datetime]
OpenStore = Callable[[Path], tuple[Store, bytes]]


@dataclass(frozen=True, slots=True)
class Installation:
    """Everything `serve` needs, and what it should tell."""

    settings: Settings
    directory: Path
    is_new: bool
    store: Store
    identity: Identity
    certificate: CertificateFiles
    domain: Choice
    advertised: tuple[Choice, ...]
    snapshot: Snapshot
    notes: tuple[str, ...] = ()


def data_directory(settings: Settings) -> Path:
    """The directory of these settings."""
    return settings.data or default_data_directory(os.environ)


def open_store(directory: Path) -> tuple[Store, bytes]:
    """The store of a data directory that exists, and the secret beside it."""
    secret = load_or_make_secret(directory)
    return SqliteStore.open(directory / FILE_NAME, sealer=_sealer(secret)), secret


def open_records(directory: Path) -> RecordStore:
    """The records of calls, in the same file."""
    return RecordStore.open(directory / FILE_NAME, sealer=_sealer(load_or_make_secret(directory)))


def open_store_or_snapshot(directory: Path) -> tuple[Store, bytes]:
    """The same for a server, which goes on with the users it knew when the database cannot be used now."""
    try:
        return open_store(directory)
    except NewerStoreError:
        raise
    except StorageError as error:
        secret = load_or_make_secret(directory)
        store = Snapshot(directory, _sealer(secret)).open(str(error))
        if store is None:
            raise
        return store, secret


def sealer_of(directory: Path) -> Sealer:
    """What opens the seals of a data directory that exists."""
    return _sealer(load_or_make_secret(directory))


def _sealer(secret: bytes) -> Sealer:
    return Sealer(derive(secret, "stored digests"))


async def prepare(
    loaded: Loaded, network: Network, *, clock: Clock, open_store: OpenStore = open_store
) -> Installation:
    """Find what there is, make what is missing."""
    settings = loaded.settings
    directory = data_directory(settings)
    make_directory(directory)
    store, secret = open_store(directory)
    is_new = store.value("realm") is None

    def origin(*path: str) -> str:
        return loaded.origins.get(path, "")

    advertised = await advertised_addresses(settings, network, origin=origin)
    chosen = domain(settings, advertised, origin=origin)
    realm, notes = settle_realm(store, chosen.value)
    if is_new:
        store.put_value("addresses", json.dumps(_planned_addresses(settings, advertised[0].value)))
    aliases = other_names(settings, advertised)
    certificate = certificate_files(settings, directory, (chosen.value, *aliases), now=clock())
    identity = Identity(
        domain=chosen.value,
        advertised=tuple(choice.value for choice in advertised),
        realm=realm,
        secret=derive(secret, "nonces and tokens"),
        server_tls=server_context(certificate),
        client_tls=client_context(certificate),
        aliases=aliases,
    )
    degraded = [store.health().failure] if store.health().failure else []
    return Installation(
        settings=settings,
        directory=directory,
        is_new=is_new,
        store=store,
        identity=identity,
        certificate=certificate,
        domain=chosen,
        advertised=tuple(advertised),
        snapshot=Snapshot(directory, _sealer(secret)),
        notes=(*loaded.warnings, *degraded, *notes),
    )


def settle_realm(store: Store, domain_now: str) -> tuple[str, list[str]]:
    """The realm is the first domain and stays: stored digests are made for it. Says what a new domain
    means.
    """
    realm, last = store.value("realm"), store.value("domain")
    if realm is None:
        realm = domain_now
        store.put_value("realm", realm)
    notes = []
    if last is not None and last != domain_now:
        notes.append(
            f"the domain was {last} and is {domain_now} now. Passwords stay valid (their realm is still "
            f"{realm}), but phones that were set up for {last} must be given the new domain"
        )
    if last != domain_now:
        store.put_value("domain", domain_now)
    return realm, notes


def certificate_files(
    settings: Settings, directory: Path, names: tuple[str, ...], *, now: datetime.datetime
) -> CertificateFiles:
    """The owner's certificate if one was brought, one that a public authority gave, else one of our own."""
    if settings.tls.certificate and settings.tls.key:
        return brought_certificate(settings.tls.certificate, settings.tls.key)
    given = usable_acme_files(settings, directory, now=now)
    if given is not None:
        return given
    return local_certificate(directory, names, now=now)


def shown_authority(settings: Settings, directory: Path) -> Path | None:
    """The certificate of our own authority, if what is shown now was signed by it."""
    if settings.tls.certificate and settings.tls.key:
        return None
    if usable_acme_files(settings, directory, now=datetime.datetime.now(datetime.UTC)) is not None:
        return None
    return directory / AUTHORITY


def _planned_addresses(settings: Settings, host: str) -> dict[str, str]:
    """Where phones will reach a server that never ran, so that accounts can be handed out before it does."""
    sip, tls = (
        str(Address(host, settings.sip.port or 5060)),
        str(Address(host, settings.sip.tls_port or 5061)),
    )
    return {"udp": sip, "tcp": sip, "tls": tls}


def client_context(certificate: CertificateFiles) -> ssl.SSLContext:
    """For connections we open: the platform's authorities, and our own."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if certificate.ca is not None:
        context.load_verify_locations(certificate.ca)
    return context
