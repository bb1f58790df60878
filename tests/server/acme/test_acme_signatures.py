# SPDX-License-Identifier: Apache-2.0
"""Does an account sign as RFC 8555 and RFC 7515 say, so that somebody who knows only its public half believes it?"""

import base64
import json

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from ringback.server.acme.jws import AccountKey, encoded, record_value

#: The key of RFC 7515 appendix A.3, and the thumbprint that follows from RFC 7638 section 3.
X = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
Y = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
D = "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def known_key() -> AccountKey:
    private = ec.derive_private_key(int.from_bytes(decoded(D), "big"), ec.SECP256R1())
    return AccountKey(private)


def test_the_public_half_is_that_of_the_rfc():
    assert known_key().jwk() == {"crv": "P-256", "kty": "EC", "x": X, "y": Y}


def test_a_signature_is_two_halves_over_head_and_body():
    key = known_key()
    message = json.loads(key.signed("https://ca.example/new", "nonce-1", {"a": 1}, account=""))
    head = json.loads(decoded(message["protected"]))
    assert head == {"alg": "ES256", "nonce": "nonce-1", "url": "https://ca.example/new", "jwk": key.jwk()}
    assert json.loads(decoded(message["payload"])) == {"a": 1}
    signature = decoded(message["signature"])
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    public = serialization.load_pem_private_key(key.to_pem(), None).public_key()
    signed = f"{message['protected']}.{message['payload']}".encode()
    public.verify(encode_dss_signature(r, s), signed, ec.ECDSA(hashes.SHA256()))


def test_a_known_account_names_itself_and_reads_with_an_empty_body():
    message = json.loads(
        known_key().signed("https://ca.example/o/1", "n", None, account="https://ca.example/a/7")
    )
    head = json.loads(decoded(message["protected"]))
    assert (head["kid"], "jwk" in head, message["payload"]) == ("https://ca.example/a/7", False, "")


def test_a_key_comes_back_from_its_file():
    key = AccountKey.new()
    assert AccountKey.from_pem(key.to_pem()).thumbprint() == key.thumbprint()


def test_an_authorization_is_the_token_and_the_thumbprint():
    key = known_key()
    token, _, thumbprint = key.authorization("token-of-16-chars").partition(".")
    assert (token, thumbprint) == ("token-of-16-chars", key.thumbprint())
    assert len(decoded(thumbprint)) == 32
    # RFC 8555 8.4: the digest of the whole authorization, without padding
    assert (len(decoded(record_value("a.b"))), "=" in record_value("a.b")) == (32, False)


def test_base64url_has_no_padding():
    assert encoded(b"\xff\xfe") == "__4"
