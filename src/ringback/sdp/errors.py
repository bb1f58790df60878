# SPDX-License-Identifier: Apache-2.0
"""Why can this description not be used? RFC 3261 sections 20.43 (Warning) and 21.4.26 (488)."""

from enum import IntEnum

from ringback.sip.errors import PeerError


class WarnCode(IntEnum):
    """The warn-codes of RFC 3261 section 20.43."""

    INCOMPATIBLE_NETWORK_PROTOCOL = 300
    INCOMPATIBLE_ADDRESS_FORMAT = 301
    INCOMPATIBLE_TRANSPORT_PROTOCOL = 302
    MEDIA_TYPE_NOT_AVAILABLE = 304
    INCOMPATIBLE_MEDIA_FORMAT = 305
    PARAMETER_NOT_UNDERSTOOD = 307
    MISCELLANEOUS = 399


class UnacceptableSession(PeerError):
    """A description that breaks its grammar or that we cannot take part in: answered 488."""

    def __init__(self, detail: str, *, warning: WarnCode = WarnCode.MISCELLANEOUS, section: str = "") -> None:
        super().__init__(detail, status=488, section=section)
        self.warning = warning

    def warning_value(self, agent: str) -> str:
        """The value of the Warning header field that belongs into the 488 (RFC 3261 20.43)."""
        return f'{self.warning:d} {agent} "{self.detail}"'
