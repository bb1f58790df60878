# SPDX-License-Identifier: Apache-2.0
# Is this message plain? One pass over its lines, which notes where everything stands.

cdef tuple METHOD_NAMES = tuple(__import__("sys").intern(method.decode("ascii")) for method in _grammar.METHODS)
cdef tuple METHOD_OCTETS = _grammar.METHODS
cdef enum:
    METHOD_COUNT = 14
cdef Span METHOD_SPANS[METHOD_COUNT]

cdef enum:
    ONCE = (1 << FROM) | (1 << TO) | (1 << CALL_ID) | (1 << CSEQ) | (1 << CONTENT_LENGTH) \
        | (1 << MAX_FORWARDS) | (1 << CONTACT) | (1 << CONTENT_TYPE) | (1 << EXPIRES)
    REQUIRED = (1 << VIA) | (1 << FROM) | (1 << TO) | (1 << CALL_ID) | (1 << CSEQ) | (1 << CONTENT_LENGTH)


cdef int _make_method_spans() except -1:
    cdef int place
    if len(METHOD_OCTETS) != METHOD_COUNT:
        raise ImportError("the compiled kernel was built for other methods: build it again")
    for place in range(METHOD_COUNT):
        METHOD_SPANS[place].start = <Octets>PyBytes_AS_STRING(METHOD_OCTETS[place])
        METHOD_SPANS[place].end = METHOD_SPANS[place].start + PyBytes_GET_SIZE(METHOD_OCTETS[place])
    return 0


_make_method_spans()


cdef inline int method_of(Octets start, Octets end) noexcept:
    """The place of a known method; -1 for any other."""
    cdef int place
    cdef Py_ssize_t length = end - start
    for place in range(METHOD_COUNT):
        if METHOD_SPANS[place].end - METHOD_SPANS[place].start == length \
                and memcmp(start, METHOD_SPANS[place].start, length) == 0:
            return place
    return -1


cdef enum:
    MAX_ROUTES = 32

cdef struct Reading:
    int status
    int method
    Span target
    Hop top
    Span top_line
    int via_count
    Span call_id
    long cseq
    Span from_uri
    Span from_tag
    Span to_uri
    Span to_tag
    Span contact_uri
    int contact_count
    int route_count
    int record_route_count
    int require_count
    int proxy_require_count
    int max_forwards
    long long content_length
    unsigned long long present
    #: The fields that have more than one line.
    unsigned long long several
    Span routes[MAX_ROUTES]


cdef Octets read_start_line(Octets start, Octets end, Reading* reading) noexcept:
    """Behind the start line; NULL if it is not plain."""
    cdef Octets line = find(start, end, b"\r")
    cdef Octets blank
    if line == NULL or line[1] != b"\n" or line - start > MAX_LINE or line - start < 12:
        return NULL
    if memcmp(start, b"SIP/2.0 ", 8) == 0:
        reading.status = <int>number(start + 8, start + 11, 3, 699)
        if reading.status < 100 or start[11] != b" " or same(start + 12, line, b"SIP/2.0", 7):
            return NULL
        return line + 2
    blank = find(start, start + 12, b" ")
    if blank == NULL:
        return NULL
    reading.method = method_of(start, blank)
    reading.target.start = blank + 1
    reading.target.end = line - 8
    if reading.method < 0 or line - 8 <= blank or memcmp(line - 8, b" SIP/2.0", 8) != 0 \
            or reading.target.end - reading.target.start > MAX_TARGET \
            or not is_uri(reading.target.start, reading.target.end, True):
        return NULL
    return line + 2


cdef bint read_cseq(Line* line, Reading* reading) noexcept:
    """Number, one blank, a known method: that of the request (RFC 3261 8.1.1.5)."""
    cdef Octets blank = skip(line.value, DIGIT)
    cdef int method
    reading.cseq = <long>number(line.value, blank, 10, 0x7fffffff)
    if reading.cseq < 0 or blank[0] != b" ":
        return False
    method = method_of(blank + 1, line.end)
    if method < 0 or (reading.status == 0 and method != reading.method):
        return False
    reading.method = method
    return True


cdef inline bint is_call_id(Octets start, Octets end) noexcept:
    """word [ "@" word ] (RFC 3261 25.1)."""
    cdef Octets place = skip(start, WORD)
    if place == start:
        return False
    if place[0] == b"@" and place < end:
        start = place + 1
        place = skip(start, WORD)
        if place == start:
            return False
    return place == end


cdef inline bint is_media_type(Octets start, Octets end) noexcept:
    cdef Parameters parameters
    cdef Octets place = skip(start, TOKEN)
    if place == start or place[0] != b"/":
        return False
    start = place + 1
    place = skip(start, TOKEN)
    return place > start and read_parameters(place, end, &parameters) == end


