# SPDX-License-Identifier: Apache-2.0
# Who is sent away before anybody looks at what he wants? The twin of `_reference_overload.py`, which says how.
#
# What is sent away costs no object but the number it is remembered by. The memory is Python's sets and dicts, which
# are looked into from here in 0.03 us.

cdef enum:
    RESPONSE = -2
    OUTPUT_ROOM = 131072
    LARGEST_PAYLOAD = 65507
    #: No number that people dial for help is longer, with what stands around it.
    LONGEST_NUMBER = 64

# What becomes of a message.
cdef enum:
    UNREADABLE = 0
    UNDERWAY = 1
    UNDECIDED = 2
    ABSORBED = 3
    REPEATED = 4
    REFUSED = 5
    NEW = 6

# The rows and columns of the table of lanes.
cdef enum:
    IS_CALL = 0
    HAS_CREDENTIALS = 3
    IS_OTHER = 6
    STRANGER = 0
    TRUNK = 1
    KNOWN = 2

cdef struct Glance:
    #: Its place in METHODS, -1 if it is none of them, or RESPONSE.
    int method
    bint has_to_tag
    Span branch
    #: The first Via line.
    Span via

cdef struct Refusal:
    Pieces pieces
    Taken taken
    int reply_port
    unsigned char stamp[LONGEST_STAMP]
    #: ";tag=" and sixteen digits.
    unsigned char tag[24]

cdef int INVITE = METHOD_OCTETS.index(b"INVITE"), ACK = METHOD_OCTETS.index(b"ACK"), BYE = METHOD_OCTETS.index(b"BYE")
cdef int CANCEL = METHOD_OCTETS.index(b"CANCEL"), PRACK = METHOD_OCTETS.index(b"PRACK")
cdef int OPTIONS = METHOD_OCTETS.index(b"OPTIONS"), REGISTER = METHOD_OCTETS.index(b"REGISTER")

# As in `_datagrams.pxi`, but our own: here objects are made while the buffers are read, so that somebody else might run.
cdef unsigned char* DOOR_ROOM = NULL
cdef mmsghdr ARRIVED[MAX_BATCH]
cdef iovec ARRIVED_PARTS[MAX_BATCH]
cdef Address4or6 CALLERS[MAX_BATCH]
cdef unsigned char OUTPUT[OUTPUT_ROOM]
cdef iovec OUTPUT_PARTS[MAX_BATCH]
cdef Address4or6 OUTPUT_TO[MAX_BATCH]
cdef bint DOOR_IS_BUSY = False
cdef Refusal ANSWER


cdef int _make_door_room() except -1:
    global DOOR_ROOM
    cdef int place
    if DOOR_ROOM != NULL:
        return 0
    DOOR_ROOM = <unsigned char*>malloc(MAX_BATCH * DATAGRAM_ROOM)
    if DOOR_ROOM == NULL:
        raise MemoryError
    memset(ARRIVED, 0, sizeof(ARRIVED))
    for place in range(MAX_BATCH):
        ARRIVED_PARTS[place].iov_base = DOOR_ROOM + place * DATAGRAM_ROOM
        ARRIVED_PARTS[place].iov_len = LARGEST_DATAGRAM
        ARRIVED[place].msg_hdr.msg_iov = &ARRIVED_PARTS[place]
        ARRIVED[place].msg_hdr.msg_iovlen = 1
        ARRIVED[place].msg_hdr.msg_name = &CALLERS[place]
    return 0


# --- a keyed hash: SipHash-2-4 (Aumasson and Bernstein, 2012)

cdef inline unsigned long long rotated(unsigned long long value, int bits) noexcept:
    return (value << bits) | (value >> (64 - bits))


cdef inline void mix_rounds(unsigned long long* v, int count) noexcept:
    cdef int place
    for place in range(count):
        v[0] += v[1]
        v[2] += v[3]
        v[1] = rotated(v[1], 13) ^ v[0]
        v[3] = rotated(v[3], 16) ^ v[2]
        v[0] = rotated(v[0], 32)
        v[2] += v[1]
        v[0] += v[3]
        v[1] = rotated(v[1], 17) ^ v[2]
        v[3] = rotated(v[3], 21) ^ v[0]
        v[2] = rotated(v[2], 32)


