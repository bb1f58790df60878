# SPDX-License-Identifier: Apache-2.0
"""Answering challenges: which one, how often, and with what."""

from collections.abc import Sequence

import pytest

from ringback.sip.digest import ALGORITHMS, Proof, digest_response, ha1
from ringback.sip.digest_client import DigestClient, realms_answered, realms_asked
from ringback.sip.message.credentials import Credentials
from ringback.sip.message.message import Request, Response

CNONCE = "0a4f113b"


def request(method: str = "REGISTER", body: bytes = b"") -> Request:
    made = Request.new(
        method,
        "sip:example.com",
        from_="<sip:alice@example.com>;tag=1",
        to="<sip:alice@example.com>",
        call_id="c1",
        cseq=7,
        body=body,
    )
    made.headers.prepend("Via", "SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1")
    return made


def challenged(to: Request, *challenges: str, status: int = 401) -> Response:
    field = "WWW-Authenticate" if status == 401 else "Proxy-Authenticate"
    return Response.to(to, status, to_tag="2", headers=[(field, challenge) for challenge in challenges])


def digest(nonce: str = "n1", realm: str = "example.com", **more: str) -> str:
    return ", ".join(
        [f'Digest realm="{realm}", nonce="{nonce}"', *(f"{name}={value}" for name, value in more.items())]
    )


def authorize(client: DigestClient, to: Request, *challenges: str, status: int = 401) -> Request | None:
    return client.authorize(to, challenged(to, *challenges, status=status), cnonce=CNONCE)


def given(to: Request | None, field: str = "Authorization") -> Sequence[Credentials]:
    assert to is not None
    return to.parsed(field)  # type: ignore[return-value]


def test_the_request_is_sent_again_with_the_next_number_and_the_same_call_id() -> None:
    again = authorize(DigestClient("alice", "secret"), request(), digest(qop='"auth"', algorithm="MD5"))
    assert again is not None
    assert (again.call_id, again.cseq.number, again.cseq.method) == ("c1", 8, "REGISTER")
    assert "Via" not in again.headers


def test_the_digest_is_made_of_what_the_credentials_say() -> None:
    again = authorize(
        DigestClient("alice", "secret"), request(), digest(qop='"auth"', algorithm="SHA-256", opaque='"o"')
    )
    (credentials,) = given(again)
    told = credentials.parameters
    proof = Proof(
        ALGORITHMS["SHA-256"],
        "n1",
        "REGISTER",
        "sip:example.com",
        qop="auth",
        nonce_count="00000001",
        cnonce=CNONCE,
    )
    assert told == {
        "username": "alice",
        "realm": "example.com",
        "nonce": "n1",
        "uri": "sip:example.com",
        "response": digest_response(ha1("alice", "example.com", "secret", "SHA-256"), proof),
        "algorithm": "SHA-256",
        "cnonce": CNONCE,
        "qop": "auth",
        "nc": "00000001",
        "opaque": "o",
    }


def test_nc_and_qop_are_not_quoted_because_old_servers_compare_text() -> None:
    again = authorize(DigestClient("alice", "secret"), request(), digest(qop='"auth"'))
    assert again is not None
    text = again.headers["Authorization"]
    assert "qop=auth," in text
    assert "nc=00000001" in text
    assert "algorithm" not in text


def test_the_strongest_challenge_that_is_understood_is_answered() -> None:
    challenges = [
        digest(algorithm="MD5"),
        digest(algorithm="SHA-512-256"),
        digest(algorithm="SHA-256"),
        digest(algorithm="SHA3-512"),
        "Bearer realm=x",
    ]
    (credentials,) = given(authorize(DigestClient("alice", "secret"), request(), *challenges))
    assert credentials.parameters["algorithm"] == "SHA-512-256"


def test_only_algorithms_with_a_stored_hash_are_answered_when_there_is_no_password() -> None:
    stored = {"MD5": ha1("alice", "example.com", "secret")}
    challenges = [digest(algorithm="SHA-256"), digest(algorithm="MD5")]
    (credentials,) = given(authorize(DigestClient("alice", ha1s=stored), request(), *challenges))
    assert credentials.parameters["algorithm"] == "MD5"


def test_several_realms_are_answered_at_once() -> None:
    again = authorize(
        DigestClient("alice", "secret"), request("INVITE"), digest(realm="a"), digest(realm="b"), status=407
    )
    assert [each.parameters["realm"] for each in given(again, "Proxy-Authorization")] == ["a", "b"]
    assert again is not None
    assert realms_answered(again) == {"a", "b"}