cdef int count_tokens(Octets start, Octets end) noexcept:
    """How many tokens a list has; -1000 if it has anything else."""
    cdef Octets place
    cdef int count = 0
    while True:
        place = skip(start, TOKEN)
        if place == start:
            return -1000
        count += 1
        if place == end:
            return count
        if place[0] != b",":
            return -1000
        start = skip_blanks(place + 1)


cdef bint read_tagged(Line* line, Span* uri, Span* tag) noexcept:
    """From or To."""
    cdef Address address
    if read_addresses(line.value, line.end, &address, False, NULL, 0) != 1:
        return False
    uri[0] = address.uri
    return find_tag(&address, tag) >= 0


cdef bint read_vias(Line* line, Reading* reading) noexcept:
    cdef Hop other
    cdef int count
    if reading.via_count == 0:
        reading.top_line.start = line.value
        reading.top_line.end = line.end
        count = read_hops(line.value, line.end, &reading.top)
        if count == 0 or not has_branch(&reading.top):
            return False
    else:
        count = read_hops(line.value, line.end, &other)
    reading.via_count += count
    return count > 0 and reading.via_count <= 70


cdef inline bint add_addresses(Line* line, int* total, int most, Span* uris) noexcept:
    cdef Address address
    cdef int count = read_addresses(line.value, line.end, &address, True, uris, most - total[0])
    total[0] += count
    return count > 0 and total[0] <= most


cdef inline bint add_tokens(Line* line, int* total) noexcept:
    total[0] += count_tokens(line.value, line.end)
    return 0 < total[0] <= 32


cdef bint read_contact(Line* line, Reading* reading) noexcept:
    cdef Address address
    reading.contact_count = read_addresses(line.value, line.end, &address, False, &reading.contact_uri, 1)
    return 0 < reading.contact_count <= 32


cdef inline bint read_known(Line* line, Reading* reading) noexcept:
    """Read the value of a field that routing and transactions rest on; False if it is not plain."""
    if line.field == VIA:
        return read_vias(line, reading)
    elif line.field == FROM:
        return read_tagged(line, &reading.from_uri, &reading.from_tag)
    elif line.field == TO:
        return read_tagged(line, &reading.to_uri, &reading.to_tag)
    elif line.field == CALL_ID:
        reading.call_id.start = line.value
        reading.call_id.end = line.end
        return is_call_id(line.value, line.end)
    elif line.field == CSEQ:
        return read_cseq(line, reading)
    elif line.field == MAX_FORWARDS:
        reading.max_forwards = <int>number(line.value, line.end, 3, 255)
        return reading.max_forwards >= 0
    elif line.field == CONTACT:
        return read_contact(line, reading)
    elif line.field == ROUTE:
        return add_addresses(line, &reading.route_count, MAX_ROUTES, &reading.routes[reading.route_count])
    elif line.field == RECORD_ROUTE:
        return add_addresses(line, &reading.record_route_count, 70, NULL)
    elif line.field == CONTENT_TYPE:
        return is_media_type(line.value, line.end)
    elif line.field == CONTENT_LENGTH:
        reading.content_length = number(line.value, line.end, 10, MAX_MESSAGE)
        return reading.content_length >= 0
    elif line.field == EXPIRES:
        return number(line.value, line.end, 10, 0xffffffffLL) >= 0
    elif line.field == REQUIRE:
        return add_tokens(line, &reading.require_count)
    elif line.field == PROXY_REQUIRE:
        return add_tokens(line, &reading.proxy_require_count)
    return True


cdef Octets read_head(Octets start, Octets end, Reading* reading) noexcept:
    """Behind the head of a plain message; NULL if it is none."""
    cdef Line line
    cdef int lines = 0
    cdef unsigned long long bit
    cdef Octets place
    memset(reading, 0, sizeof(Reading))
    place = read_start_line(start, end, reading)
    if place == NULL:
        return NULL
    reading.max_forwards = -1
    while place[0] != b"\r":
        lines += 1
        if lines > MAX_LINES or not read_line(place, end, &line):
            return NULL
        place = line.next
        if line.field < 0:
            continue
        bit = 1ULL << line.field
        if reading.present & bit & ONCE or not read_known(&line, reading):
            return NULL
        reading.several |= reading.present & bit
        reading.present |= bit
    # Every control octet but TAB belongs to one of these line ends.
    if place[1] != b"\n" or reading.present & REQUIRED != REQUIRED \
            or count_controls(start, place + 2) != 2 * (lines + 2):
        return NULL
    return place + 2
