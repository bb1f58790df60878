# SPDX-License-Identifier: Apache-2.0
"""Which worker does a datagram belong to? Its number stands in our own words: branches and tags.

Several workers listen on one port (SO_REUSEPORT). The system spreads datagrams by their addresses, so all
that one phone sends meets one worker; a response comes from somebody else, but brings back our top Via with
the branch that the worker made (RFC 3261 17.1.3). `attach` teaches the system to look there. Where it does
not learn, and for connections, `owner_of` says the same, and the workers hand over (`handover.py`).

Requests inside a dialog that ends here (a call to a built-in number) belong to the worker whose tag is in
their To.
"""

import ctypes
import logging
import socket
import struct

from ringback.sip.identifiers import MAGIC_COOKIE

log = logging.getLogger("ringback.net")

#: So many can be written in the two digits of a branch; the machine has fewer cores.
MAX_WORKERS = 64

#: From `asm-generic/socket.h`; Python has no name for it.
SO_ATTACH_REUSEPORT_CBPF = 51

#: Where the word of the top Via may begin in a response: behind "SIP/2.0 200 \r\nVia:SIP/2.0/UDP a;branch="
#: at the earliest. One offset costs the system about two nanoseconds, and most Vias are found at about 70.
FIRST_OFFSET, LAST_OFFSET = 36, 320

_BRANCH = f"{MAGIC_COOKIE}-".encode("ascii")
_TAG = b"rb-"
_RESPONSE = b"SIP/"

# Classic BPF: the operations used here.
_LOAD_WORD, _LOAD_WORD_AT_X, _LOAD_BYTE_AT_X = 0x20, 0x40, 0x50
_X_IS, _X_FROM_STORE, _STORE = 0x01, 0x61, 0x02
_JUMP, _JUMP_IF_EQUAL = 0x05, 0x15
_SUBTRACT, _MULTIPLY, _ADD_X = 0x14, 0x24, 0x0C
_RETURN, _RETURN_RESULT = 0x06, 0x16

#: No worker has this number: the system takes the one that the addresses choose.
BY_ADDRESS = 0xFFFF_FFFF

Instruction = tuple[int, int, int, int]


def owner_of(data: bytes) -> int | None:
    """The number of the worker that a message belongs to; None when any may take it.

    Whoever writes a number into a message sends it on a detour, and no further: what was handed over is
    handled where it arrives.
    """
    if data.startswith(_RESPONSE):
        at = data.find(_BRANCH)
        return None if at < 0 else _number(data, at + len(_BRANCH))
    at = data.find(_TAG)
    while at >= 0:
        if _is_tag_of_to(data, at):
            return _number(data, at + len(_TAG))
        at = data.find(_TAG, at + 1)
    return None


def _number(data: bytes, at: int) -> int | None:
    digits = data[at : at + 2]
    return int(digits) if len(digits) == 2 and digits.isdigit() else None


def _is_tag_of_to(data: bytes, at: int) -> bool:
    """Whether what begins here stands in a To line (also a folded one) behind `tag=`."""
    before = data[max(0, at - 16) : at].rstrip(b" \t")
    if not before.endswith(b"=") or before[:-1].rstrip(b" \t")[-3:].lower() != b"tag":
        return False
    start = data.rfind(b"\n", 0, at) + 1
    while data[start : start + 1] in (b" ", b"\t"):
        start = data.rfind(b"\n", 0, start - 1) + 1
    name = data[start : start + 16].partition(b":")[0].strip().lower()
    return name in (b"to", b"t")


def attach(sock: socket.socket) -> bool:
    """Teach the sockets that share the port of `sock` to find the workers of responses; False where the
    system does not allow it.
    """
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in program())
    buffer = ctypes.create_string_buffer(code, len(code))
    argument = struct.pack("HP", len(code) // 8, ctypes.addressof(buffer))
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, argument)
    except OSError as error:
        log.info("responses are handed over between workers: the system cannot steer them (%s)", error)
        return False
    return True


def program() -> list[Instruction]:
    """Looks for our branch at each offset, since classic BPF has no loops, and returns the number in it.

    Reading behind the end of a datagram ends the program with 0: the first worker gets what is cut off.
    """
    offsets = range(FIRST_OFFSET, LAST_OFFSET)
    code: list[Instruction] = [(_LOAD_WORD, 0, 0, 0), (_JUMP_IF_EQUAL, 1, 0, _word(_RESPONSE))]
    code.append((_RETURN, 0, 0, BY_ADDRESS))
    found = len(code) + 4 * len(offsets) + 1
    for offset in offsets:
        code += [
            (_LOAD_WORD, 0, 0, offset),
            (_JUMP_IF_EQUAL, 0, 2, _word(_BRANCH[:4])),
            (_X_IS, 0, 0, offset),
            (_JUMP, 0, 0, found - len(code) - 4),
        ]
    code.append((_RETURN, 0, 0, BY_ADDRESS))
    return [*code, *_NUMBER_BEHIND_X]


def _word(text: bytes) -> int:
    return int.from_bytes(text, "big")


#: X is where the cookie begins; ten times the first digit and the second one are the worker.
_NUMBER_BEHIND_X: list[Instruction] = [
    (_LOAD_WORD_AT_X, 0, 0, 4),
    (_JUMP_IF_EQUAL, 1, 0, _word(_BRANCH[4:])),
    (_RETURN, 0, 0, BY_ADDRESS),
    (_LOAD_BYTE_AT_X, 0, 0, 8),
    (_SUBTRACT, 0, 0, 48),
    (_MULTIPLY, 0, 0, 10),
    (_STORE, 0, 0, 0),
    (_LOAD_BYTE_AT_X, 0, 0, 9),
    (_SUBTRACT, 0, 0, 48),
    (_X_FROM_STORE, 0, 0, 0),
    (_ADD_X, 0, 0, 0),
    (_RETURN_RESULT, 0, 0, 0),
]
