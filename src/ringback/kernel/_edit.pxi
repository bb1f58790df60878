# SPDX-License-Identifier: Apache-2.0
# How does a message change on its way? Stretches of the old bytes and a few new ones, joined once at the end.

cdef enum:
    #: A line taken over into a response is a name, a value and a line end; one that is changed is two stretches.
    MAX_PIECES = 3 * MAX_LINES + 32

cdef struct Piece:
    Octets start
    Py_ssize_t length

cdef struct Pieces:
    Piece pieces[MAX_PIECES]
    int count
    Py_ssize_t total


cdef inline void put(Pieces* pieces, Octets start, Octets end) noexcept:
    """Append octets; neighbours in memory become one stretch. The caller limits how many there are."""
    cdef Piece* last
    if end <= start:
        return
    pieces.total += end - start
    if pieces.count:
        last = &pieces.pieces[pieces.count - 1]
        if last.start + last.length == start:
            last.length += end - start
            return
    pieces.pieces[pieces.count].start = start
    pieces.pieces[pieces.count].length = end - start
    pieces.count += 1


cdef inline void put_bytes(Pieces* pieces, bytes data) noexcept:
    cdef Octets start = <Octets>PyBytes_AS_STRING(data)
    put(pieces, start, start + PyBytes_GET_SIZE(data))


cdef bytes joined(Pieces* pieces):
    cdef bytes whole = PyBytes_FromStringAndSize(NULL, pieces.total)
    cdef char* place = PyBytes_AS_STRING(whole)
    cdef int index
    for index in range(pieces.count):
        memcpy(place, pieces.pieces[index].start, pieces.pieces[index].length)
        place += pieces.pieces[index].length
    return whole


cdef Octets value_end(Octets start, Octets end) noexcept:
    """The comma behind the first value of a list, or its end; quotes and brackets hide commas."""
    cdef Octets close
    while start < end and start[0] != b",":
        close = start
        if start[0] == b'"':
            close = find(start + 1, end, b'"')
        elif start[0] == b"<":
            close = find(start + 1, end, b">")
        if close == NULL:
            return end
        start = close + 1
    return start


cdef int put_without_values(Pieces* pieces, Octets start, Octets value, Octets end, int count) noexcept:
    """Append a line without its first values; it vanishes with its last one. How many it lost."""
    cdef int dropped
    cdef Octets place = value
    cdef Octets comma
    for dropped in range(1, count + 1):
        comma = value_end(place, end)
        if comma >= end:
            return dropped
        place = comma + 1
        while place < end and (place[0] == b" " or place[0] == b"\t"):
            place += 1
    put(pieces, start, value)
    put(pieces, place, end + 2)
    return count


cdef inline unsigned long long first_bits(Octets line, unsigned long long wanted, Octets* value) noexcept:
    """The bit of a line's field if it is one of the wanted; most lines are passed over by their first octet."""
    cdef int field
    if not BEGIN_WITH[line[0]] & wanted:
        return 0
    value[0] = read_name(line, &field)
    if value[0] == NULL or field < 0:
        return 0
    value[0] = skip_blanks(value[0])
    return (1ULL << field) & wanted


cdef Octets put_target(Pieces* pieces, Octets start, Octets end, bytes target) noexcept:
    """Append a Request-Line with another Request-URI; NULL if this is none."""
    cdef Octets first = find(start, end, b" ")
    cdef Octets second
    if first == NULL:
        return NULL
    second = find(first + 1, end, b" ")
    if second == NULL:
        return NULL
    put(pieces, start, first + 1)
    put_bytes(pieces, target)
    put(pieces, second, end + 2)
    return end