cdef inline unsigned long long little_endian(Octets place, Py_ssize_t count) noexcept:
    cdef unsigned long long word = 0
    cdef Py_ssize_t octet
    for octet in range(count):
        word |= <unsigned long long>place[octet] << (8 * octet)
    return word


cdef unsigned long long siphash(unsigned long long low, unsigned long long high, Octets place, Py_ssize_t length) noexcept:
    cdef unsigned long long v[4]
    cdef unsigned long long word
    cdef Py_ssize_t left = length
    v[0] = low ^ <unsigned long long>0x736F6D6570736575
    v[1] = high ^ <unsigned long long>0x646F72616E646F6D
    v[2] = low ^ <unsigned long long>0x6C7967656E657261
    v[3] = high ^ <unsigned long long>0x7465646279746573
    while left >= 8:
        word = little_endian(place, 8)
        v[3] ^= word
        mix_rounds(v, 2)
        v[0] ^= word
        place += 8
        left -= 8
    word = (<unsigned long long>(length & 255) << 56) | little_endian(place, left)
    v[3] ^= word
    mix_rounds(v, 2)
    v[0] ^= word
    v[2] ^= 0xFF
    mix_rounds(v, 4)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def keyed_hash(bytes secret not None, bytes data not None):
    """64 bits that nobody can know without the secret, which has at least 16 octets."""
    cdef Octets key = <Octets>PyBytes_AS_STRING(secret)
    if len(secret) < 16:
        raise ValueError("a secret of 16 octets")
    return siphash(little_endian(key, 8), little_endian(key + 8, 8), <Octets>PyBytes_AS_STRING(data), len(data))


# --- what a message is

cdef bint read_request_line(Octets start, Octets stop, Glance* glance) noexcept:
    """As `method_at` does, without an object."""
    cdef Octets blank = skip(start, TOKEN)
    if blank == start or blank - start > 64 or blank[0] != b" " or stop - blank < 9 \
            or memcmp(stop - 8, b" SIP/2.0", 8) != 0 or text_end(start, stop) != stop:
        return False
    glance.method = method_of(start, blank)
    return True


cdef inline void read_branch(Octets start, Octets end, Glance* glance) noexcept:
    """As `top_branch` does."""
    cdef Octets comma = find(start, end, b",")
    cdef Octets place
    start = find_word(start, end if comma == NULL else comma, b"branch", 6)
    if start == NULL:
        return
    if comma != NULL:
        end = comma
    place = start
    while place < end and not (place[0] == b";" or place[0] == b" " or place[0] == b"\t" or place[0] == b'"'):
        place += 1
    glance.branch.start = start
    glance.branch.end = place


cdef bint glance_at(Octets start, Octets end, Glance* glance) noexcept:
    """As `peek` does; False for what does not look like SIP."""
    cdef Octets stop = line_end(start, end)
    cdef Octets via = NULL
    cdef Octets to = NULL
    if stop == NULL:
        return False
    glance.branch.start = glance.branch.end = glance.via.start = glance.via.end = NULL
    glance.method = RESPONSE
    glance.has_to_tag = False
    if (stop - start < 8 or memcmp(start, b"SIP/2.0 ", 8) != 0) and not read_request_line(start, stop, glance):
        return False
    while stop != NULL and (via == NULL or to == NULL):
        start = stop + 2
        if start[0] == b"\r" and start[1] == b"\n":
            break
        if via == NULL:
            via = behind_short_name(start, b"v", b"ia", 2)
        if to == NULL:
            to = behind_short_name(start, b"t", b"o", 1)
        stop = line_end(start, end)
    glance.has_to_tag = to != NULL and has_tag(to, text_end(to, end))
    if via != NULL:
        glance.via.start = via
        glance.via.end = text_end(via, end)
        read_branch(glance.via.start, glance.via.end, glance)
    return True


cdef inline object host_of(object remote):
    """Of (host, port), whatever kind of tuple that is."""
    return (<tuple>remote)[0] if isinstance(remote, tuple) and len(<tuple>remote) > 1 else remote[0]


