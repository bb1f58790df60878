# SPDX-License-Identifier: Apache-2.0
"""Which of two wrapping numbers is later? Serial arithmetic (RFC 1982) for RTP's 16 and 32 bit counters."""


def difference(later: int, earlier: int, *, bits: int) -> int:
    """`later - earlier` on a circle of 2**bits numbers, the shorter way: negative when it is earlier."""
    half = 1 << (bits - 1)
    return ((later - earlier + half) & ((1 << bits) - 1)) - half


def extended(value: int, reference: int, *, bits: int) -> int:
    """The unwrapped number nearest to `reference` (itself unwrapped) whose low bits are `value`."""
    return reference + difference(value, reference & ((1 << bits) - 1), bits=bits)
