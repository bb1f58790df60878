# SPDX-License-Identifier: Apache-2.0
"""How does an account sign what it sends? With ES256 in a flattened JSON Web Signature: RFC 8555 section 6.2,
RFC 7515, RFC 7638.
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

#: Octets of each half of a signature on the curve P-256 (RFC 7518 section 3.4).
HALF = 32


def encoded(data: bytes) -> str:
    """Base64url without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


class AccountKey:
    """The key that is the account."""

    __slots__ = ("_key",)

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self._key = key

    @classmethod
    def new(cls) -> AccountKey:
        """A key that nobody has."""
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def from_pem(cls, pem: bytes) -> AccountKey:
        """The key of a file. ValueError if it is none of ours."""
        key = serialization.load_pem_private_key(pem, password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
            raise ValueError("it is no key on the curve P-256")
        return cls(key)

    def to_pem(self) -> bytes:
        """For a file that only its owner can read."""
        return self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def jwk(self) -> dict[str, str]:
        """The public half (RFC 7517), its members in the order of RFC 7638."""
        numbers = self._key.public_key().public_numbers()
        x, y = (encoded(number.to_bytes(HALF, "big")) for number in (numbers.x, numbers.y))
        return {"crv": "P-256", "kty": "EC", "x": x, "y": y}

    def thumbprint(self) -> str:
        """RFC 7638: what is compared in a challenge."""
        canonical = json.dumps(self.jwk(), sort_keys=True, separators=(",", ":"))
        return encoded(hashlib.sha256(canonical.encode("ascii")).digest())

    def authorization(self, token: str) -> str:
        """The key authorization of a challenge (RFC 8555 section 8.1)."""
        return f"{token}.{self.thumbprint()}"

    def signed(self, url: str, nonce: str, payload: dict[str, Any] | None, *, account: str) -> bytes:
        """The body of a POST; a payload of None is POST-as-GET (RFC 8555 section 6.3). Without an account,
        the key introduces itself.
        """
        who: dict[str, Any] = {"kid": account} if account else {"jwk": self.jwk()}
        head = encoded(json.dumps({"alg": "ES256", "nonce": nonce, "url": url, **who}).encode("utf-8"))
        body = "" if payload is None else encoded(json.dumps(payload).encode("utf-8"))
        signature = self._key.sign(f"{head}.{body}".encode("ascii"), ec.ECDSA(hashes.SHA256()))
        halves = b"".join(number.to_bytes(HALF, "big") for number in decode_dss_signature(signature))
        return json.dumps({"protected": head, "payload": body, "signature": encoded(halves)}).encode("ascii")


def record_value(authorization: str) -> str:
    """What the TXT record of a DNS challenge says (RFC 8555 section 8.4)."""
    return encoded(hashlib.sha256(authorization.encode("ascii")).digest())
