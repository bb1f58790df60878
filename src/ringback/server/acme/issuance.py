# SPDX-License-Identifier: Apache-2.0
"""How is a certificate got, from the order to the chain? RFC 8555 section 7.1, as a story."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ringback.server.acme.challenges import Challenges
from ringback.server.acme.client import AcmeClient, Order, refusal
from ringback.server.acme.errors import AcmeError

#: A common name holds no more characters (RFC 5280 appendix A.1); longer names stand among the alternatives.
LONGEST_COMMON_NAME = 64


async def certificate_for(
    names: Sequence[str], client: AcmeClient, challenges: Challenges
) -> tuple[bytes, bytes]:
    """The chain and its new private key, both PEM. Raises AcmeError."""
    order = await client.order(names)
    for url in order.authorizations:
        await _prove(url, client, challenges)
    key = ec.generate_private_key(ec.SECP256R1())
    done = await client.finalize(order, _signing_request(names, key))
    _check(done)
    chain = await client.certificate(done)
    _check_chain(chain, key)
    return chain, key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


async def _prove(url: str, client: AcmeClient, challenges: Challenges) -> None:
    """One name is ours. An authorization that is valid still counts."""
    asked = await client.authorization(url)
    if asked.get("status") == "valid":
        return
    name = str(asked.get("identifier", {}).get("value", ""))
    challenge = _challenge(asked, challenges.kind, name)
    token = str(challenge.get("token", ""))
    authorization = client.key.authorization(token)
    try:
        await challenges.show(name, token, authorization)
        await client.respond(str(challenge.get("url", "")))
        decided = await client.settled(url)
    finally:
        await challenges.clear(name, token, authorization)
    if decided.get("status") != "valid":
        problem = _challenge(decided, challenges.kind, name).get("error")
        raise refusal(
            problem if isinstance(problem, dict) else {}, f"the authority does not see that {name} is ours"
        )


def _challenge(authorization: dict[str, Any], kind: str, name: str) -> dict[str, Any]:
    offered = [each for each in authorization.get("challenges") or () if isinstance(each, dict)]
    for each in offered:
        if each.get("type") == kind:
            return each
    kinds = ", ".join(str(each.get("type")) for each in offered)
    raise AcmeError(f"the authority offers no {kind} for {name}, but {kinds or 'nothing'}")


def _signing_request(names: Sequence[str], key: ec.EllipticCurvePrivateKey) -> bytes:
    """RFC 2986, DER."""
    subject = [x509.NameAttribute(NameOID.COMMON_NAME, name) for name in names[:1]]
    fits = len(names[0]) <= LONGEST_COMMON_NAME
    alternatives = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
    return (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name(subject if fits else []))
        .add_extension(alternatives, critical=False)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.DER)
    )


def _check(order: Order) -> None:
    if order.status != "valid" or not order.certificate:
        raise refusal(order.error, "the authority made no certificate")


def _check_chain(chain: bytes, key: ec.EllipticCurvePrivateKey) -> None:
    """What we are given is for our key, before it takes the place of anything."""
    try:
        certificates = x509.load_pem_x509_certificates(chain)
    except ValueError as error:
        raise AcmeError(f"the authority's certificate cannot be read: {error}") from error
    if certificates[0].public_key() != key.public_key():
        raise AcmeError("the authority's certificate is for another key")
