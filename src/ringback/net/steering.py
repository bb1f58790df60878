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
import re
import socket
import struct

from ringback.kernel import peek
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
_NUMBERS = {b"%02d" % number: number for number in range(MAX_WORKERS)}
_TAG = b"=rb-"
_TAG_OF_TO = re.compile(rb"\r\nto?[ \t]*+:[^\r\n]*;tag=rb-([0-9]{2})-", re.IGNORECASE)
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
    handled where it arrives. 0.3 us for what begins something or answers it.
    """
    seen = peek(data)
    if seen is None:
        return None
    method, has_to_tag, branch = seen
    if not method:
        return _NUMBERS.get(branch[8:10]) if branch.startswith(_BRANCH) else None
    if not has_to_tag or _TAG not in data:
        return None
    found = _TAG_OF_TO.search(data)
    return _NUMBERS.get(found[1]) if found else None


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
