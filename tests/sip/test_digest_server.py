# SPDX-License-Identifier: Apache-2.0
"""Verifying credentials: who is let in, and what an attacker learns."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.sip.digest import ALGORITHMS, Proof, digest_response, ha1
from ringback.sip.digest_client import DigestClient
from ringback.sip.digest_server import DigestServer, Verdict, _CountWindow
from ringback.sip.message.credentials import Challenge, Credentials
from ringback.sip.message.message import Request, Response

REALM, SOURCE, NOW = "example.com", "10.0.0.1", 500.0
PASSWORDS = {"alice": "secret", "jäsøn": "höhle"}


def server(**settings: object) -> DigestServer:
    return DigestServer(b"0123456789abcdef", realm=REALM, **settings)  # type: ignore[arg-type]


def secrets(user: str, algorithm: str) -> str | None:
    password = PASSWORDS.get(user)
    return None if password is None else ha1(user, REALM, password, algorithm)


def register() -> Request:
    return Request.new(
        "REGISTER",
        "sip:example.com",
        from_="<sip:alice@example.com>;tag=1",
        to="<sip:alice@example.com>",
        call_id="c1",
        cseq=1,
    )


def claim(
    nonce: str,
    *,
    user: str = "alice",
    password: str = "secret",
    algorithm: str = "SHA-256",
    count: str = "00000001",
    uri: str = "sip:example.com",
    method: str = "REGISTER",
    qop: str = "auth",
    body: bytes = b"",
) -> Credentials:
    row = ALGORITHMS[algorithm.upper()]
    proof = Proof(row, nonce, method, uri, qop=qop, nonce_count=count, cnonce="c", body=body)
    response = digest_response(ha1(user, REALM, password, algorithm), proof)
    told = {"username": user, "realm": REALM, "nonce": nonce, "uri": uri, "response": response}
    if qop:
        told |= {"qop": qop, "nc": count, "cnonce": "c"}
    return Credentials("Digest", told | {"algorithm": row.name})


def nonce_of(of: DigestServer, *, now: float = NOW, source: str = SOURCE) -> str:
    return Challenge.parse(of.challenges(source, now=now)[0]).parameters["nonce"]


def verify(
    by: DigestServer,
    credentials: Credentials | list[Credentials],
    *,
    now: float = NOW,
    source: str = SOURCE,
    uri: str = "sip:example.com",
    method: str = "REGISTER",
    body: bytes = b"",
) -> Verdict:
    return by.verify(credentials, method, uri, body, secrets, source, now=now)


@pytest.mark.parametrize("name", sorted(ALGORITHMS))
@pytest.mark.parametrize("qop", ["auth", "auth-int"])
def test_our_client_and_our_server_understand_each_other(name: str, qop: str) -> None:
    by, request = server(algorithms=(name,), qop=(qop,)), register()
    request.body = b"body"
    response = Response.to(
        request, 401, headers=[("WWW-Authenticate", each) for each in by.challenges(SOURCE, now=NOW)]
    )
    again = DigestClient("jäsøn", "höhle").authorize(request, response, cnonce="c")
    assert again is not None
    verdict = by.verify(again.credentials, "REGISTER", again.target, again.body, secrets, SOURCE, now=NOW)
    assert verdict == Verdict("jäsøn", stale=False, detail="")


def test_one_challenge_for_each_algorithm_strongest_first() -> None:
    challenges = [Challenge.parse(text) for text in server().challenges(SOURCE, now=NOW)]
    assert [each.parameters["algorithm"] for each in challenges] == ["SHA-256", "MD5"]
    assert {each.parameters["realm"] for each in challenges} == {REALM}
    assert all("stale" not in each.parameters for each in challenges)
    (stale, _) = [Challenge.parse(text) for text in server().challenges(SOURCE, now=NOW, stale=True)]
    assert stale.parameters["stale"] == "true"


def test_the_same_nonce_count_is_never_accepted_twice() -> None:
    by = server()
    nonce = nonce_of(by)
    assert verify(by, claim(nonce)).user == "alice"
    assert verify(by, claim(nonce)) == Verdict(None, stale=True, detail="this nonce count was used before")
    assert verify(by, claim(nonce, count="00000002")).user == "alice"


def test_a_nonce_that_is_too_old_is_stale_and_one_from_the_future_too() -> None:
    by = server()
    nonce = nonce_of(by)
    assert verify(by, claim(nonce), now=NOW + 300).user == "alice"
    assert verify(by, claim(nonce, count="00000002"), now=NOW + 301).stale
    assert verify(by, claim(nonce, count="00000003"), now=NOW - 1).stale


def test_a_nonce_serves_only_the_source_it_was_given_to() -> None:
    by = server()
    assert verify(by, claim(nonce_of(by)), source="10.6.6.6") == Verdict(
        None, stale=True, detail="a nonce that was not made here for this source"
    )


def test_a_nonce_that_was_used_is_still_for_its_source_alone() -> None:
    by = server()
    nonce = nonce_of(by)
    assert verify(by, claim(nonce)).user == "alice"
    assert verify(by, claim(nonce, count="00000002"), source="10.6.6.6") == Verdict(
        None, stale=True, detail="a nonce that was not made here for this source"
    )
    assert verify(by, claim(nonce, count="00000002")).user == "alice"


@pytest.mark.parametrize("nonce", ["x", "0" * 56, "g" * 56, "0" * 55, "é" * 56])
def test_a_nonce_we_did_not_make_lets_nobody_in(nonce: str) -> None:
    assert verify(server(), claim(nonce)).user is None


def test_a_nonce_of_another_secret_lets_nobody_in() -> None:
    other = DigestServer(b"another secret!!", realm=REALM)
    assert verify(server(), claim(nonce_of(other))).stale


def test_unknown_user_and_wrong_password_get_the_same_verdict() -> None:
    by = server()
    unknown = verify(by, claim(nonce_of(by), user="mallory"))
    wrong = verify(by, claim(nonce_of(by), password="guess"))
    assert unknown == wrong == Verdict(None, stale=False, detail="wrong user or password")


def test_each_of_several_secrets_lets_its_owner_in_and_is_named() -> None:
    by, request = server(), register()
    passwords = {"desk": "one", "mobile": "two"}

    def further(user: str, algorithm: str) -> list[tuple[str, str]]:
        return [(name, ha1(user, REALM, password, algorithm)) for name, password in passwords.items()]

    def judged(password: str) -> Verdict:
        told = claim(nonce_of(by), password=password).parameters
        target, source = "sip:example.com", SOURCE
        return by.judge(told, request.method, target, b"", secrets, source, now=NOW, further=further)

    assert judged("secret") == Verdict("alice", stale=False, detail="", device="")
    assert judged("one") == Verdict("alice", stale=False, detail="", device="desk")
    assert judged("two") == Verdict("alice", stale=False, detail="", device="mobile")
    assert judged("three").user is None
    del passwords["desk"]
    assert judged("one") == Verdict(None, stale=False, detail="wrong user or password")


def test_a_digest_for_another_method_or_another_uri_lets_nobody_in() -> None:
    by = server()
    assert verify(by, claim(nonce_of(by)), method="INVITE").user is None
    assert (
        verify(by, claim(nonce_of(by), uri="sip:other.example")).detail
        == "the digest was made for another URI"
    )


def test_parameters_of_the_uri_may_differ() -> None:
    by = server()
    credentials = claim(nonce_of(by), uri="sip:example.com;transport=tcp")
    assert verify(by, credentials).user == "alice"


def test_an_algorithm_that_was_not_offered_is_no_way_in() -> None:
    by = server(algorithms=("SHA-256",))
    assert verify(by, claim(nonce_of(by), algorithm="MD5")).detail == "an algorithm that was not offered"


def test_credentials_for_other_realms_are_passed_over() -> None:
    by = server()
    foreign = Credentials("Digest", {"realm": "elsewhere", "username": "alice"})
    bearer = Credentials("Bearer", {}, "abc")
    assert verify(by, [foreign, bearer, claim(nonce_of(by))]).user == "alice"
    assert verify(by, [foreign, bearer]).detail == "no credentials for this realm"
    assert verify(by, []).user is None


@pytest.mark.parametrize("missing", ["username", "nonce", "uri", "response", "nc", "cnonce"])
def test_incomplete_credentials_let_nobody_in(missing: str) -> None:
    by = server()
    credentials = claim(nonce_of(by))
    del credentials.parameters[missing]
    assert verify(by, credentials).user is None


@pytest.mark.parametrize(
    "count",
    ["1", "0000000g", "00000000", "000000001", "٠٠٠٠٠٠٠١", "0000_001", "+0000001", " 0000001", "0x000001"],
)
def test_a_nonce_count_is_eight_hexadecimal_digits(count: str) -> None:
    by = server()
    nonce = nonce_of(by)
    assert verify(by, claim(nonce, count=count)).detail == "qop without a nonce count"
    assert verify(by, claim(nonce)).user == "alice"  # nothing was taken


@pytest.mark.parametrize("name", ["username", "cnonce", "nc", "nonce", "uri", "response"])
def test_oversized_credentials_are_not_looked_at(name: str) -> None:
    by = server()
    credentials = claim(nonce_of(by))
    credentials.parameters[name] = "0" * 5000
    assert verify(by, credentials).detail == "oversized credentials"


def test_the_response_may_be_written_in_capitals_and_is_ascii() -> None:
    by = server()
    credentials = claim(nonce_of(by))
    credentials.parameters["response"] = credentials.parameters["response"].upper()
    assert verify(by, credentials).user == "alice"
    credentials.parameters["response"] = "é" * 64
    assert verify(by, credentials).detail == "incomplete credentials"


def test_old_phones_without_qop_are_let_in_once_for_each_nonce() -> None:
    by = server()
    nonce = nonce_of(by)
    assert verify(by, claim(nonce, qop="")).user == "alice"
    assert verify(by, claim(nonce, qop="")).stale


def test_without_qop_nobody_is_let_in_where_the_body_must_be_covered() -> None:
    by = server(qop=("auth-int",))
    assert verify(by, claim(nonce_of(by), qop="")).detail == "a qop that was not offered"
    assert verify(by, claim(nonce_of(by), qop="auth-int", body=b"x"), body=b"x").user == "alice"
    assert verify(by, claim(nonce_of(by), qop="auth-int", body=b"x"), body=b"y").user is None


def test_a_full_table_makes_nonces_stale_but_never_replayable() -> None:
    by = server(window_limit=10)
    nonces = [nonce_of(by, now=NOW + index) for index in range(30)]
    for index, nonce in enumerate(nonces):
        assert verify(by, claim(nonce), now=NOW + index).user == "alice"
    for nonce in nonces:
        assert verify(by, claim(nonce), now=NOW + 30).user is None
    assert len(by._windows) <= 10


def test_strangers_do_not_make_the_table_grow() -> None:
    by = server()
    for _ in range(100):
        verify(by, claim(nonce_of(by), password="guess"))
    assert len(by._windows) == 0


def test_windows_of_old_nonces_are_dropped() -> None:
    by = server()
    for index in range(100):
        verify(by, claim(nonce_of(by, now=NOW + 100 * index)), now=NOW + 100 * index)
    assert len(by._windows) <= 5


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        DigestServer(b"short", realm=REALM)


@given(st.lists(st.integers(1, 300), max_size=200))
def test_the_window_accepts_each_count_at_most_once_and_every_new_highest(counts: list[int]) -> None:
    window, accepted = _CountWindow(), set[int]()
    for count in counts:
        is_highest = count > max(accepted, default=0)
        if window.accepts(count):
            assert count not in accepted
            accepted.add(count)
        else:
            assert not is_highest
            assert count in accepted or count <= max(accepted) - 64
    assert window.bits < 1 << 64


@settings(max_examples=200)
@given(
    st.dictionaries(
        st.sampled_from(
            ["username", "realm", "nonce", "uri", "response", "qop", "nc", "cnonce", "algorithm"]
        ),
        st.text(max_size=60),
    )
)
def test_no_credentials_make_the_server_raise(parameters: dict[str, str]) -> None:
    by = server()
    assert verify(by, Credentials("Digest", {"realm": REALM, **parameters})).user is None
    valid = claim(nonce_of(by))
    verify(by, Credentials("Digest", valid.parameters | parameters))
