# SPDX-License-Identifier: Apache-2.0
# Is this a plain URI, a plain address? What is doubtful is none (RFC 3261 25.1; `_reference_scan.py` has it as patterns).

cdef extern from "<arpa/inet.h>" nogil:
    int AF_INET
    int AF_INET6
    int inet_pton(int family, const char* text, void* address)
    const char* inet_ntop(int family, const void* address, char* text, unsigned int size)

cdef struct Parameters:
    Span names[MAX_PARAMETERS]
    #: start NULL when the parameter has no value; quotes belong to it
    Span values[MAX_PARAMETERS]
    int count

cdef struct Address:
    Span uri
    Parameters parameters
    bint is_bracketed


cdef bint is_ipv4(Octets start, Octets end) noexcept:
    """Four numbers up to 255 without leading zeros."""
    cdef int part, value
    cdef Octets first
    for part in range(4):
        first = start
        value = 0
        while KIND[start[0]] & DIGIT and start - first < 3 and start < end:
            value = value * 10 + (start[0] - 48)
            start += 1
        if start == first or value > 255 or (first[0] == b"0" and start - first > 1):
            return False
        if part < 3:
            if start >= end or start[0] != b".":
                return False
            start += 1
    return start == end


cdef bint is_perhaps_ipv4(const unsigned char* address) noexcept:
    """True for the addresses that some print with dots and others without: mapped and compatible ones."""
    cdef int place
    for place in range(10):
        if address[place]:
            return False
    return address[10] | address[11] | address[12] | address[13] != 0


cdef Octets read_ipv6(Octets start, Octets end) noexcept:
    """Behind the bracket of an IPv6 address in its one spelling (RFC 5952); NULL for any other."""
    cdef Octets bracket = find(start, end, b"]")
    cdef char text[48]
    cdef char spelled[48]
    cdef unsigned char address[16]
    cdef Py_ssize_t length
    if bracket == NULL or bracket - start < 3 or bracket - start > 40:
        return NULL
    length = bracket - start - 1
    memcpy(text, start + 1, length)
    text[length] = 0
    if memchr(text, b".", length) != NULL or inet_pton(AF_INET6, text, address) != 1:
        return NULL
    if is_perhaps_ipv4(address) or inet_ntop(AF_INET6, address, spelled, 48) == NULL or memcmp(text, spelled, length + 1) != 0:
        return NULL
    return bracket + 1


cdef Octets read_host(Octets start, Octets end) noexcept:
    """Behind a host; NULL if there is none, or none that has only one reading."""
    cdef Octets place = start
    cdef Octets label = start
    if start >= end:
        return NULL
    if start[0] == b"[":
        return read_ipv6(start, end)
    while KIND[place[0]] & HOST and place < end:
        if place[0] == b".":
            if place == label:
                return NULL
            label = place + 1
        place += 1
    if place == label or place - start > MAX_HOST:
        return NULL
    if start[0] == b"-" or (KIND[label[0]] & DIGIT and not is_ipv4(start, place)):
        return NULL
    return place


cdef inline Octets read_escaped(Octets place, int kind) noexcept:
    """Behind octets of a class, and escapes; NULL for a stray percent sign."""
    while True:
        if KIND[place[0]] & kind:
            place += 1
        elif place[0] != b"%":
            return place
        elif KIND[place[1]] & HEXADECIMAL and KIND[place[2]] & HEXADECIMAL:
            place += 3
        else:
            return NULL


cdef inline bint add_parameter(Parameters* parameters, Octets name, Octets name_end) noexcept:
    """Remember a name; False if it comes twice (RFC 3261 7.3.1), or is one too many."""
    cdef int place
    cdef Py_ssize_t octet, length = name_end - name
    cdef Octets other
    if parameters.count == MAX_PARAMETERS:
        return False
    for place in range(parameters.count):
        other = parameters.names[place].start
        if parameters.names[place].end - other != length:
            continue
        octet = 0
        # URI parameters hold octets that no token has: those are compared as they are.
        while octet < length and (other[octet] == name[octet]
                                  or (FOLDED[other[octet]] and FOLDED[other[octet]] == FOLDED[name[octet]])):
            octet += 1
        if octet == length:
            return False
    parameters.names[parameters.count].start = name
    parameters.names[parameters.count].end = name_end
    parameters.values[parameters.count].start = NULL
    parameters.count += 1
    return True


