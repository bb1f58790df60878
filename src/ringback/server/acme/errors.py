# SPDX-License-Identifier: Apache-2.0
"""What goes wrong with an authority?"""

from ringback.sip.errors import RingbackError


class AcmeError(RingbackError):
    """The authority gave no certificate; the text says why. `retry_after` is when it wants to be asked again,
    in seconds from now; None when it did not say.
    """

    def __init__(self, detail: str, *, kind: str = "", retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.kind = kind
        self.retry_after = retry_after