cdef inline bint has_credentials(Octets start, Octets end) noexcept:
    while True:
        start = find(start, end, b"\n")
        if start == NULL:
            return False
        start += 1
        if end - start >= 14 and memcmp(start, b"Authorization:", 14) == 0:
            return True


cdef inline bint asks_a_host(Octets start, Octets end) noexcept:
    """An OPTIONS without a user in its Request-URI."""
    cdef Octets blank = find(start + 8, end, b" ")
    return find(start, blank if blank != NULL else end - 1, b"@") == NULL


cdef bint announces_throttling(Span* via) noexcept:
    """Perhaps: something in the line begins with "oc" (RFC 7339 4.1)."""
    cdef Octets place = via.start
    while True:
        place = find(place, via.end, b";")
        if place == NULL:
            return False
        place = skip_blanks(place + 1)
        if folded(place[0]) == b"o" and folded(place[1]) == b"c":
            return True



@cython.final
cdef class Door:
    """Sends away what has no chance. 1.9 us for a request and the ACK to its refusal together; the reference 45.
    At the socket 6 us, of which 4 are the system's.
    """

    cdef readonly dict waiting
    cdef readonly list refused
    cdef readonly list known
    cdef readonly tuple full
    cdef readonly long seen, absorbed, repeated, refusals, unreadable
    cdef unsigned long long _low, _high
    cdef Py_ssize_t _limit
    cdef bytes _lanes, _last_end
    cdef tuple _ends
    cdef object _numbers, _trunks
    #: Of the message that was looked at last.
    cdef object _key
    cdef int _lane
    cdef Glance _glance

    def __init__(self, bytes secret not None, list refused not None, list known not None, Py_ssize_t limit, int lanes):
        cdef Octets key = <Octets>PyBytes_AS_STRING(secret)
        if len(secret) < 16:
            raise ValueError("a secret of 16 octets")
        if len(refused) != 2 or len(known) != 2:
            raise ValueError("two sets that take turns")
        _make_room()
        _make_door_room()
        self._low, self._high = little_endian(key, 8), little_endian(key + 8, 8)
        self.waiting = {}
        self.refused, self.known, self._limit = refused, known, limit
        self.full = tuple([set() for _ in range(lanes)])
        self._lanes, self._ends, self._last_end = bytes(9), (b"\r\n",), b"\r\n"
        self._numbers = self._trunks = frozenset()
        self.seen = self.absorbed = self.repeated = self.refusals = self.unreadable = 0

    def rule(self, *, bytes lanes not None, frozenset numbers not None, frozenset trunks not None, tuple ends not None,
             bytes last_end not None):
        """The policy."""
        if len(lanes) != 9 or max(lanes) >= len(self.full) or not ends:
            raise ValueError("nine lanes that there are, and an end")
        for each in ends:
            if not isinstance(each, bytes):
                raise TypeError("ends are octets")
        self._lanes, self._numbers, self._trunks, self._ends, self._last_end = lanes, numbers, trunks, ends, last_end

    @property
    def is_shut(self):
        """True while something may be sent away."""
        cdef set each
        for each in self.full:
            if each:
                return True
        return bool(<set>self.refused[0]) or bool(<set>self.refused[1])

    def sort(self, batch, place, other, odd):
        """(what is underway, answers to those who are sent away)."""
        cdef list underway = []
        cdef list answers = []
        cdef int verdict
        for message in batch:
            data, flow = <tuple?>message
            remote = flow.remote
            verdict = self._judge(<Octets>PyBytes_AS_STRING(<bytes?>data), PyBytes_GET_SIZE(data), remote)
            self._count(verdict)
            if verdict == UNDERWAY:
                underway.append(message)
            elif verdict == UNDECIDED:
                other(message, self._key)
            elif verdict == NEW:
                key, lane = self._key, self._lane
                if not place(message, lane, key):
                    (<set>self.full[lane]).add(host_of(remote))
                    self._key = key
                    self._glance_again(data)
                    self._refuse(message, answers, odd)
            elif verdict == REFUSED:
                self._refuse(message, answers, odd)
        return underway, answers

    def refuse(self, batch, odd):
        """Answers to all of these, which are remembered."""
        cdef list answers = []
        for message in batch:
            data, flow = <tuple?>message
            if self._glance_again(<bytes?>data):
                self._key = self._key_of(flow.remote)
                self._refuse(message, answers, odd)
            else:
                odd(message)
        return answers

    def receive(self, DatagramBatch datagrams not None):
        """(what is handed on, how many came, how many were answered at once)."""
        global DOOR_IS_BUSY
        cdef int count
        if DOOR_IS_BUSY or not self.is_shut:
            batch = datagrams.receive()
            return batch, len(batch), 0
        DOOR_IS_BUSY = True
        try:
            count = self._fetch(datagrams)
            batch = []
            return batch, count, self._sift(datagrams, count, batch)
        finally:
            DOOR_IS_BUSY = False

    # --- inside

    cdef int _fetch(self, DatagramBatch datagrams) except -1:
        """As `DatagramBatch.receive` does."""
        cdef int fd = datagrams._socket.fileno()
        cdef int count = -1, place
        cdef unsigned int attempts = 0
        for place in range(<int>datagrams._size):
            ARRIVED[place].msg_hdr.msg_namelen = sizeof(Address4or6)
        while count < 0:
            count = recvmmsg(fd, ARRIVED, datagrams._size, MSG_DONTWAIT, NULL)
            if count >= 0:
                break
            if errno == EAGAIN:
                return 0
            if errno != EINTR and errno != ECONNREFUSED:
                PyErr_SetFromErrno(OSError)
            attempts += 1
            if attempts > datagrams._size:
                return 0
        return count

    cdef int _sift(self, DatagramBatch datagrams, int count, list batch) except -1:
        """Answer what can be answered; the others are appended."""
        cdef int place, verdict, waiting = 0, answered = 0
        cdef Py_ssize_t length, used = 0
        cdef unsigned char* start
        for place in range(count):
            start = <unsigned char*>ARRIVED_PARTS[place].iov_base
            length = ARRIVED[place].msg_len
            start[length] = 0
            remote = remote_of(&CALLERS[place])
            verdict = UNDERWAY
            if self._is_worth_a_glance(start, length):
                verdict = self._judge(start, length, remote)
            if verdict == REFUSED:
                if not self._lay_out(start, length, <tuple>remote, True) or ANSWER.pieces.total > LARGEST_PAYLOAD:
                    verdict = UNDERWAY
                else:
                    if waiting == MAX_BATCH or used + ANSWER.pieces.total > OUTPUT_ROOM:
                        answered += self._send(datagrams, waiting)
                        waiting = 0
                        used = 0
                    OUTPUT_PARTS[waiting].iov_base = OUTPUT + used
                    OUTPUT_PARTS[waiting].iov_len = ANSWER.pieces.total
                    used += copy_out(&ANSWER.pieces, OUTPUT + used)
                    OUTPUT_TO[waiting] = CALLERS[place]
                    OUTPUT_TO[waiting].four.sin_port = htons(<unsigned short>ANSWER.reply_port)
                    waiting += 1
                    self._remember()
                    self.refusals += 1
            if verdict == REFUSED or verdict == ABSORBED or verdict == REPEATED:
                self._count(verdict)
            else:
                batch.append((PyBytes_FromStringAndSize(<const char*>start, length), remote))
        return answered + self._send(datagrams, waiting)

    cdef int _send(self, DatagramBatch datagrams, int waiting) except -1:
        """What finds no room in the system's buffer is lost: who gets no answer asks again."""
        cdef int place
        for place in range(waiting):
            OUTGOING_PARTS[place] = OUTPUT_PARTS[place]
            DESTINATIONS[place] = OUTPUT_TO[place]
            OUTGOING[place].msg_hdr.msg_name = &DESTINATIONS[place]
            OUTGOING[place].msg_hdr.msg_namelen = \
                sizeof(sockaddr_in) if DESTINATIONS[place].common.sa_family == AF_INET else sizeof(sockaddr_in6)
        return datagrams._flush(datagrams._socket.fileno(), waiting)

    cdef bint _is_worth_a_glance(self, Octets start, Py_ssize_t length) noexcept:
        """Only what may be sent away is."""
        if length < 12 or memcmp(start, b"SIP/", 4) == 0 or memcmp(start, b"BYE ", 4) == 0:
            return False
        return memcmp(start, b"CANCEL ", 7) != 0

    cdef inline void _count(self, int verdict) noexcept:
        self.seen += 1
        if verdict == ABSORBED:
            self.absorbed += 1
        elif verdict == REPEATED:
            self.repeated += 1
        elif verdict == UNREADABLE:
            self.unreadable += 1

    cdef object _key_of(self, object remote):
        """Of what was glanced at last; 0 without a branch. A number keeps the garbage collector out of it."""
        cdef Span* branch = &self._glance.branch
        if branch.start == branch.end:
            return 0
        return hash((PyBytes_FromStringAndSize(<const char*>branch.start, branch.end - branch.start), host_of(remote)))

    cdef inline bint _was_refused(self, object key) except -1:
        return key in <set>self.refused[0] or key in <set>self.refused[1]

    cdef int _judge(self, Octets start, Py_ssize_t length, object remote) except -1:
        """What becomes of a message; `_key`, `_lane` and `_glance` are its."""
        cdef Octets end = start + length
        cdef int method
        if not glance_at(start, end, &self._glance):
            return UNREADABLE
        method = self._glance.method
        if method == RESPONSE or method == BYE or method == PRACK:
            return UNDERWAY
        if method == ACK:
            self._key = self._key_of(remote)
            return ABSORBED if self._was_refused(self._key) else UNDERWAY
        if method == CANCEL:
            self._key = self._key_of(remote)
            return UNDECIDED if self._key in self.waiting else UNDERWAY
        if self._glance.has_to_tag:
            return UNDERWAY
        self._key = self._key_of(remote)
        return self._judge_new(start, end, remote)

    cdef int _judge_new(self, Octets start, Octets end, object remote) except -1:
        cdef int method = self._glance.method, row = IS_OTHER
        if method == INVITE:
            if not self._is_no_emergency(start, end):
                return UNDECIDED
            row = IS_CALL
        elif method == OPTIONS and asks_a_host(start, end):
            return UNDECIDED
        elif method == REGISTER and has_credentials(start, end):
            row = HAS_CREDENTIALS
        self._lane = (<Octets>PyBytes_AS_STRING(self._lanes))[row + self._standing(remote)]
        if self._key in self.waiting:
            return REPEATED
        if self._was_refused(self._key) or host_of(remote) in <set>self.full[self._lane]:
            return REFUSED
        return NEW

    cdef int _standing(self, object remote) except -1:
        if remote in <set>self.known[0] or remote in <set>self.known[1]:
            return KNOWN
        return TRUNK if remote[0] in self._trunks else STRANGER

    cdef bint _is_no_emergency(self, Octets start, Octets end) except -1:
        """True when that can be told at once: a SIP URI without a number for help in it."""
        cdef Octets user
        cdef Octets place
        if end - start < 12 or memcmp(start, b"INVITE sip", 10) != 0:
            return False
        user = start + (11 if start[10] == b"s" else 10)
        if user[0] != b":":
            return False
        user += 1
        place = user
        while place[0] != b"@":
            if place[0] == b" ":
                return True
            if place[0] == b";" or place[0] == 0 or place - user >= LONGEST_NUMBER:
                return False
            place += 1
        return PyBytes_FromStringAndSize(<const char*>user, place - user) not in self._numbers

    cdef bint _glance_again(self, bytes data) noexcept:
        cdef Octets start = <Octets>PyBytes_AS_STRING(data)
        return glance_at(start, start + PyBytes_GET_SIZE(data), &self._glance)

    cdef int _refuse(self, message, list answers, odd) except -1:
        """Answer what was glanced at last, in a list; what is odd is left to Python."""
        data, flow = <tuple>message
        remote = flow.remote
        cdef bint is_datagram = not flow.is_reliable
        self._remember()
        if self._lay_out(<Octets>PyBytes_AS_STRING(<bytes>data), PyBytes_GET_SIZE(data), remote, is_datagram) \
                and (ANSWER.reply_port == <int>remote[1] or not is_datagram):
            self.refusals += 1
            answers.append((joined(&ANSWER.pieces), flow))
        else:
            odd(message)
        return 0

    cdef int _remember(self) except -1:
        if self._key == 0:
            return 0
        if len(<set>self.refused[0]) >= self._limit:
            self.refused[1] = self.refused[0]
            self.refused[0] = set()
        (<set>self.refused[0]).add(self._key)
        return 0

    cdef bint _lay_out(self, Octets start, Py_ssize_t length, object remote, bint is_datagram) except -1:
        """Fill ANSWER with a 503 to what was glanced at last; False for what is odd."""
        cdef unsigned long long wanted = (1 << VIA) | (1 << FROM) | (1 << TO) | (1 << CALL_ID) | (1 << CSEQ)
        cdef Taken* taken = &ANSWER.taken
        cdef unsigned long long tag
        cdef bint is_proxied
        cdef Span* via
        if self._glance.via.start == NULL or announces_throttling(&self._glance.via) \
                or not take_over(start, start + length, wanted, taken):
            return False
        via = &taken.values[find_taken(taken, VIA)]
        is_proxied = find(via.start, via.end, b",") != NULL or remote[0] in self._trunks or count_taken(taken, VIA) > 1
        if not stamp_answer(taken, <str?>remote[0], remote[1], is_datagram) or lacks_tag(taken) != 1:
            return False
        if self._glance.branch.start != self._glance.branch.end:
            start, length = self._glance.branch.start, self._glance.branch.end - self._glance.branch.start
        tag = siphash(self._low, self._high, start, length)
        put_answer(taken, tag)
        put_bytes(&ANSWER.pieces, self._last_end if is_proxied else <bytes>self._ends[(tag >> 48) % <unsigned long long>len(self._ends)])
        return True


