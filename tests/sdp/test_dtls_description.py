# SPDX-License-Identifier: Apache-2.0
"""Fingerprints and roles: RFC 8122, 5763, 8842."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sdp_peers import described, said_by

from ringback.sdp.dtls import HASHES, DtlsDescription, Fingerprint, Setup, answering_setup, dtls_of
from ringback.sdp.errors import UnacceptableSession

SHA_256 = "sha-256 " + ":".join("AB" for _ in range(32))


def dtls_in(*lines: str, head: tuple[str, ...] = ()) -> DtlsDescription | None:
    session = described("m=audio 9 UDP/TLS/RTP/SAVPF 0", *lines, head=head)
    return dtls_of(session, session.media[0])


def test_the_stream_counts_before_the_session():
    head = (f"a=fingerprint:{SHA_256}", "a=setup:actpass")
    assert dtls_in(head=head) == DtlsDescription((Fingerprint("sha-256", b"\xab" * 32),), Setup.ACTPASS)
    own = dtls_in(
        f"a=fingerprint:{SHA_256.replace('AB', 'cd')}", "a=setup:passive", "a=tls-id:xyz", head=head
    )
    assert own == DtlsDescription((Fingerprint("sha-256", b"\xcd" * 32),), Setup.PASSIVE, "xyz")
    assert dtls_in() is None


def test_the_strongest_hash_is_verified_and_unknown_ones_are_skipped():
    weak = "SHA-1 " + ":".join("01" for _ in range(20))
    found = dtls_in(f"a=fingerprint:{weak}", "a=fingerprint:md5 AB:CD", f"a=fingerprint:{SHA_256}")
    assert found is not None
    assert found.fingerprint == Fingerprint("sha-256", b"\xab" * 32)
    assert found.accepts("sha-1", b"\x01" * 20)
    assert not found.accepts("sha-256", b"\x01" * 32)
    assert dtls_in("a=fingerprint:md5 AB:CD") is None


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("a=fingerprint:", "a=fingerprint"),
        ("a=fingerprint:sha-256", "a=fingerprint"),
        ("a=fingerprint:sha-256 AB:C", "a=fingerprint"),
        ("a=fingerprint:sha-256 AB:CD", "a=fingerprint"),
        ("a=fingerprint:sha-256 " + "AB:" * 300 + "AB", "a=fingerprint"),
        (f"a=fingerprint:{SHA_256}\r\na=setup:both", "a=setup"),
    ],
)
def test_malformed_lines_are_refused_by_name(line, named):
    with pytest.raises(UnacceptableSession, match=named):
        dtls_in(*line.split("\r\n"))


@pytest.mark.parametrize(
    ("offered", "answer"),
    [
        (Setup.ACTPASS, Setup.ACTIVE),
        (Setup.PASSIVE, Setup.ACTIVE),
        (Setup.ACTIVE, Setup.PASSIVE),
        (Setup.HOLDCONN, Setup.HOLDCONN),
    ],
)
def test_the_answer_takes_the_other_part(offered, answer):
    assert answering_setup(offered) is answer


def test_baresip_says_it_once_for_the_session():
    session = said_by("baresip-dtls-offer")
    found = dtls_of(session, session.media[0])
    assert found is not None
    assert (found.fingerprint.algorithm, found.setup) == ("sha-256", Setup.ACTPASS)


@given(
    st.sampled_from(sorted(HASHES)).flatmap(
        lambda name: st.builds(
            Fingerprint, st.just(name), st.binary(min_size=HASHES[name], max_size=HASHES[name])
        )
    )
)
def test_what_is_printed_is_parsed_again(fingerprint):
    assert Fingerprint.parse(str(fingerprint)) == fingerprint


@given(st.text(max_size=120) | st.text("sha-1256 ABCDEF0:", max_size=120))
def test_garbage_is_refused_or_unknown(text):
    try:
        found = Fingerprint.parse(text)
    except UnacceptableSession:
        return
    assert found is None or Fingerprint.parse(str(found)) == found
