# SPDX-License-Identifier: Apache-2.0
# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""How does the kernel run at the speed of C? The twin of `_reference.py`, with pointers into the message.

Each part answers the question of its namesake: `_characters.pxi` and `_lines.pxi` know octets and lines,
`_addresses.pxi` URIs, `_hops.pxi` Via, `_reading.pxi` whole heads; then come the functions that callers
see, in `_scan.pxi`, `_edit.pxi`, `_respond.pxi`, `_peek.pxi`, `_split.pxi`,
`_digest.pxi`, `_datagrams.pxi`, `_overload.pxi`, `_relay.pxi`, `_relay_board.pxi`, `_secrets.pxi` and `_tape.pxi`.

Every bytes object ends with a NUL, which is in no class of octets and is no line end: a loop over a class
needs no second condition, and one octet behind the last may be looked at.

The figures at the functions: CPython 3.11, an INVITE of 860 octets with 15 fields, CPU time, best of fifteen.
"""

include "_characters.pxi"
include "_lines.pxi"
include "_addresses.pxi"
include "_hops.pxi"
include "_reading.pxi"
include "_scan.pxi"
include "_edit.pxi"
include "_respond.pxi"
include "_split.pxi"
include "_datagrams.pxi"
include "_peek.pxi"
include "_digest.pxi"
include "_overload.pxi"
include "_relay_packets.pxi"
include "_relay_sockets.pxi"
include "_relay.pxi"
include "_relay_board.pxi"
include "_secrets.pxi"
include "_tape.pxi"