cdef int count_taken(Taken* taken, int field) noexcept:
    """How many lines of a field there are."""
    cdef int index, count = 0
    for index in range(taken.count):
        count += taken.fields[index] == field
    return count


cdef bint stamp_answer(Taken* taken, str host, int port, bint is_datagram) except -1:
    """As `stamp_taken` does, and where the answer goes (RFC 3261 18.2.2, RFC 3581 4)."""
    cdef Hop hop
    cdef Py_ssize_t length = 0
    cdef Octets source = <Octets>PyUnicode_AsUTF8AndSize(host, &length)
    cdef Span* via = &taken.values[find_taken(taken, VIA)]
    if not is_stamp(source, length) or port < 0 or not read_hops(via.start, via.end, &hop):
        return False
    ANSWER.reply_port = port
    if is_datagram and hop.rport < 0:
        ANSWER.reply_port = hop.port if hop.port else 5060
    length = stamp(&hop, via.end, source, length, port, ANSWER.stamp)
    if length >= 0:
        via.start = ANSWER.stamp
        via.end = ANSWER.stamp + length
    return True


cdef void put_answer(Taken* taken, unsigned long long tag) noexcept:
    """All but the end."""
    cdef Pieces* pieces = &ANSWER.pieces
    cdef Span* to = &taken.values[find_taken(taken, TO)]
    cdef int digit
    memcpy(ANSWER.tag, b";tag=", 5)
    for digit in range(16):
        ANSWER.tag[5 + digit] = (<Octets>b"0123456789abcdef")[(tag >> (60 - 4 * digit)) & 15]
    ANSWER.tag[21] = b"\r"
    ANSWER.tag[22] = b"\n"
    pieces.count = 0
    pieces.total = 0
    put(pieces, <Octets>b"SIP/2.0 503 Service Unavailable\r\n", <Octets>b"SIP/2.0 503 Service Unavailable\r\n" + 33)
    put_taken(pieces, taken, VIA, b"Via: ", 5)
    put_taken(pieces, taken, FROM, b"From: ", 6)
    put(pieces, <Octets>b"To: ", <Octets>b"To: " + 4)
    put(pieces, to.start, to.end)
    put(pieces, ANSWER.tag, ANSWER.tag + 23)
    put_taken(pieces, taken, CALL_ID, b"Call-ID: ", 9)
    put_taken(pieces, taken, CSEQ, b"CSeq: ", 6)


cdef Py_ssize_t copy_out(Pieces* pieces, unsigned char* place) noexcept:
    """Lay the pieces end to end; how long they are."""
    cdef int index
    for index in range(pieces.count):
        memcpy(place, pieces.pieces[index].start, pieces.pieces[index].length)
        place += pieces.pieces[index].length
    return pieces.total
