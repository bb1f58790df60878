# SPDX-License-Identifier: Apache-2.0
# Is this message plain, and what does it say? The Head, and the one pass over the lines that fills it.

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


@cython.final
@cython.no_gc
@cython.freelist(256)
cdef class Head:
    """What a plain message says. `data` is the whole message, a request's top Via stamped with its source."""

    cdef readonly bytes data
    cdef readonly int status
    cdef readonly str method
    cdef readonly str target
    cdef readonly str branch
    cdef readonly str sent_by
    cdef readonly str via_transport
    cdef readonly int via_count
    cdef readonly int reply_port
    cdef readonly str call_id
    cdef readonly long cseq
    cdef readonly str from_tag
    cdef readonly str to_tag
    cdef readonly str from_uri
    cdef readonly str to_uri
    cdef readonly str contact_uri
    cdef readonly int max_forwards
    cdef readonly int body_start
    cdef readonly object present
    cdef readonly tuple routes

    def __init__(self):
        raise TypeError("a Head comes from scan()")


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
        reading.present |= bit
    # Every control octet but TAB belongs to one of these line ends.
    if place[1] != b"\n" or reading.present & REQUIRED != REQUIRED \
            or count_controls(start, place + 2) != 2 * (lines + 2):
        return NULL
    return place + 2


cdef inline str lower_text(Octets start, Octets end):
    cdef object text = PyUnicode_New(end - start, 127)
    cdef unsigned char* place = PyUnicode_1BYTE_DATA(text)
    while start < end:
        place[0] = lower(start[0])
        place += 1
        start += 1
    return <str>text


cdef inline str optional_text(Span* span):
    return None if span.start == NULL else ascii_text(span.start, span.end)


cdef inline str transport_name(Octets start, Octets end):
    if same(start, end, b"UDP", 3):
        return "UDP"
    if same(start, end, b"TCP", 3):
        return "TCP"
    if same(start, end, b"TLS", 3):
        return "TLS"
    return ascii_text(start, end).upper()


def scan(bytes data not None, str host not None="", int port=0):
    """Read a plain message; None when it is not plain. With `host` a request's top Via is stamped with it.

    1.0 us for an INVITE of 860 octets, the reference 35.
    """
    cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
    cdef Octets start = <Octets>PyBytes_AS_STRING(data)
    cdef Octets end = start + size
    cdef Octets body
    cdef Reading reading
    cdef Head head
    if size > MAX_MESSAGE:
        return None
    body = read_head(start, end, &reading)
    if body == NULL or reading.content_length > end - body:
        return None
    head = Head.__new__(Head)
    if not _stamp_head(head, data, body, &reading, host, port):
        return None
    head.status = reading.status
    head.method = <str>METHOD_NAMES[reading.method]
    head.target = "" if reading.status else ascii_text(reading.target.start, reading.target.end)
    head.branch = ascii_text(reading.top.branch.start, reading.top.branch.end)
    head.sent_by = lower_text(
        reading.top.host.start, reading.top.parameters.names[0].start - 1 if reading.top.parameters.count else reading.top.end
    )
    head.via_transport = transport_name(reading.top.transport.start, reading.top.transport.end)
    head.via_count = reading.via_count
    head.call_id = ascii_text(reading.call_id.start, reading.call_id.end)
    head.cseq = reading.cseq
    head.from_tag = optional_text(&reading.from_tag)
    head.to_tag = optional_text(&reading.to_tag)
    head.from_uri = ascii_text(reading.from_uri.start, reading.from_uri.end)
    head.to_uri = ascii_text(reading.to_uri.start, reading.to_uri.end)
    head.contact_uri = ascii_text(reading.contact_uri.start, reading.contact_uri.end) if reading.contact_count == 1 else None
    head.max_forwards = reading.max_forwards
    head.present = reading.present
    head.routes = route_texts(&reading) if reading.route_count else ()
    return head


cdef tuple route_texts(Reading* reading):
    cdef int place
    return tuple([ascii_text(reading.routes[place].start, reading.routes[place].end) for place in range(reading.route_count)])


cdef bint _stamp_head(Head head, bytes data, Octets body, Reading* reading, str host, int port):
    """Fill in data, body_start and reply_port. False if the source cannot be written down."""
    cdef Octets start = <Octets>PyBytes_AS_STRING(data)
    cdef Py_ssize_t length = 0, written = -1
    cdef Octets source
    cdef unsigned char buffer[LONGEST_STAMP]
    cdef Hop* hop = &reading.top
    cdef Octets end = body + reading.content_length
    head.reply_port = hop.rport if hop.rport > 0 else (hop.port if hop.port else 5060)
    head.body_start = <int>(body - start)
    if reading.status == 0:
        source = <Octets>PyUnicode_AsUTF8AndSize(host, &length)
        if length:
            if not is_stamp(source, length) or port < 0:
                return False
            if hop.rport >= 0:
                head.reply_port = port
            written = stamp(hop, reading.top_line.end, source, length, port, buffer)
    if written >= 0:
        head.data = _spliced(start, reading.top_line.start, buffer, written, reading.top_line.end, end)
        head.body_start += <int>(written - (reading.top_line.end - reading.top_line.start))
    elif end == start + PyBytes_GET_SIZE(data):
        head.data = data
    else:
        head.data = PyBytes_FromStringAndSize(<const char*>start, end - start)
    return True


cdef bytes _spliced(Octets start, Octets cut, Octets new, Py_ssize_t length, Octets rest, Octets end):
    """All up to `cut`, what is new, and all from `rest` on."""
    cdef bytes whole = PyBytes_FromStringAndSize(NULL, (cut - start) + length + (end - rest))
    cdef char* place = PyBytes_AS_STRING(whole)
    memcpy(place, start, cut - start)
    place += cut - start
    memcpy(place, new, length)
    memcpy(place + length, rest, end - rest)
    return whole