cdef Octets read_parameters(Octets place, Octets end, Parameters* parameters) noexcept:
    """Behind all ";name=value" of a header field; NULL if one is malformed."""
    cdef Octets name
    parameters.count = 0
    while place < end and place[0] == b";":
        name = place + 1
        place = skip(name, TOKEN)
        if place == name or not add_parameter(parameters, name, place):
            return NULL
        if place[0] != b"=":
            continue
        name = place + 1
        if name[0] == b'"':
            place = read_quoted(name, end)
        else:
            place = skip(name, VALUE)
        if place == NULL or place == name:
            return NULL
        parameters.values[parameters.count - 1].start = name
        parameters.values[parameters.count - 1].end = place
    return place


cdef inline Octets read_quoted(Octets start, Octets end) noexcept:
    """Behind a quoted string without a backslash; NULL if it has one, or no end."""
    cdef Octets place = find(start + 1, end, b'"')
    if place == NULL or find(start, place, b"\\") != NULL:
        return NULL
    return place + 1


cdef bint is_uri(Octets start, Octets end, bint with_parameters) noexcept:
    """True for a SIP or SIPS URI without a password and without header fields."""
    cdef Octets place = start
    cdef Octets at
    cdef Octets name
    cdef Parameters parameters
    if end - start < 5 or memcmp(start, b"sip", 3) != 0:
        return False
    place += 4 if start[3] == b"s" else 3
    if place[0] != b":":
        return False
    place += 1
    at = find(place, end, b"@")
    if at != NULL:
        if at == place or read_escaped(place, USER) != at:
            return False
        place = at + 1
    place = read_host(place, end)
    if place == NULL:
        return False
    if place < end and place[0] == b":":
        name = place + 1
        place = skip(name, DIGIT)
        if port_number(name, place) < 0:
            return False
    parameters.count = 0
    while place < end and place[0] == b";" and with_parameters:
        name = place + 1
        place = skip(name, URI_PARAMETER)
        if place == name or not add_parameter(&parameters, name, place):
            return False
        if place[0] == b"=":
            name = place + 1
            place = read_escaped(name, URI_PARAMETER)
            if place == NULL or place == name:
                return False
    return place == end


cdef Octets read_address(Octets start, Octets end, Address* address) noexcept:
    """Behind an address and its parameters; NULL if it is none. Blanks at its end are not read."""
    cdef Octets place = start
    cdef Octets close
    if start < end and start[0] == b'"':
        place = read_quoted(start, end)
        if place == NULL:
            return NULL
        place = skip_blanks(place)
        if place[0] != b"<":
            return NULL
    elif start < end and start[0] != b"<":
        place = skip(start, DISPLAY)
    address.is_bracketed = place < end and place[0] == b"<"
    if address.is_bracketed:
        address.uri.start = place + 1
        close = find(place, end, b">")
        if close == NULL:
            return NULL
        address.uri.end = close
        place = close + 1
    else:
        place = start
        while place < end and not is_delimiter(place[0]):
            place += 1
        address.uri.start = start
        address.uri.end = place
    if not is_uri(address.uri.start, address.uri.end, address.is_bracketed):
        return NULL
    return read_parameters(place, end, &address.parameters)


cdef inline bint is_delimiter(unsigned char octet) noexcept:
    """True for what ends an addr-spec that stands without brackets (RFC 3261 20.10)."""
    return octet == b";" or octet == b"," or octet == b" " or octet == b"\t" or octet == b"?" or octet == b"<"


cdef int read_addresses(Octets start, Octets end, Address* first, bint only_bracketed, Span* uris, int room) noexcept:
    """How many addresses a line lists; 0 if one of them is not plain. The first URIs go to `uris`, as room permits."""
    cdef Address other
    cdef Address* address = first
    cdef int count = 0
    while True:
        start = read_address(start, end, address)
        if start == NULL or (only_bracketed and not address.is_bracketed):
            return 0
        if uris != NULL and count < room:
            uris[count] = address.uri
        count += 1
        if start >= end:
            return count
        if start[0] != b",":
            return 0
        start = skip_blanks(start + 1)
        address = &other


cdef int find_tag(Address* address, Span* tag) noexcept:
    """1 with a tag, 0 without one, -1 if it is empty or quoted (RFC 3261 19.3)."""
    cdef int place
    for place in range(address.parameters.count):
        if is_word(address.parameters.names[place].start, address.parameters.names[place].end, b"tag", 3):
            tag[0] = address.parameters.values[place]
            return -1 if tag.start == NULL or tag.start[0] == b'"' else 1
    return 0
