# SPDX-License-Identifier: Apache-2.0
from random import Random

from ringback.sip.identifiers import Identifiers, branch_suffix


def test_branches_begin_with_the_cookie_and_do_not_repeat() -> None:
    identifiers = Identifiers(Random(1).randbytes)
    branches = {identifiers.branch() for _ in range(1000)}
    assert len(branches) == 1000
    assert all(branch.startswith("z9hG4bK") and len(branch) > 20 for branch in branches)


def test_the_suffix_of_a_branch_can_be_read_back() -> None:
    identifiers = Identifiers(Random(1).randbytes)
    assert branch_suffix(identifiers.branch("abc.def")) == "abc.def"
    assert branch_suffix(identifiers.branch()) == ""
    assert branch_suffix("foreign.branch") == ""


def test_the_same_seed_gives_the_same_words() -> None:
    one, two = Identifiers(Random(7).randbytes), Identifiers(Random(7).randbytes)
    assert (one.tag(), one.call_id("h"), one.cnonce(), one.session_id()) == (
        two.tag(), two.call_id("h"), two.cnonce(), two.session_id(),
    )  # fmt: skip


def test_a_keyed_tag_depends_on_every_part_and_on_the_secret() -> None:
    one, two = Identifiers(Random(7).randbytes), Identifiers(Random(8).randbytes)
    assert one.keyed_tag("a", "b") == one.keyed_tag("a", "b")
    assert one.keyed_tag("a", "b") != one.keyed_tag("ab")
    assert one.keyed_tag("a", "b") != two.keyed_tag("a", "b")
    assert one.keyed_tag("\udcff") != one.keyed_tag("\udcfe")


def test_session_ids_fit_into_62_bits() -> None:
    identifiers = Identifiers(Random(1).randbytes)
    assert all(0 <= identifiers.session_id() < 2**62 for _ in range(100))
