# SPDX-License-Identifier: Apache-2.0
"""What does a worker need to know before it can serve? One message from the supervisor, over their link.

It holds secrets: nothing of it stands in arguments or in the environment, where other programs can look.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ringback.server.certificates import CertificateFiles, server_context
from ringback.server.cluster.ports import Place
from ringback.server.config import Settings
from ringback.server.first_start import client_context
from ringback.server.identity import Identity
from ringback.sip.flow import Address


@dataclass(frozen=True, slots=True)
class WorkerSetup:
    """Everything. `sockets` and `ways` are descriptors that the worker inherits."""

    number: int
    count: int
    settings: Settings
    identity: Identity
    certificate: CertificateFiles
    secret: bytes = field(repr=False)
    sockets: dict[Place, int]
    inbox: int
    ways: dict[int, int]
    users: dict[str, Any] = field(repr=False)
    #: The local sockets of the media workers.
    media: tuple[str, ...] = ()
    #: The local socket of the web process.
    web: Path | None = None

    @property
    def descriptors(self) -> list[int]:
        """All that the worker inherits."""
        return [*self.sockets.values(), self.inbox, *self.ways.values()]

    def to_json(self) -> dict[str, Any]:
        """For the link."""
        identity = self.identity
        return {
            "number": self.number,
            "count": self.count,
            "settings": self.settings.model_dump_json(),
            "domain": identity.domain,
            "advertised": identity.advertised,
            "realm": identity.realm,
            "installation_secret": identity.secret.hex(),
            "aliases": identity.aliases,
            "certificate": certificate_to_json(self.certificate),
            "secret": self.secret.hex(),
            "sockets": [[*place, descriptor] for place, descriptor in self.sockets.items()],
            "inbox": self.inbox,
            "ways": list(self.ways.items()),
            "users": self.users,
            "media": self.media,
            "web": str(self.web) if self.web is not None else None,
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> WorkerSetup:
        """What `to_json` wrote; TLS contexts are made here."""
        certificate = certificate_from_json(values["certificate"])
        identity = Identity(
            domain=values["domain"],
            advertised=tuple(values["advertised"]),
            realm=values["realm"],
            secret=bytes.fromhex(values["installation_secret"]),
            server_tls=server_context(certificate),
            client_tls=client_context(certificate),
            aliases=tuple(values["aliases"]),
        )
        return cls(
            number=values["number"],
            count=values["count"],
            settings=Settings.model_validate_json(values["settings"]),
            identity=identity,
            certificate=certificate,
            secret=bytes.fromhex(values["secret"]),
            sockets={(kind, Address(*place)): descriptor for kind, place, descriptor in values["sockets"]},
            inbox=values["inbox"],
            ways=dict(values["ways"]),
            users=values["users"],
            media=tuple(values["media"]),
            web=Path(values["web"]) if values["web"] else None,
        )


def certificate_to_json(files: CertificateFiles) -> list[str]:
    """The names of the files; every worker reads them for itself."""
    return [str(file) for file in (files.certificate, files.key, files.ca) if file is not None]


def certificate_from_json(names: list[str]) -> CertificateFiles:
    """What `certificate_to_json` wrote."""
    certificate, key, *ca = map(Path, names)
    return CertificateFiles(certificate, key, ca[0] if ca else None)
