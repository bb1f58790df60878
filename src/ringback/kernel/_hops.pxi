# SPDX-License-Identifier: Apache-2.0
# Which way did the message come, and what is written into its top Via (RFC 3261 18.2.1, RFC 3581 4)?

cdef enum:
    #: Room for a Via line as it is written anew: a blank behind each comma, and a stamp.
    LONGEST_STAMP = 2 * MAX_LINE

cdef struct Hop:
    Span transport
    #: With its brackets, as it came.
    Span host
    int port
    Parameters parameters
    Span branch
    #: 0: asked for, not filled in; -1: not asked for
    int rport
    #: Behind the value.
    Octets end


cdef bint read_hop(Octets start, Octets end, Hop* hop) noexcept:
    """Read one plain Via value; False if it is none."""
    cdef Octets place
    if end - start < 12 or memcmp(start, b"SIP/2.0/", 8) != 0:
        return False
    hop.transport.start = start + 8
    place = skip(start + 8, TOKEN)
    hop.transport.end = place
    if place == hop.transport.start or place[0] != b" ":
        return False
    hop.host.start = place + 1
    place = read_host(place + 1, end)
    if place == NULL:
        return False
    hop.host.end = place
    hop.port = 0
    if place < end and place[0] == b":":
        place = skip(place + 1, DIGIT)
        hop.port = port_number(hop.host.end + 1, place)
        if hop.port < 0:
            return False
    hop.end = read_parameters(place, end, &hop.parameters)
    return hop.end != NULL and read_hop_parameters(hop)


cdef inline bint read_hop_parameters(Hop* hop) noexcept:
    """Find branch and rport. Multicast (maddr, ttl) is nothing plain."""
    cdef int place
    cdef Span name, value
    hop.branch.start = NULL
    hop.rport = -1
    for place in range(hop.parameters.count):
        name = hop.parameters.names[place]
        value = hop.parameters.values[place]
        if is_word(name.start, name.end, b"branch", 6):
            hop.branch = value
            if value.start != NULL and value.start[0] == b'"':
                return False
        elif is_word(name.start, name.end, b"rport", 5):
            hop.rport = 0 if value.start == NULL else port_number(value.start, value.end)
            if hop.rport < 0:
                return False
        elif is_word(name.start, name.end, b"maddr", 5) or is_word(name.start, name.end, b"ttl", 3):
            return False
    return True


cdef int read_hops(Octets start, Octets end, Hop* first) noexcept:
    """How many values a Via line has; 0 if one of them is not plain."""
    cdef Hop other
    cdef Hop* hop = first
    cdef int count = 0
    while True:
        if not read_hop(start, end, hop):
            return 0
        count += 1
        if hop.end >= end:
            return count
        if hop.end[0] != b",":
            return 0
        start = skip_blanks(hop.end + 1)
        hop = &other


cdef inline bint has_branch(Hop* hop) noexcept:
    """True if the branch is one of our age (8.1.1.7)."""
    return hop.branch.start != NULL and hop.branch.end - hop.branch.start > 7 \
        and memcmp(hop.branch.start, b"z9hG4bK", 7) == 0


cdef bint is_source(Hop* hop, Octets host, Py_ssize_t length) noexcept:
    """True if sent-by names the host the message came from."""
    cdef Octets start = hop.host.start
    cdef Octets end = hop.host.end
    if start[0] == b"[":
        start += 1
        end -= 1
    if end - start != length:
        return False
    for place in range(length):
        if lower(start[place]) != host[place]:
            return False
    return True


cdef inline unsigned char lower(unsigned char octet) noexcept:
    return octet + 32 if b"A" <= octet <= b"Z" else octet


cdef inline unsigned char upper(unsigned char octet) noexcept:
    return octet - 32 if b"a" <= octet <= b"z" else octet


cdef bint is_stamped(Hop* hop, bint wants_received, Octets host, Py_ssize_t length, Octets port,
                     Py_ssize_t digits) noexcept:
    """True if the Via says already, letter for letter, what a stamp would say."""
    cdef int place
    cdef Span name, value
    for place in range(hop.parameters.count):
        name = hop.parameters.names[place]
        value = hop.parameters.values[place]
        if is_word(name.start, name.end, b"rport", 5):
            if not same(name.start, name.end, b"rport", 5) or value.start == NULL \
                    or not same(value.start, value.end, <const char*>port, digits):
                return False
        elif is_word(name.start, name.end, b"received", 8):
            return wants_received and place == hop.parameters.count - 1 and value.start != NULL \
                and same(name.start, name.end, b"received", 8) \
                and same(value.start, value.end, <const char*>host, length)
    return not wants_received


cdef Py_ssize_t stamp(Hop* hop, Octets end, Octets host, Py_ssize_t length, int port,
                      unsigned char* buffer) noexcept:
    """Write the Via line that begins with this hop anew: how long it is, -1 if it stays as it came.

    `length` is at most 255. What the peer wrote as its source is replaced; the values behind stay.
    """
    cdef unsigned char digits[20]
    cdef int count = print_number(digits, <unsigned long long>port)
    cdef bint wants_received = hop.rport >= 0 or not is_source(hop, host, length)
    if is_stamped(hop, wants_received, host, length, digits, count):
        return -1
    cdef unsigned char* place = write_sent_by(hop, buffer)
    place = write_parameters(hop, place, digits, count)
    if wants_received:
        memcpy(place, b";received=", 10)
        memcpy(place + 10, host, length)
        place += 10 + length
    return write_rest(hop.end, end, place) - buffer


cdef inline unsigned char* write_rest(Octets rest, Octets end, unsigned char* place) noexcept:
    """The values behind the first one, with one blank behind each comma that stands in no quotes."""
    cdef bint is_quoted = False
    while rest < end:
        place[0] = rest[0]
        place += 1
        is_quoted ^= rest[0] == b'"'
        if rest[0] == b"," and not is_quoted:
            place[0] = b" "
            place += 1
            rest = skip_blanks(rest + 1)
        else:
            rest += 1
    return place


cdef inline unsigned char* write_sent_by(Hop* hop, unsigned char* place) noexcept:
    cdef Octets octet = hop.transport.start
    memcpy(place, b"SIP/2.0/", 8)
    place += 8
    while octet < hop.transport.end:
        place[0] = upper(octet[0])
        place += 1
        octet += 1
    place[0] = b" "
    place += 1
    octet = hop.host.start
    while octet < hop.host.end:
        place[0] = lower(octet[0])
        place += 1
        octet += 1
    if hop.port:
        place[0] = b":"
        place += 1 + print_number(place + 1, hop.port)
    return place


cdef inline unsigned char* write_parameters(Hop* hop, unsigned char* place, Octets port, int digits) noexcept:
    """All but `received`, and `rport` with the port."""
    cdef int index
    cdef Span name, value
    cdef Octets end
    for index in range(hop.parameters.count):
        name = hop.parameters.names[index]
        value = hop.parameters.values[index]
        if is_word(name.start, name.end, b"rport", 5):
            memcpy(place, b";rport=", 7)
            memcpy(place + 7, port, digits)
            place += 7 + digits
        elif not is_word(name.start, name.end, b"received", 8):
            end = name.end if value.start == NULL else value.end
            place[0] = b";"
            memcpy(place + 1, name.start, end - name.start)
            place += 1 + (end - name.start)
    return place


cdef bint is_stamp(Octets host, Py_ssize_t length) noexcept:
    """True for a source that can be written as a parameter's value."""
    cdef Py_ssize_t place
    if length > MAX_HOST:
        return False
    for place in range(length):
        if not KIND[host[place]] & VALUE:
            return False
    return length > 0
