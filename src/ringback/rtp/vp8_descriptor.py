# SPDX-License-Identifier: Apache-2.0
"""What stands before the VP8 in a packet? The payload descriptor of RFC 7741 section 4.2.

A receiver of many sources in turn must see one row of pictures: their numbers are written anew.
"""

from __future__ import annotations

from dataclasses import dataclass

_EXTENDED, _START, _PARTITION = 0x80, 0x10, 0x07
_HAS_PICTURE, _HAS_LAYER_INDEX, _HAS_LAYER, _HAS_KEY_INDEX = 0x80, 0x40, 0x20, 0x10
_LONG = 0x80


@dataclass(frozen=True, slots=True)
class Vp8Descriptor:
    """Where the fields are that change on the way, and what they hold.

    `picture` is None without a PictureID, `picture_bits` 7 or 15; `layer_index` is TL0PICIDX.
    """

    length: int
    is_frame_start: bool
    picture: int | None = None
    picture_bits: int = 0
    picture_at: int = 0
    layer_index: int | None = None
    layer_index_at: int = 0

    @classmethod
    def parse(cls, payload: bytes) -> Vp8Descriptor | None:
        """None for what is too short to be one."""
        if not payload:
            return None
        first = payload[0]
        is_start = bool(first & _START) and not first & _PARTITION
        if not first & _EXTENDED:
            return cls(1, is_start)
        try:
            return cls._extended(payload, is_frame_start=is_start)
        except IndexError:
            return None

    @classmethod
    def _extended(cls, payload: bytes, *, is_frame_start: bool) -> Vp8Descriptor:
        fields, at = payload[1], 2
        picture, bits, picture_at, layer_index, layer_index_at = None, 0, 0, None, 0
        if fields & _HAS_PICTURE:
            picture, bits, picture_at = payload[at], 7, at
            if picture & _LONG:
                picture, bits = (picture & 0x7F) << 8 | payload[at + 1], 15
            at += 1 + (bits == 15)
        if fields & _HAS_LAYER_INDEX:
            layer_index, layer_index_at = payload[at], at
            at += 1
        at += bool(fields & (_HAS_LAYER | _HAS_KEY_INDEX))
        return cls(at, is_frame_start, picture, bits, picture_at, layer_index, layer_index_at)

    def renumbered(self, payload: bytes, *, picture_step: int, layer_index_step: int) -> bytes:
        """The payload with its numbers so much later, each on its own circle."""
        if self.picture is None and self.layer_index is None:
            return payload
        changed = bytearray(payload)
        if self.picture is not None:
            number = self.picture + picture_step
            if self.picture_bits == 15:
                changed[self.picture_at] = _LONG | number >> 8 & 0x7F
                changed[self.picture_at + 1] = number & 0xFF
            else:
                changed[self.picture_at] = number & 0x7F
        if self.layer_index is not None:
            changed[self.layer_index_at] = self.layer_index + layer_index_step & 0xFF
        return bytes(changed)