def edit_request(bytes data not None, *, str target=None, int max_forwards=-1, int drop_routes=0,
                 unsigned long long without=0, bytes on_top not None=b"", bytes at_end not None=b""):
    """A request as it goes on (RFC 3261 16.6), everything else byte for byte. ValueError if it has no head.

    0.3 us for an INVITE of 860 octets; the reference 11.
    """
    cdef Octets start = <Octets>PyBytes_AS_STRING(data)
    cdef Octets end = start + PyBytes_GET_SIZE(data)
    cdef Octets stop = line_end(start, end)
    cdef Octets value = NULL
    cdef Pieces pieces
    cdef int lines = 0
    cdef unsigned char digits[40]
    cdef unsigned long long bit, wanted
    cdef bytes new_target = None
    pieces.count = 0
    pieces.total = 0
    if stop == NULL:
        raise ValueError("no empty line after the header fields")
    if target is None:
        put(&pieces, start, stop + 2)
    else:
        new_target = target.encode("utf-8", "surrogateescape")
        if put_target(&pieces, start, stop, new_target) == NULL:
            raise ValueError("no Request-Line")
    put_bytes(&pieces, on_top)
    memcpy(digits, b"Max-Forwards: ", 14)
    wanted = without
    if max_forwards >= 0:
        wanted |= 1ULL << MAX_FORWARDS
    if drop_routes > 0:
        wanted |= 1ULL << ROUTE
    while True:
        start = stop + 2
        if start[0] == b"\r" and start[1] == b"\n":
            break
        lines += 1
        stop = line_end(start, end)
        if stop == NULL or lines > MAX_LINES:
            raise ValueError("no empty line after the header fields, or too many of them")
        bit = first_bits(start, wanted, &value)
        if bit == 0:
            put(&pieces, start, stop + 2)
        elif bit & without:
            pass
        elif bit == 1ULL << MAX_FORWARDS and max_forwards >= 0:
            put(&pieces, start, value)
            put_number(&pieces, digits + 14, max_forwards)
            max_forwards = -1
        elif bit == 1ULL << ROUTE and drop_routes > 0:
            drop_routes -= put_without_values(&pieces, start, value, stop, drop_routes)
        else:
            put(&pieces, start, stop + 2)
    if max_forwards >= 0:
        put(&pieces, digits, digits + 14)
        put_number(&pieces, digits + 14, max_forwards)
    put_bytes(&pieces, at_end)
    put(&pieces, start, end)
    return joined(&pieces)


cdef inline void put_number(Pieces* pieces, unsigned char* buffer, int value) noexcept:
    """Append a number and the end of its line; the buffer must stay until the pieces are joined."""
    cdef int count = print_number(buffer, value)
    buffer[count] = b"\r"
    buffer[count + 1] = b"\n"
    put(pieces, buffer, buffer + count + 2)


def pop_via(bytes data not None, unsigned long long without=0):
    """A response without its first Via value (RFC 3261 16.7 step 3), and without the lines of `without`.

    0.2 us for a 200 of 860 octets; the reference 11.
    """
    cdef Octets start = <Octets>PyBytes_AS_STRING(data)
    cdef Octets end = start + PyBytes_GET_SIZE(data)
    cdef Octets stop = line_end(start, end)
    cdef Octets value = NULL
    cdef Pieces pieces
    cdef int lines = 0
    cdef unsigned long long bit, wanted = without | 1ULL << VIA
    pieces.count = 0
    pieces.total = 0
    if stop == NULL:
        raise ValueError("no empty line after the header fields")
    put(&pieces, start, stop + 2)
    while True:
        start = stop + 2
        if start[0] == b"\r" and start[1] == b"\n":
            break
        lines += 1
        stop = line_end(start, end)
        if stop == NULL or lines > MAX_LINES:
            raise ValueError("no empty line after the header fields, or too many of them")
        bit = first_bits(start, wanted, &value)
        if bit == 0:
            put(&pieces, start, stop + 2)
            continue
        if bit & without:
            continue
        put_without_values(&pieces, start, value, stop, 1)
        wanted &= ~(1ULL << VIA)
        wanted |= without
    put(&pieces, start, end)
    return joined(&pieces)