def test_a_401_from_behind_a_407_keeps_the_credentials_for_the_proxy() -> None:
    client = DigestClient("alice", "secret")
    first = authorize(client, request("INVITE"), digest(realm="proxy"), status=407)
    assert first is not None
    second = authorize(client, first, digest(realm="home"), status=401)
    assert second is not None
    assert realms_answered(second) == {"proxy", "home"}
    assert second.cseq.number == 9


def test_a_realm_the_account_is_not_for_is_not_answered() -> None:
    client = DigestClient("alice", "secret", realm="example.com")
    assert authorize(client, request(), digest(realm="evil.example")) is None


@pytest.mark.parametrize(
    "challenge",
    [
        'Digest realm="example.com"',
        'Digest nonce="n"',
        'Digest realm="example.com", nonce="n", qop="auth-conf"',
        'Digest realm="example.com", nonce="n", algorithm=SHA-1',
        "Digest nonsense",
        "Basic realm=x",
    ],
)
def test_a_challenge_that_is_not_understood_is_not_answered(challenge: str) -> None:
    assert authorize(DigestClient("alice", "secret"), request(), challenge) is None


def test_wrong_credentials_are_not_tried_twice() -> None:
    client = DigestClient("alice", "wrong")
    first = authorize(client, request(), digest("n1"))
    assert first is not None
    assert authorize(client, first, digest("n1")) is None
    assert authorize(client, first, digest("n2")) is None


def test_a_stale_nonce_is_replaced_once() -> None:
    client = DigestClient("alice", "secret")
    first = authorize(client, request(), digest("n1"))
    assert first is not None
    second = authorize(client, first, digest("n2", stale="TRUE"))
    assert [each.parameters["nonce"] for each in given(second)] == ["n2"]


def test_ever_new_nonces_are_answered_at_most_twice() -> None:
    client, sent = DigestClient("alice", "secret"), request()
    for attempt in range(2):
        again = authorize(client, sent, digest(f"n{attempt}", stale="true"))
        assert again is not None
        sent = again
    assert authorize(client, sent, digest("n9", stale="true")) is None


def test_a_nonce_used_again_counts_on() -> None:
    client = DigestClient("alice", "secret")
    counts = []
    for number in range(3):
        fresh = request()
        fresh.headers["CSeq"] = f"{10 * number + 1} REGISTER"
        (credentials,) = given(authorize(client, fresh, digest(qop='"auth"')))
        counts.append(credentials.parameters["nc"])
    assert counts == ["00000001", "00000002", "00000003"]


def test_auth_int_is_used_when_nothing_else_is_offered_and_covers_the_body() -> None:
    again = authorize(DigestClient("alice", "secret"), request(body=b"hello"), digest(qop='"auth-int"'))
    (credentials,) = given(again)
    proof = Proof(
        ALGORITHMS["MD5"],
        "n1",
        "REGISTER",
        "sip:example.com",
        qop="auth-int",
        nonce_count="00000001",
        cnonce=CNONCE,
        body=b"hello",
    )
    assert credentials.parameters["response"] == digest_response(ha1("alice", "example.com", "secret"), proof)


def test_auth_is_preferred_to_auth_int() -> None:
    (credentials,) = given(authorize(DigestClient("a", "s"), request(), digest(qop='"auth-int, auth"')))
    assert credentials.parameters["qop"] == "auth"


def test_names_with_quotes_and_other_letters_come_out_whole() -> None:
    (credentials,) = given(authorize(DigestClient('J"s\\øn', "s"), request(), digest(realm='a\\"b')))
    assert credentials.parameters["username"] == 'J"s\\øn'
    assert credentials.parameters["realm"] == 'a"b'


def test_the_realms_that_ask_are_known_before_anything_is_told() -> None:
    response = challenged(request(), digest(realm="a"), digest(realm="b"))
    assert realms_asked(response) == {"a", "b"}


def test_the_client_does_not_show_its_password() -> None:
    assert "secret" not in repr(DigestClient("alice", "secret"))


def test_what_is_remembered_has_a_limit() -> None:
    client = DigestClient("alice", "secret")
    for number in range(3000):
        fresh = request()
        fresh.headers["Call-ID"] = f"call-{number}"
        authorize(client, fresh, digest(f"nonce-{number}"))
    assert len(client._attempts) <= 1024
    assert len(client._nonce_counts) <= 1024
