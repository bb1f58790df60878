# SPDX-License-Identifier: Apache-2.0
"""A registration arrives at the other workers as it was made, whatever a phone writes into it."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from ringback.server.binding import Binding, to_record
from ringback.server.cluster.shared_binding import (
    connection_of,
    expiry_of,
    pack_binding,
    pack_row,
    to_binding,
    unpack_record,
)
from ringback.server.storage.binding_record import encode
from ringback.sip.flow import Address, Flow, Transport

TEXT = st.text(st.characters(codec="utf-8"), max_size=20) | st.just("a\0b") | st.just("\udcff")
FLOWS = st.none() | st.builds(
    Flow,
    st.sampled_from(Transport),
    st.builds(Address, st.just("::1"), st.integers(0, 65535)),
    st.builds(Address, st.just("192.0.2.9"), st.integers(0, 65535)),
    st.integers(0, 2**56),
)


@given(
    st.builds(
        Binding,
        st.text("0123456789", min_size=1),
        TEXT,
        TEXT,
        st.floats(0, 1e9),
        st.floats(0, 1),
        TEXT,
        st.integers(0, 2**31 - 1),
        FLOWS,
        st.lists(TEXT, max_size=3).map(tuple),
        TEXT,
        st.integers(0, 2**31 - 1),
        TEXT,
        st.floats(0, 1e10),
        device=st.text("0123456789abcdef", max_size=12),
    )
)
def test_a_binding_travels_unchanged(binding: Binding) -> None:
    value = pack_binding(binding, expires_at=5.0)
    record = unpack_record(value)
    assert record is not None
    assert record == to_record(binding, now=binding.expires_at, wall_now=5.0)
    assert expiry_of(value) == 5.0
    assert connection_of(value) == (binding.flow.connection if binding.flow else 0)
    again = to_binding(record, expires_at=binding.expires_at, flow=binding.flow)
    assert pack_binding(again, expires_at=5.0) == value


def test_what_the_store_wrote_travels_as_it_is() -> None:
    record = to_record(Binding("101", "sip:101@h", "<sip:101@h>", 7.0), now=0.0, wall_now=0.0)
    for content in (record, encode(record)):
        value = pack_row(("101", "sip:101@h", 7.0, content))
        assert unpack_record(value) == record
        assert (expiry_of(value), connection_of(value)) == (7.0, 0)
    assert unpack_record(pack_row(("101", "x", 7.0, "no JSON"))) is None
    assert unpack_record(pack_row(("101", "x", 7.0, replace(record, expires_at=9.0)))) == replace(
        record, expires_at=9.0
    )
