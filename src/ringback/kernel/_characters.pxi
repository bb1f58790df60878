# SPDX-License-Identifier: Apache-2.0
# Which octet may stand where? Tables made from `_grammar.py`, and the C functions that all parts use.

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.string cimport memchr, memcmp, memcpy, memset

from ringback.kernel import _grammar

cdef extern from "Python.h":
    object PyUnicode_New(Py_ssize_t size, Py_UCS4 maxchar)
    unsigned char* PyUnicode_1BYTE_DATA(object text)
    object PyUnicode_DecodeUTF8(const char* text, Py_ssize_t size, const char* errors)

ctypedef const unsigned char* Octets

cdef struct Span:
    Octets start
    Octets end

# The places of _grammar.CLASSES.
cdef enum:
    TOKEN = 1
    VALUE = 2
    HOST = 4
    USER = 8
    URI_PARAMETER = 16
    WORD = 32
    DISPLAY = 64
    DIGIT = 128
    HEXADECIMAL = 256

cdef enum:
    MAX_MESSAGE = 65536
    MAX_LINE = 8192
    MAX_LINES = 256
    MAX_TARGET = 2048
    MAX_HOST = 255
    MAX_PARAMETERS = 16

cdef unsigned short KIND[256]
#: The lower case of a token's octets; 0 for all others.
cdef unsigned char FOLDED[256]


cdef int _make_tables() except -1:
    memset(KIND, 0, sizeof(KIND))
    memset(FOLDED, 0, sizeof(FOLDED))
    for place, inside in enumerate(_grammar.CLASSES):
        for octet in _grammar.octets(inside):
            KIND[<int>octet] |= 1 << <int>place
    for octet in _grammar.octets(_grammar.TOKEN):
        FOLDED[<int>octet] = ord(bytes((octet,)).lower())
    limits = (_grammar.MAX_MESSAGE, _grammar.MAX_LINE, _grammar.MAX_LINES, _grammar.MAX_TARGET,
              _grammar.MAX_HOST, _grammar.MAX_PARAMETERS)
    if limits != (MAX_MESSAGE, MAX_LINE, MAX_LINES, MAX_TARGET, MAX_HOST, MAX_PARAMETERS):
        raise ImportError("the compiled kernel was built for other limits: build it again")
    return 0


_make_tables()


cdef inline bint same(Octets start, Octets end, const char* text, Py_ssize_t length) noexcept:
    """True if these octets are `text`."""
    return end - start == length and memcmp(start, text, length) == 0


cdef inline bint is_word(Octets start, Octets end, const char* word, Py_ssize_t length) noexcept:
    """True if this token is `word`, in whatever case; `word` comes in lower case."""
    cdef Py_ssize_t place
    if end - start != length:
        return False
    for place in range(length):
        if FOLDED[start[place]] != <unsigned char>word[place]:
            return False
    return True


cdef inline Octets skip(Octets place, int kind) noexcept:
    """Behind all octets of a class."""
    while KIND[place[0]] & kind:
        place += 1
    return place


cdef inline Octets skip_blanks(Octets place) noexcept:
    while place[0] == b" " or place[0] == b"\t":
        place += 1
    return place


cdef inline Octets find(Octets start, Octets end, unsigned char octet) noexcept:
    return <Octets>memchr(start, octet, end - start)


cdef inline str ascii_text(Octets start, Octets end):
    """Text from octets that are known to be ASCII."""
    cdef object text = PyUnicode_New(end - start, 127)
    memcpy(PyUnicode_1BYTE_DATA(text), start, end - start)
    return <str>text


cdef long long number(Octets start, Octets end, Py_ssize_t most, long long limit) noexcept:
    """The number of at most so many digits; -1 if it is none, or above the limit."""
    cdef long long value = 0
    if start >= end or end - start > most:
        return -1
    while start < end:
        if not KIND[start[0]] & DIGIT:
            return -1
        value = value * 10 + (start[0] - 48)
        start += 1
    return value if value <= limit else -1


cdef inline int port_number(Octets start, Octets end) noexcept:
    """1 to 65535 without leading zeros; -1 for anything else."""
    return -1 if start[0] == b"0" else <int>number(start, end, 5, 65535)


cdef int print_number(unsigned char* buffer, unsigned long long value) noexcept:
    """Write the digits; how many there are."""
    cdef unsigned char reverse[20]
    cdef int length = 0, place
    while True:
        reverse[length] = 48 + value % 10
        length += 1
        value //= 10
        if value == 0:
            break
    for place in range(length):
        buffer[place] = reverse[length - 1 - place]
    return length


cdef Py_ssize_t count_controls(Octets start, Octets end) noexcept:
    """How many control octets there are, TAB apart. One plain loop: the compiler makes vectors of it."""
    cdef Py_ssize_t place, count = 0, length = end - start
    cdef unsigned char octet
    for place in range(length):
        octet = start[place]
        count += ((octet < 32) & (octet != 9)) | (octet == 127)
    return count
