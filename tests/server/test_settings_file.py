# SPDX-License-Identifier: Apache-2.0
"""Settings written back into a file: whatever way its owner writes TOML, the change is read and the rest stays."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.server.config import Settings
from ringback.server.config_file import Loaded, check_file, load_settings
from ringback.server.settings_file import NotWritable, drafted, version_of, write


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", '[calls]\nmode = "proxy"\n'),
        ("# only a comment\n", '# only a comment\n\n[calls]\nmode = "proxy"\n'),
        ('[calls]\nmode = "bridge" # why\n', '[calls]\nmode = "proxy" # why\n'),
        ('calls.mode = "bridge" # why\n', 'calls.mode = "proxy" # why\n'),
        ('calls = { mode = "bridge", max_bridged = 5 }\n', 'calls = { mode = "proxy", max_bridged = 5 }\n'),
        ("[calls]\r\nmax_bridged = 5\r\n", '[calls]\r\nmax_bridged = 5\r\nmode = "proxy"\n'),
        ('[calls]\nmax_bridged = 5\n\n[sip] # us\ndomain = "a.example"\n', None),
    ],
)  # fmt: skip
def test_one_value_is_changed_in_its_place(tmp_path: Path, before: str, after: str | None) -> None:
    file = tmp_path / "ringback.toml"
    file.write_text(before, newline="")
    draft = drafted(before, {"calls.mode": "proxy"}, check_file(file))
    assert draft.problems == {}
    if after is not None:
        assert draft.text == after
    old, new = tomllib.loads(before), tomllib.loads(draft.text)
    assert new == {**old, "calls": {**old.get("calls", {}), "mode": "proxy"}}
    write(file, draft.text)
    assert check_file(file).settings.calls.mode == "proxy"
    assert [each.name for each in tmp_path.iterdir()] == ["ringback.toml"]


def test_flags_lie_on_top_of_what_is_judged(tmp_path: Path) -> None:
    loaded = load_settings({"data": str(tmp_path), "sip_port": 7000}, {})
    assert drafted("", {"web.https_port": 7000}, loaded).problems == {
        "web.https_port": "web.https_port is the same port as sip.port (7000)"
    }
    assert drafted("", {"web.https_port": 5060}, loaded).problems == {}


def test_a_link_to_the_file_stays_a_link(tmp_path: Path) -> None:
    real, link = tmp_path / "real.toml", tmp_path / "link.toml"
    real.write_text("")
    link.symlink_to(real)
    write(link, "[calls]\n")
    assert (link.is_symlink(), real.read_text()) == (True, "[calls]\n")


def test_a_folder_that_is_not_there_is_a_reason(tmp_path: Path) -> None:
    with pytest.raises(NotWritable, match="cannot be written"):
        write(tmp_path / "nowhere" / "ringback.toml", "")


@given(st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=50))
def test_any_text_as_a_value_comes_back_or_is_refused(text: str) -> None:
    draft = drafted("", {"sip.domain": text}, Loaded(Settings()))
    assert draft.problems or tomllib.loads(draft.text)["sip"]["domain"] == text
    assert len(version_of(draft.text)) == 16
