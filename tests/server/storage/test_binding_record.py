# SPDX-License-Identifier: Apache-2.0
"""What is written down about a binding comes back the same, or not at all."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.server.storage.binding_record import decode, encode
from ringback.server.storage.store import BindingRecord

texts = st.text(max_size=50)
bindings = st.builds(
    BindingRecord,
    user=texts, key=texts, contact=texts, expires_at=st.floats(0, 1e12), q=st.floats(0, 1), call_id=texts,
    cseq=st.integers(0, 2**32 - 1), transport=texts, local_host=texts, local_port=st.integers(0, 65535),
    remote_host=texts, remote_port=st.integers(0, 65535), path=st.lists(texts, max_size=4).map(tuple),
    instance=texts, reg_id=st.integers(0, 2**31), user_agent=texts, registered_at=st.floats(0, 1e12),
    device=texts,
)  # fmt: skip


@given(bindings)
def test_every_binding_survives_the_way_to_the_store_and_back(binding: BindingRecord) -> None:
    assert decode(encode(binding)) == binding


def test_what_a_newer_version_wrote_is_kept() -> None:
    binding = BindingRecord("101", "k", "<sip:a@b>", 5.0)
    text = json.dumps({**json.loads(encode(binding)), "v": 2, "colour": "green"})
    found = decode(text)
    assert found == replace(binding, more={"colour": "green"})
    assert json.loads(encode(found))["colour"] == "green"


WHOLE = {"v": 1, "user": "101", "key": "k", "contact": "<sip:a@b>", "expires_at": 5}


@pytest.mark.parametrize(
    "change",
    [
        {"user": 101}, {"user": None}, {"user": "x" * 9000}, {"expires_at": "5"}, {"expires_at": True},
        {"expires_at": 1e300}, {"cseq": 1.5}, {"cseq": 10**30}, {"v": "1"}, {"v": None}, {"path": "x"},
        {"path": [1]}, {"path": ["x"] * 33}, {"local_port": "5060"},
    ],
)  # fmt: skip
def test_a_wrong_type_or_size_makes_it_no_binding(change: dict[str, Any]) -> None:
    assert decode(json.dumps(WHOLE)) is not None
    assert decode(json.dumps({**WHOLE, **change})) is None


@pytest.mark.parametrize("missing", ["v", "user", "key", "contact", "expires_at"])
def test_a_missing_field_makes_it_no_binding(missing: str) -> None:
    assert decode(json.dumps({name: value for name, value in WHOLE.items() if name != missing})) is None


@given(st.text(max_size=80) | st.recursive(st.none() | st.integers(), st.lists).map(json.dumps))
def test_garbage_is_no_binding(text: str) -> None:
    assert decode(text) is None


def test_not_a_number_and_deep_nesting_are_no_binding() -> None:
    assert decode(json.dumps({**WHOLE, "expires_at": float("nan")})) is None
    assert decode("[" * 100_000) is None
