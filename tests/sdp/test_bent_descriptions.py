# SPDX-License-Identifier: Apache-2.0
"""Descriptions of real programs with lines lost, doubled, cut, mixed and bent: refused or passed on, never a crash."""

from hypothesis import given
from hypothesis import strategies as st
from sdp_peers import EVENT, FOLDER, NAMES, OPUS, OURS, PCMU, browser_end, ends, plain_end, sdes_end

from ringback.sdp.errors import UnacceptableSession
from ringback.sdp.offer_answer import AudioCapabilities, make_answer, make_offer, negotiate
from ringback.sdp.session import SessionDescription
from ringback.sdp.stream import streams_of
from ringback.sdp.translation import translate_answer, translate_offer
from ringback.sip.flow import Address

REAL = [(FOLDER / f"{name}.sdp").read_bytes().split(b"\n") for name in NAMES]
LINES = sorted({line for lines in REAL for line in lines if line})
ODD = [b"", b" 0", b":", b"/1", b" " * 50, b"9" * 30, b"\xff\x80", b'"', b"*"]


@st.composite
def bent(draw: st.DrawFn) -> bytes:
    lines = list(draw(st.sampled_from(REAL)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(lines) - 1))
        cut = draw(st.integers(0, len(lines[at])))
        match draw(st.sampled_from(("lose", "double", "cut", "bend", "swap", "mix"))):
            case "lose" if len(lines) > 1:
                del lines[at]
            case "double":
                lines.insert(draw(st.integers(0, len(lines))), lines[at])
            case "cut":
                lines[at] = lines[at][:cut]
            case "bend":
                lines[at] = lines[at][:cut] + draw(st.sampled_from(ODD)) + lines[at][cut + 1 :]
            case "swap":
                lines[at], lines[-1] = lines[-1], lines[at]
            case _:
                lines[at] = draw(st.sampled_from(LINES))
    return b"\n".join(lines)


makers = st.sampled_from((plain_end, sdes_end, browser_end))


def read(data: bytes) -> SessionDescription | None:
    try:
        return SessionDescription.parse(data)
    except UnacceptableSession:
        return None


def holds(told: SessionDescription | None) -> bool:
    return told is None or SessionDescription.parse(told.to_bytes()) == told


def attempted(function, *arguments, **options) -> SessionDescription | None:
    """What came of it; None for a refusal, whose reason must fit into a Warning."""
    try:
        return function(*arguments, **options)
    except UnacceptableSession as error:
        refusal = error
    assert refusal.status == 488
    assert refusal.detail.isprintable()
    assert '"' not in refusal.detail
    assert len(refusal.detail) < 200
    return None


@given(bent(), bent(), makers, makers, st.booleans())
def test_bent_descriptions_are_refused_or_pass_the_bridge(first, second, make_a, make_b, bundle):
    offer, answer = read(first), read(second)
    if offer is None or answer is None:
        return
    attempted(streams_of, offer)
    before = attempted(translate_offer, answer, ends(answer, make_b), session_id=1, bundle=bundle)
    own = ends(offer, make_b)
    told = attempted(
        translate_offer, offer, own, session_id=1, previous=before, added=(OPUS, PCMU, EVENT), bundle=bundle
    )
    assert holds(told)
    own = ends(offer, make_a)
    assert holds(attempted(translate_answer, answer, offer, own, session_id=2, transcodable=(PCMU,)))


@given(bent(), makers)
def test_bent_descriptions_are_refused_or_answered_by_ourselves(data, make):
    session = read(data)
    if session is None:
        return
    capabilities = AudioCapabilities((OPUS, PCMU), Address(OURS, 4000), local=make())
    answer = attempted(make_answer, session, capabilities, session_id=1)
    assert holds(answer)
    if answer is not None:
        attempted(negotiate, answer, session)
    attempted(negotiate, make_offer(capabilities, session_id=1), session)
