# SPDX-License-Identifier: Apache-2.0
# Where does a header line begin and end, and which field is it? One line at a time, without a copy.

# The first places of _grammar.NAMES.
cdef enum:
    UNKNOWN = -1
    VIA = 0
    FROM = 1
    TO = 2
    CALL_ID = 3
    CSEQ = 4
    MAX_FORWARDS = 5
    CONTACT = 6
    ROUTE = 7
    RECORD_ROUTE = 8
    CONTENT_TYPE = 9
    CONTENT_LENGTH = 10
    EXPIRES = 11
    REQUIRE = 12
    PROXY_REQUIRE = 13
    TIMESTAMP = 14

cdef enum:
    LONGEST_NAME = 32
    NAME_SLOTS = 512

cdef struct Name:
    unsigned char text[LONGEST_NAME]
    int length
    int field

cdef struct Line:
    Octets start
    Octets value
    #: Behind the value, blanks at its end left out.
    Octets end
    #: The next line.
    Octets next
    int field

cdef Name NAME_TABLE[NAME_SLOTS]
#: The fields that begin with an octet, as bits: most lines are no news to those who look for a few.
cdef unsigned long long BEGIN_WITH[256]


cdef inline int _slot(Octets name, int length) noexcept:
    return (name[0] * 5 + name[length - 1] * 11 + name[length >> 1] * 29 + length * 37) & (NAME_SLOTS - 1)


cdef int _add_name(bytes name, int field) except -1:
    cdef int slot = _slot(<Octets>PyBytes_AS_STRING(name), <int>len(name))
    while NAME_TABLE[slot].length:
        slot = (slot + 1) & (NAME_SLOTS - 1)
    memcpy(NAME_TABLE[slot].text, PyBytes_AS_STRING(name), len(name))
    NAME_TABLE[slot].length = <int>len(name)
    NAME_TABLE[slot].field = field
    BEGIN_WITH[<int>name[0]] |= 1ULL << field
    BEGIN_WITH[<int>name.upper()[0]] |= 1ULL << field
    return 0


cdef int _make_name_table() except -1:
    memset(NAME_TABLE, 0, sizeof(NAME_TABLE))
    memset(BEGIN_WITH, 0, sizeof(BEGIN_WITH))
    names = {name: place for place, name in enumerate(_grammar.NAMES)}
    for name, field in (*names.items(), *((short, names[name]) for short, name in _grammar.COMPACT.items())):
        if len(name) > LONGEST_NAME:
            raise ImportError("a name is too long for the compiled kernel")
        _add_name(name.encode("ascii"), field)
    known = ("via", "from", "to", "call-id", "cseq", "max-forwards", "contact", "route", "record-route",
             "content-type", "content-length", "expires", "require", "proxy-require", "timestamp")
    if _grammar.NAMES[:15] != known:
        raise ImportError("the compiled kernel was built for other names: build it again")
    return 0


_make_name_table()


cdef inline int field_of(Octets name, int length) noexcept:
    """The field with this folded name, compact or long."""
    cdef int slot = _slot(name, length)
    while NAME_TABLE[slot].length:
        if NAME_TABLE[slot].length == length and memcmp(NAME_TABLE[slot].text, name, length) == 0:
            return NAME_TABLE[slot].field
        slot = (slot + 1) & (NAME_SLOTS - 1)
    return UNKNOWN


cdef inline Octets read_name(Octets start, int* field) noexcept:
    """Behind the colon of a line that has a name; NULL if it has none."""
    cdef unsigned char folded[LONGEST_NAME + 1]
    cdef Octets place = start
    cdef int length = 0
    while length <= LONGEST_NAME and FOLDED[place[0]]:
        folded[length] = FOLDED[place[0]]
        length += 1
        place += 1
    field[0] = UNKNOWN
    if length > LONGEST_NAME:
        place = skip(place, TOKEN)
    elif length:
        field[0] = field_of(folded, length)
    if length == 0 or place[0] != b":":
        return NULL
    return place + 1


cdef inline Octets line_end(Octets start, Octets end) noexcept:
    """The CRLF that ends this line; NULL if there is none."""
    cdef Octets found
    while True:
        found = find(start, end, b"\r")
        if found == NULL or found[1] == b"\n":  # a NUL stands behind the last octet
            return found
        start = found + 1


cdef inline bint read_line(Octets start, Octets end, Line* line) noexcept:
    """Read a line that has a name and no CR of its own; False if this is none."""
    cdef Octets found
    line.start = start
    line.value = read_name(start, &line.field)
    if line.value == NULL:
        return False
    line.value = skip_blanks(line.value)
    found = find(line.value, end, b"\r")
    if found == NULL or found[1] != b"\n" or found - start > MAX_LINE:
        return False
    line.next = found + 2
    while found > line.value and ((found - 1)[0] == b" " or (found - 1)[0] == b"\t"):
        found -= 1
    line.end = found
    return True
