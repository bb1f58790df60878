# SPDX-License-Identifier: Apache-2.0
"""When is a new certificate fetched? When there is none, its names are others, or two thirds of its life are
over.

What goes wrong is said and tried again, ever more slowly; the certificate that is in use stays.
"""

from __future__ import annotations

import asyncio
import datetime
import logging
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509

from ringback.server.acme.errors import AcmeError
from ringback.server.certificates import CertificateFiles, names_in
from ringback.server.secret import write_private
from ringback.server.storage.store import StorageError

if TYPE_CHECKING:
    from ringback.server.acme.challenges import Challenges
    from ringback.server.acme.jws import AccountKey
    from ringback.server.config import Settings

logger = logging.getLogger("ringback.certificates")

INTERVAL = 3600.0
#: After a failure, in seconds; authorities close the door to those who knock too often.
DELAYS = (60.0, 300.0, 1800.0, 7200.0, 43_200.0)
#: The part of its life after which a certificate is renewed.
RENEW_AFTER = 2 / 3

FOLDER = "acme"
CHALLENGES = "challenges"

Clock = Callable[[], datetime.datetime]


def acme_files(directory: Path) -> CertificateFiles:
    """Where the certificate is, or will be."""
    folder = directory / FOLDER
    return CertificateFiles(folder / "certificate.pem", folder / "key.pem")


def challenge_folder(directory: Path) -> Path:
    """Where the pages of challenges are."""
    return directory / FOLDER / CHALLENGES


def acme_names(settings: Settings) -> tuple[str, ...]:
    """The names to ask for: host names only."""
    wanted = settings.acme.names or (settings.sip.domain, *settings.sip.aliases)
    return tuple(dict.fromkeys(name for name in wanted if name and "." in name and not _is_address(name)))


def usable_acme_files(
    settings: Settings, directory: Path, *, now: datetime.datetime
) -> CertificateFiles | None:
    """The files of the authority's certificate, if it can be shown now."""
    files = acme_files(directory)
    if not settings.acme.enabled:
        return None
    certificate = _certificate(files.certificate)
    if certificate is None or not files.key.is_file():
        return None
    is_valid = certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc
    return files if is_valid else None


def is_due(file: Path, names: Sequence[str], *, now: datetime.datetime) -> bool:
    """True when another certificate is needed."""
    certificate = _certificate(file)
    if certificate is None:
        return True
    begun, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return now >= begun + (ends - begun) * RENEW_AFTER or not set(names) <= {
        name.lower() for name in names_in(certificate)
    }


class AcmeUpkeep:
    """Runs beside a server. `changed` is called when another certificate is in its place."""

    def __init__(
        self,
        directory: Path,
        *,
        settings: Callable[[], Settings],
        changed: Callable[[], Awaitable[None]],
        clock: Clock,
    ) -> None:
        self._directory = directory
        self._settings = settings
        self._changed = changed
        self._clock = clock
        self._woken = asyncio.Event()
        self.failure = ""

    def wake(self) -> None:
        """The settings are others: look at once."""
        self._woken.set()

    async def run(self) -> None:
        """Look, wait, and look again, until cancelled."""
        failures = 0
        while True:
            self._woken.clear()
            wanted = INTERVAL
            try:
                await self.look()
                failures, self.failure = 0, ""
            except (AcmeError, StorageError) as error:
                wanted = _delay(error, failures)
                failures += 1
                self.failure = str(error)
                logger.warning("no certificate from the authority: %s; again in %d s", error, wanted)
            try:
                await asyncio.wait_for(self._woken.wait(), wanted)
            except TimeoutError:
                continue

    async def look(self) -> bool:
        """Look once; True when there is another certificate. Raises AcmeError or StorageError."""
        settings = self._settings()
        names = acme_names(settings)
        files = acme_files(self._directory)
        if not settings.acme.enabled or not is_due(files.certificate, names, now=self._clock()):
            return False
        if not names:
            raise AcmeError("there is no name to ask for: set sip.domain or acme.names to a domain name")
        logger.info("asking %s for a certificate for %s", settings.acme.directory, ", ".join(names))
        chain, key = await self._fetch(settings, names)
        await asyncio.to_thread(_save, files, chain, key)
        logger.info("the authority gave a certificate for %s", ", ".join(names))
        await self._changed()
        return True

    async def _fetch(self, settings: Settings, names: Sequence[str]) -> tuple[bytes, bytes]:
        # only now: the HTTP client takes 25 MB and 0.2 s to load
        from ringback.server.acme.client import AcmeClient  # noqa: PLC0415
        from ringback.server.acme.http import HttpsConnection  # noqa: PLC0415
        from ringback.server.acme.issuance import certificate_for  # noqa: PLC0415

        async with HttpsConnection(settings.acme.authorities) as http:
            key = await asyncio.to_thread(_account_key, self._directory / FOLDER / "account.pem")
            client = AcmeClient(http, key, settings.acme.directory)
            await client.begin(email=settings.acme.email)
            return await certificate_for(names, client, self._challenges(settings))

    def _challenges(self, settings: Settings) -> Challenges:
        from ringback.server.acme.challenges import DnsChallenges, HttpChallenges  # noqa: PLC0415

        if settings.acme.challenge == "dns":
            if settings.acme.dns_hook is None:
                raise AcmeError("acme.dns_hook is not set, which acme.challenge = 'dns' needs")
            return DnsChallenges(settings.acme.dns_hook)
        return HttpChallenges(challenge_folder(self._directory))


def _account_key(file: Path) -> AccountKey:
    """The account of this data directory, made when there is none."""
    from ringback.server.acme.jws import AccountKey  # noqa: PLC0415

    try:
        return AccountKey.from_pem(file.read_bytes())
    except FileNotFoundError:
        key = AccountKey.new()
        _make_folder(file.parent)
        write_private(file, key.to_pem())
        return key
    except (OSError, ValueError, TypeError) as error:
        raise StorageError(f"{file} cannot be read: {error}; remove it to make another account") from error


def _save(files: CertificateFiles, chain: bytes, key: bytes) -> None:
    """The key first; in between nothing is shown of either, since both are read together on a change."""
    _make_folder(files.key.parent)
    write_private(files.key, key)
    write_private(files.certificate, chain)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{folder} cannot be made: {error.strerror or error}") from error


def _delay(error: Exception, failures: int) -> float:
    wanted = DELAYS[min(failures, len(DELAYS) - 1)]
    asked = error.retry_after if isinstance(error, AcmeError) else None
    return wanted if asked is None else min(max(wanted, asked), 86_400.0)


def _certificate(file: Path) -> x509.Certificate | None:
    try:
        return x509.load_pem_x509_certificate(file.read_bytes())
    except (OSError, ValueError):
        return None


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
