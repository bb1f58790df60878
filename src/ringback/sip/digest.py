# SPDX-License-Identifier: Apache-2.0
"""How is a digest computed? RFC 7616 with the algorithms RFC 8760 gives to SIP; RFC 2617 for old phones.

Client (`digest_client.py`) and server (`digest_server.py`) both call `digest_response`. Text is hashed as
UTF-8; bytes that were not UTF-8 on the wire (surrogate escapes) are hashed as they came.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

from ringback.sip.message.escapes import quote_string

#: RFC 7616 3.4: nc is eight hexadecimal digits.
NONCE_COUNT_LIMIT = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Algorithm:
    """One row of the table. `strength` orders what a client picks first (RFC 8760 2.4)."""

    name: str
    family: str
    """The name without -sess: the key under which an HA1 is stored."""
    make: Callable[..., Any]
    strength: int
    is_session: bool

    def digest(self, text: str) -> str:
        """H() of RFC 7616 3.3, in lower-case hexadecimal, of text."""
        digest: str = self.make(text.encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest()
        return digest


#: 0.4 us each; 0.8 by name with `hashlib.new`.
_HASHES: tuple[tuple[str, str, Callable[..., Any]], ...] = (
    ("MD5", "md5", hashlib.md5),
    ("SHA-256", "sha256", hashlib.sha256),
    ("SHA-512-256", "sha512_256", partial(hashlib.new, "sha512_256")),
)

#: Upper-case name -> algorithm. Adding one is adding a row to `_HASHES`, weakest first.
ALGORITHMS: dict[str, Algorithm] = {
    (name + suffix).upper(): Algorithm(name + suffix, name, make, strength, bool(suffix))
    for strength, (name, hash_name, make) in enumerate(_HASHES)
    for suffix in ("", "-sess")
    if hash_name in hashlib.algorithms_available
}


@dataclass(slots=True)
class Proof:
    """What a digest is made of besides the secret (RFC 7616 3.4.1). `qop` is "", "auth" or "auth-int"."""

    algorithm: Algorithm
    nonce: str
    method: str
    uri: str
    qop: str = ""
    nonce_count: str = ""
    cnonce: str = ""
    body: bytes = b""


def algorithm_named(name: str | None) -> Algorithm | None:
    """RFC 7616 3.3: no algorithm means MD5; an unknown one means that the challenge is ignored."""
    if name is None:
        return ALGORITHMS.get("MD5")
    return ALGORITHMS.get(name.upper()) if name.isascii() else None


def ha1(user: str, realm: str, password: str, algorithm: str = "MD5") -> str:
    """H(user:realm:password): what is stored instead of a password. `algorithm` with or without -sess."""
    return ALGORITHMS[algorithm.upper()].digest(f"{user}:{realm}:{password}")


def digest_response(stored_ha1: str, proof: Proof) -> str:
    """RFC 7616 3.4.1; without qop the older form of RFC 2069."""
    algorithm, nonce, qop = proof.algorithm, proof.nonce, proof.qop
    secret = stored_ha1
    if algorithm.is_session:
        secret = algorithm.digest(f"{stored_ha1}:{nonce}:{proof.cnonce}")
    if qop == "auth-int":
        body = algorithm.make(proof.body, usedforsecurity=False).hexdigest()
        subject = algorithm.digest(f"{proof.method}:{proof.uri}:{body}")
    else:
        subject = _subject(algorithm.name, proof.method, proof.uri)
    middle = f"{proof.nonce_count}:{proof.cnonce}:{qop}:" if qop else ""
    return algorithm.digest(f"{secret}:{nonce}:{middle}{subject}")


@lru_cache(maxsize=1024)
def _subject(algorithm: str, method: str, uri: str) -> str:
    """H(method:uri): all phones register at the same URI. Nothing in it is secret."""
    return ALGORITHMS[algorithm.upper()].digest(f"{method}:{uri}")


def encoded(text: str) -> bytes:
    """Text to hash: UTF-8, with foreign bytes restored."""
    return text.encode("utf-8", "surrogateescape")


def printed(parameters: Iterable[tuple[str, str, bool]]) -> str:
    """A Digest challenge or credentials from (name, value, is_quoted)."""
    return "Digest " + ", ".join(
        f"{name}={quote_string(value) if is_quoted else value}" for name, value, is_quoted in parameters
    )
