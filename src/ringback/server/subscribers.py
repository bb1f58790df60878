# SPDX-License-Identifier: Apache-2.0
"""Who has an account here, and who has just proved to be its owner?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from ringback.server.storage.devices import DeviceRecord, Security


@dataclass(slots=True)
class Subscriber:
    """A user of this server. `ha1s` maps a digest algorithm to H(number:realm:password).

    Nobody changes one; not frozen for the reason of `UserRecord`.
    """

    number: str
    name: str = ""
    ha1s: Mapping[str, str] = field(default_factory=dict, repr=False)
    devices: Sequence[DeviceRecord] = ()
    """Those with passwords of their own, besides that of the user in `ha1s`."""
    may_call: str = ""
    """The only number a guest may call. Guests call, and are called by nobody."""

    def own_secret(self, _: str, algorithm: str) -> str | None:
        """The HA1 of the user's own password (`digest_server.StoredSecret`)."""
        return self.ha1s.get(algorithm)

    def secrets_of_devices(self, _: str, algorithm: str) -> list[tuple[str, str]]:
        """Id and HA1 of each device (`digest_server.FurtherSecrets`)."""
        return [(each.id, each.ha1s[algorithm]) for each in self.devices if algorithm in each.ha1s]


#: Who claims to be a user that does not exist has nothing to prove it with.
NOBODY = Subscriber("")


class Subscribers(Protocol):
    """The users as the server sees them: in memory, since no request waits for a disk.

    `find` takes the user part of a URI or of credentials: the number, or another name of the same user.
    """

    def find(self, user: str) -> Subscriber | None: ...


class Principal(NamedTuple):
    """The user who proved to be the sender of a request. Made by `authentication.py` and nobody else.

    `device` is the id of the device whose password it was, "" for the user's own. `may_call` is as in
    `Subscriber`.
    """

    number: str
    name: str = ""
    device: str = ""
    may_call: str = ""


def security_of(subscribers: Subscribers, principal: Principal | None) -> Security:
    """How the sound of the device this user has is to be encrypted; "" is as the settings say."""
    if principal is None or not principal.device:
        return ""
    subscriber = subscribers.find(principal.number) or NOBODY
    return next((each.security for each in subscriber.devices if each.id == principal.device), "")
