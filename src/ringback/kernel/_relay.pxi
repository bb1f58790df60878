# SPDX-License-Identifier: Apache-2.0
# How does RTP get from one socket to another without being decoded? The twin of `_reference_relay.py`, which says how.
#
# A packet stays in the buffer it was received into, and is sent from there: no object, no copy. SRTP is opened and sealed
# in that buffer, by the libsrtp that Python uses, too. The interpreter lock is given up for a whole turn, and taken only
# for what is given back.

from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from libc.errno cimport EBADF
from libc.stdlib cimport free, realloc

cdef extern from "<sys/types.h>" nogil:
    ctypedef Py_ssize_t ssize_t

cdef extern from "<sys/socket.h>" nogil:
    ssize_t recvfrom(int fd, void* data, size_t size, int flags, sockaddr* source, socklen_t* length)
    ssize_t sendto(int fd, const void* data, size_t size, int flags, const sockaddr* destination, socklen_t length)

cdef extern from "<time.h>" nogil:
    int CLOCK_MONOTONIC
    struct timespec:
        long tv_sec
        long tv_nsec

cdef extern from "<sys/timerfd.h>" nogil:
    int TFD_NONBLOCK
    int TFD_CLOEXEC
    struct itimerspec:
        timespec it_interval
        timespec it_value
    int timerfd_create(int clock, int flags)
    int timerfd_settime(int fd, int flags, const itimerspec* new_value, itimerspec* old_value)

cdef extern from "<unistd.h>" nogil:
    ssize_t read(int fd, void* data, size_t size)
    int close(int fd)

cdef extern from "<sys/epoll.h>" nogil:
    ctypedef union epoll_data_t:
        int fd
    struct epoll_event:
        unsigned int events
        epoll_data_t data
    int epoll_wait(int poller, epoll_event* events, int most, int timeout)

cdef enum:
    RELAY_AT_ONCE = 256
    RELAY_SOURCES = 8
    #: Not a multiple of 4096: buffers whose beginnings share a place in the processor's cache push each other out.
    #: It holds the largest datagram, and what SRTP adds (SRTP_MAX_TRAILER_LEN is 144).
    RELAY_ROOM = 65536 + 576
    #: Where a packet is kept in its buffer while it is opened, and how long it may be for that.
    KEPT_AT = 32768
    LONGEST_KEPT = 16384
    LONGEST_EVENT = 256
    MOST_SEALED = 64
    HIGHEST_RATE = 1000000
    DROPOUT = 3000
    MISORDER = 100
    NO_TYPE = 255

cdef enum:
    NANOSECONDS = 1000000000
    #: A stream that was read so short a time ago sends many packets: ask for all that wait at once.
    BUSY_NANOSECONDS = 5000000

# What becomes of a datagram; also what is said of those that are given back.
cdef enum:
    IS_STRAY = 0
    IS_EVENT = 1
    IS_UNSENT = 2
    IS_PASSED = 4
    IS_DROPPED = 8

STRAY, EVENT, UNSENT = IS_STRAY, IS_EVENT, IS_UNSENT

# srtp_protect and srtp_unprotect of libsrtp 2: session, packet, and its length, which changes. 0 is success.
ctypedef int (*srtp_function)(void* session, void* packet, int* length) noexcept nogil

cdef struct RelaySource:
    unsigned int ssrc
    unsigned int base
    unsigned int highest
    unsigned int bad
    unsigned int transit
    unsigned int rate
    long long cycles
    long long received
    long long lost_before
    long long jitter
    unsigned long long last_at

cdef struct RelayFlow:
    int incoming
    int outgoing
    bint has_source
    bint has_way
    Address4or6 source
    Address4or6 destination
    socklen_t destination_size
    srtp_function open_function
    void* open_session
    srtp_function seal_function
    void* seal_session
    int strays
    unsigned char types[128]
    unsigned char is_event[128]
    unsigned int rates[128]
    long long limit
    long long in_window
    unsigned long long window
    unsigned long long last_read
    unsigned long long last_at
    long long packets
    long long octets
    long long sent
    long long sent_octets
    long long refused
    long long malformed
    long long unmapped
    long long excess
    long long errors
    long long lost_before
    int source_count
    int heard
    #: Sources that were ever met: libsrtp forgets none of those it sealed packets of.
    int met
    RelaySource sources[RELAY_SOURCES]

cdef struct RelayRoom:
    epoll_event ready[RELAY_AT_ONCE]
    mmsghdr incoming[MAX_BATCH]
    iovec incoming_parts[MAX_BATCH]
    Address4or6 sources[MAX_BATCH]
    mmsghdr outgoing[MAX_BATCH]
    iovec outgoing_parts[MAX_BATCH]
    unsigned char verdicts[MAX_BATCH]
    #: What goes out, before it was sealed.
    unsigned int plain_sizes[MAX_BATCH]
    #: Copies of telephone events: what is sent may be sealed.
    unsigned int event_sizes[MAX_BATCH]
    unsigned char events[MAX_BATCH][LONGEST_EVENT]
    unsigned char* octets


# --- one packet ---------------------------------------------------------------------------------------


cdef inline bint is_for_others(Octets data, size_t size) noexcept nogil:
    """True for STUN, DTLS (RFC 7983 section 7) and RTCP (RFC 5761 section 4)."""
    if size < 8:
        return False
    return data[0] < 4 or (20 <= data[0] < 64) or (data[0] >> 6 == 2 and 192 <= data[1] <= 223)


cdef inline size_t header_end(Octets data, size_t size) noexcept nogil:
    """Where the payload begins; 0 if this is no RTP, or if its header is longer than it (RFC 3550 5.1)."""
    cdef size_t end
    if size < 12 or data[0] >> 6 != 2 or 192 <= data[1] <= 223:
        return 0
    end = 12 + 4 * <size_t>(data[0] & 0x0F)
    if data[0] & 0x10:
        if size < end + 4:
            return 0
        end += 4 + 4 * <size_t>two_octets(data + end + 2)
    return end if end <= size else 0


cdef inline bint is_rtp(Octets data, size_t size) noexcept nogil:
    """The checks of RFC 3550 appendix A.1: what the header speaks of must be there."""
    cdef size_t end = header_end(data, size)
    return end > 0 and (not data[0] & 0x20 or 0 < <size_t>data[size - 1] <= size - end)


cdef inline unsigned int two_octets(Octets data) noexcept nogil:
    return (<unsigned int>data[0] << 8) | data[1]


cdef inline unsigned int four_octets(Octets data) noexcept nogil:
    return (two_octets(data) << 16) | two_octets(data + 2)


cdef inline long long lost_of(const RelaySource* source) noexcept nogil:
    cdef long long lost = source.cycles + source.highest - source.base + 1 - source.received
    return source.lost_before + (lost if lost > 0 else 0)


cdef void begin_source(RelaySource* source, unsigned int ssrc, unsigned int sequence) noexcept nogil:
    memset(source, 0, sizeof(RelaySource))
    source.ssrc = ssrc
    source.base = source.highest = sequence
    source.bad = 65537
    source.received = 1


cdef void count_sequence(RelaySource* source, unsigned int sequence) noexcept nogil:
    cdef unsigned int step = (sequence - source.highest) & 0xFFFF
    if step < DROPOUT:
        if sequence < source.highest:
            source.cycles += 65536
        source.highest = sequence
    elif step <= 65536 - MISORDER:
        if sequence != source.bad:
            source.bad = (sequence + 1) & 0xFFFF
            return
        source.lost_before = lost_of(source)
        source.base = source.highest = sequence
        source.cycles = source.received = 0
        source.rate = 0
        source.bad = 65537
    source.received += 1


cdef void measure_jitter(RelaySource* source, unsigned int timestamp, unsigned int rate,
                         unsigned long long now) noexcept nogil:
    cdef unsigned int arrival = <unsigned int>(now // NANOSECONDS * rate + now % NANOSECONDS * rate // NANOSECONDS)
    cdef unsigned int transit = arrival - timestamp, moved
    if source.rate == rate:
        moved = transit - source.transit
        if moved > <unsigned int>0x80000000:
            moved = 0 - moved
        source.jitter += <long long>moved - ((source.jitter + 8) >> 4)
    source.transit = transit
    source.rate = rate


cdef RelaySource* meet_source(RelayFlow* flow, unsigned int ssrc, unsigned int sequence) noexcept nogil:
    """A new source; the one that was silent for longest makes room."""
    cdef int place, oldest = 0
    if flow.source_count < RELAY_SOURCES:
        oldest = flow.source_count
        flow.source_count += 1
    else:
        for place in range(1, RELAY_SOURCES):
            if flow.sources[place].last_at < flow.sources[oldest].last_at:
                oldest = place
        flow.lost_before += lost_of(&flow.sources[oldest])
    begin_source(&flow.sources[oldest], ssrc, sequence)
    flow.heard = oldest
    if flow.met <= MOST_SEALED:
        flow.met += 1
    return &flow.sources[oldest]


cdef inline int place_of_source(RelayFlow* flow, unsigned int ssrc) noexcept nogil:
    """-1 for one that was not heard yet."""
    cdef int place
    if flow.heard >= 0 and flow.sources[flow.heard].ssrc == ssrc:
        return flow.heard
    for place in range(flow.source_count):
        if flow.sources[place].ssrc == ssrc:
            return place
    return -1


cdef void count_packet(RelayFlow* flow, Octets data, unsigned int number, unsigned long long now) noexcept nogil:
    cdef unsigned int ssrc = four_octets(data + 8), sequence = two_octets(data + 2)
    cdef int place = place_of_source(flow, ssrc)
    cdef RelaySource* source
    if place < 0:
        source = meet_source(flow, ssrc, sequence)
    else:
        flow.heard = place
        source = &flow.sources[place]
        count_sequence(source, sequence)
    # The packets of a key press share a timestamp: they say nothing about jitter (RFC 4733 section 2.2).
    if not flow.is_event[number]:
        measure_jitter(source, four_octets(data + 4), flow.rates[number], now)
    source.last_at = now


cdef int judge_packet(RelayFlow* flow, Octets data, size_t size, unsigned long long now,
                      unsigned char* second) noexcept nogil:
    """IS_PASSED or IS_PASSED | IS_EVENT, with the second octet it has from now on; or IS_DROPPED, and counted."""
    cdef unsigned int number
    if not is_rtp(data, size):
        flow.malformed += 1
        return IS_DROPPED
    if now - flow.window >= NANOSECONDS:
        flow.window = now
        flow.in_window = 0
    flow.in_window += 1
    if flow.limit and flow.in_window > flow.limit:
        flow.excess += 1
        return IS_DROPPED
    number = data[1] & 0x7F
    flow.packets += 1
    flow.octets += <long long>size
    flow.last_at = now
    count_packet(flow, data, number, now)
    if flow.types[number] == NO_TYPE:
        flow.unmapped += 1
        return IS_DROPPED
    second[0] = (data[1] & 0x80) | flow.types[number]
    return (IS_PASSED | IS_EVENT) if flow.is_event[number] else IS_PASSED


# --- one socket ---------------------------------------------------------------------------------------


cdef int receive_many(RelayFlow* flow, RelayRoom* room, unsigned long long now) noexcept nogil:
    """How many datagrams were read. One is as a rule all there is: asking for more costs 0.5 us where nothing waits."""
    cdef bint is_busy = now - flow.last_read < BUSY_NANOSECONDS
    cdef socklen_t length = sizeof(Address4or6)
    cdef int place, count
    cdef ssize_t size
    flow.last_read = now
    if not is_busy:
        size = recvfrom(flow.incoming, room.octets, LARGEST_DATAGRAM, MSG_DONTWAIT, &room.sources[0].common, &length)
        if size < 0:
            return 0
        room.incoming[0].msg_len = <unsigned int>size
        return 1
    for place in range(MAX_BATCH):
        room.incoming[place].msg_hdr.msg_namelen = sizeof(Address4or6)
    count = recvmmsg(flow.incoming, room.incoming, MAX_BATCH, MSG_DONTWAIT, NULL)
    return count if count > 0 else 0


cdef inline bint open_packet(RelayFlow* flow, unsigned char* data, unsigned int* size) noexcept nogil:
    """False for what is not authentic, or of a source that is new; it is plain otherwise, and shorter."""
    cdef int length = <int>size[0]
    if flow.open_function == NULL or not header_end(data, size[0]):
        return True
    if place_of_source(flow, four_octets(data + 8)) < 0:
        return False
    # AES-GCM has decrypted what it then finds not to be authentic: it is given back as it came, or not at all.
    if size[0] <= LONGEST_KEPT:
        memcpy(data + KEPT_AT, data, size[0])
    if flow.open_function(flow.open_session, data, &length) == 0 and 0 <= length <= <int>size[0]:
        size[0] = <unsigned int>length
        return True
    if size[0] <= LONGEST_KEPT:
        memcpy(data, data + KEPT_AT, size[0])
    else:
        memset(data, 0, size[0])
    return False


cdef inline bint may_send(const RelayFlow* flow) noexcept nogil:
    return flow.has_way and (flow.seal_function == NULL or flow.met <= MOST_SEALED)


cdef inline size_t sealed_size(RelayFlow* flow, unsigned char* data, unsigned int size) noexcept nogil:
    """How long the packet is that goes out; 0 if it could not be sealed."""
    cdef int length = <int>size
    if flow.seal_function == NULL:
        return size
    if size > LARGEST_DATAGRAM or flow.seal_function(flow.seal_session, data, &length) or not 0 < length < RELAY_ROOM:
        flow.errors += 1
        return 0
    return <size_t>length


cdef int judge_datagram(RelayFlow* flow, RelayRoom* room, int place, unsigned long long now, int* strays) noexcept nogil:
    """What becomes of one; a packet that was opened is shorter from now on."""
    cdef unsigned char* data = room.octets + <size_t>place * RELAY_ROOM
    cdef unsigned int* size = &room.incoming[place].msg_len
    cdef int verdict
    if flow.has_source and is_same_address(&room.sources[place], &flow.source):
        if is_for_others(data, size[0]):
            return IS_STRAY
        if open_packet(flow, data, size):
            verdict = judge_packet(flow, data, size[0], now, data + 1)
            if verdict & IS_EVENT:
                if size[0] > LONGEST_EVENT:
                    return verdict & ~IS_EVENT
                memcpy(room.events[place], data, size[0])
                room.event_sizes[place] = size[0]
            return verdict
    strays[0] += 1
    if strays[0] <= flow.strays:
        return IS_STRAY
    flow.refused += 1
    return IS_DROPPED


cdef int judge_all(RelayFlow* flow, RelayRoom* room, int count, unsigned long long now, int* given) noexcept nogil:
    """How many are to be sent; they are laid out. `given` counts those for Python."""
    cdef int place, verdict, waiting = 0, strays = 0
    cdef unsigned char* data
    cdef size_t size
    for place in range(count):
        verdict = judge_datagram(flow, room, place, now, &strays)
        if verdict & IS_PASSED and not may_send(flow):
            verdict |= IS_UNSENT
        room.verdicts[place] = <unsigned char>verdict
        if verdict == IS_STRAY or verdict & (IS_EVENT | IS_UNSENT):
            given[0] += 1
        if verdict & IS_PASSED and not verdict & IS_UNSENT:
            data = room.octets + <size_t>place * RELAY_ROOM
            size = sealed_size(flow, data, room.incoming[place].msg_len)
            if size:
                room.outgoing_parts[waiting].iov_base = data
                room.outgoing_parts[waiting].iov_len = size
                room.plain_sizes[waiting] = room.incoming[place].msg_len
                waiting += 1
    return waiting


cdef void send_many(RelayFlow* flow, mmsghdr* messages, const unsigned int* sizes, int waiting) noexcept nogil:
    """Send what was laid out. What the system does not take now is dropped: late sound is no sound."""
    cdef int done = 0, count, place, refused = -1
    while done < waiting:
        count = sendmmsg(flow.outgoing, messages + done, <unsigned int>(waiting - done), MSG_DONTWAIT)
        if count > 0:
            for place in range(done, done + count):
                flow.sent_octets += sizes[place]
            flow.sent += count
            done += count
        elif count < 0 and (errno == EINTR or (errno == ECONNREFUSED and refused != done)):
            # That error was about an earlier datagram: this one was not sent, and gets another chance.
            refused = done
        else:
            flow.errors += 1
            done += 1


cdef void send_received(RelayFlow* flow, RelayRoom* room, int waiting) noexcept nogil:
    cdef int place
    cdef ssize_t size
    if waiting == 1:
        size = sendto(flow.outgoing, room.outgoing_parts[0].iov_base, room.outgoing_parts[0].iov_len, MSG_DONTWAIT,
                      &flow.destination.common, flow.destination_size)
        if size >= 0:
            flow.sent += 1
            flow.sent_octets += room.plain_sizes[0]
            return
    for place in range(waiting):
        room.outgoing[place].msg_hdr.msg_name = &flow.destination
        room.outgoing[place].msg_hdr.msg_namelen = flow.destination_size
    send_many(flow, room.outgoing, room.plain_sizes, waiting)


cdef int drain_socket(RelayFlow* flow, RelayRoom* room, unsigned long long now, int* given) noexcept nogil:
    """How many datagrams were read; `given` counts those for Python, which are where they were received."""
    cdef int count = receive_many(flow, room, now)
    given[0] = 0
    if count:
        send_received(flow, room, judge_all(flow, room, count, now, given))
    return count


# --- what Python sees ---------------------------------------------------------------------------------


cdef Address4or6 _address_or_raise(object remote) except *:
    cdef Address4or6 address
    if not _read_address(remote, &address):
        raise ValueError("not a numeric address and a port")
    return address


cdef unsigned char _checked_type(object number) except? 255:
    if not 0 <= number < 128:
        raise ValueError("not a payload type")
    return number


@cython.final
cdef class RelayPath:
    """One way: what one socket receives from one source goes out of another socket.

    A packet of 172 octets from socket to socket over loopback, 16 sockets ready at once: 3.8 us, as much as the
    two system calls alone. Opening or sealing SRTP takes another 0.65 (AES-CM with SHA1) or 0.4 (AES-GCM).
    """

    cdef RelayFlow flow
    cdef object _incoming
    cdef object _outgoing
    cdef object _opener
    cdef object _sealer
    cdef object __weakref__

    def __cinit__(self):
        cdef int number
        memset(&self.flow, 0, sizeof(RelayFlow))
        memset(self.flow.types, NO_TYPE, 128)
        for number in range(128):
            self.flow.rates[number] = 8000
        self.flow.incoming = self.flow.outgoing = self.flow.heard = -1
        self.flow.strays = MAX_BATCH

    def route(self, outgoing, destination):
        """Where packets go; without a way out they are given back. ValueError: no numeric address."""
        cdef Address4or6 address
        cdef int fd
        if outgoing is None or destination is None:
            self.flow.has_way = False
            self.flow.outgoing = -1
            self._outgoing = None
            return
        address = _address_or_raise(destination)
        fd = outgoing.fileno()
        self.flow.destination = address
        self.flow.destination_size = sizeof(sockaddr_in) if address.common.sa_family == AF_INET else sizeof(sockaddr_in6)
        self.flow.outgoing = fd
        self._outgoing = outgoing
        self.flow.has_way = True

    def expect(self, source, int strays=MAX_BATCH):
        """Whose packets are passed on, and how many of others are given back in a turn, not refused."""
        self.flow.has_source = False
        if source is not None:
            self.flow.source = _address_or_raise(source)
            self.flow.has_source = True
        self.flow.strays = max(0, min(strays, MAX_BATCH))

    def secure(self, opener, sealer):
        """What comes to the socket is SRTP, and opened; what leaves by the way out is sealed.

        Packets of sources (SSRCs) that were not heard yet are given back, as strangers' are.
        """
        cdef size_t open_function = 0, open_session = 0, seal_function = 0, seal_session = 0
        if opener is not None:
            open_function, open_session = opener.function, opener.session
        if sealer is not None:
            seal_function, seal_session = sealer.function, sealer.session
        if (opener is not None and not (open_function and open_session)) or \
                (sealer is not None and not (seal_function and seal_session)):
            raise ValueError("a cipher without an address")
        self.flow.open_function = <srtp_function>open_function
        self.flow.open_session = <void*>open_session
        self.flow.seal_function = <srtp_function>seal_function
        self.flow.seal_session = <void*>seal_session
        # They keep the sessions.
        self._opener, self._sealer = opener, sealer

    def translate(self, types, rates, events=()):
        """Payload types as they come -> as they go on, their clock rates, and which are telephone events.

        ValueError for what is no payload type (0 to 127) or no rate (1 to a million).
        """
        cdef unsigned char wanted[128]
        cdef unsigned char is_event[128]
        cdef unsigned int hertz[128]
        cdef int number
        memset(wanted, NO_TYPE, 128)
        memset(is_event, 0, 128)
        for number in range(128):
            hertz[number] = 8000
        for one, other in types.items():
            wanted[_checked_type(one)] = _checked_type(other)
        for one, rate in rates.items():
            if not 1 <= rate <= HIGHEST_RATE:
                raise ValueError("not a clock rate")
            hertz[_checked_type(one)] = rate
        for one in events:
            is_event[_checked_type(one)] = 1
        memcpy(self.flow.types, wanted, sizeof(wanted))
        memcpy(self.flow.is_event, is_event, sizeof(is_event))
        memcpy(self.flow.rates, hertz, sizeof(hertz))

    def pass_on(self, packets, unsigned long long now):
        """Pass on plain packets that are believed already: (those that cannot be sent here, events).

        They cannot be sent without a way out, or where they must be sealed.
        """
        cdef list wanted = list(packets), unsent = [], events = []
        cdef bint has_way = self.flow.has_way and self.flow.seal_function == NULL
        cdef mmsghdr messages[MAX_BATCH]
        cdef iovec parts[MAX_BATCH][2]
        cdef unsigned char heads[MAX_BATCH][2]
        cdef unsigned int sizes[MAX_BATCH]
        cdef int verdict, waiting = 0
        cdef unsigned char* data
        cdef Py_ssize_t size
        for packet in wanted:
            data = <unsigned char*>PyBytes_AS_STRING(<bytes?>packet)
            size = PyBytes_GET_SIZE(packet)
            verdict = judge_packet(&self.flow, data, size, now, &heads[waiting][1])
            if not verdict & IS_PASSED:
                continue
            heads[waiting][0] = data[0]
            if verdict & IS_EVENT or not has_way:
                passed = packet if heads[waiting][1] == data[1] else _with_second(data, size, heads[waiting][1])
                if verdict & IS_EVENT and size <= LONGEST_EVENT:
                    events.append(passed)
                if not has_way:
                    unsent.append(passed)
                    continue
            _lay_out(&self.flow, &messages[waiting], parts[waiting], heads[waiting], data, size)
            sizes[waiting] = <unsigned int>size
            waiting += 1
            if waiting == MAX_BATCH:
                send_many(&self.flow, messages, sizes, waiting)
                waiting = 0
        send_many(&self.flow, messages, sizes, waiting)
        return unsent, events

    @property
    def limit(self):
        return self.flow.limit

    @limit.setter
    def limit(self, long long limit):
        self.flow.limit = limit

    @property
    def packets(self):
        return self.flow.packets

    @property
    def octets(self):
        return self.flow.octets

    @property
    def sent(self):
        return self.flow.sent

    @property
    def sent_octets(self):
        return self.flow.sent_octets

    @property
    def refused(self):
        return self.flow.refused

    @property
    def malformed(self):
        return self.flow.malformed

    @property
    def unmapped(self):
        return self.flow.unmapped

    @property
    def excess(self):
        return self.flow.excess

    @property
    def errors(self):
        return self.flow.errors

    @property
    def last_at(self):
        return self.flow.last_at

    @property
    def lost(self):
        """Packets that never came, of all sources."""
        cdef long long lost = self.flow.lost_before
        cdef int place
        for place in range(self.flow.source_count):
            lost += lost_of(&self.flow.sources[place])
        return lost

    @property
    def ssrc(self):
        """The source that was heard last."""
        return self.flow.sources[self.flow.heard].ssrc if self.flow.heard >= 0 else None

    @property
    def jitter(self):
        """Its jitter in seconds."""
        cdef RelaySource* source = &self.flow.sources[max(0, self.flow.heard)]
        if self.flow.heard < 0 or not source.rate:
            return 0.0
        return <double>(source.jitter >> 4) / <double>source.rate


cdef bytes _with_second(Octets data, Py_ssize_t size, unsigned char second):
    cdef bytes copied = PyBytes_FromStringAndSize(<const char*>data, size)
    (<unsigned char*>PyBytes_AS_STRING(copied))[1] = second
    return copied


cdef void _lay_out(RelayFlow* flow, mmsghdr* message, iovec* parts, unsigned char* head, unsigned char* data,
                   Py_ssize_t size) noexcept:
    """A message of two parts, so that an object that nobody may change needs no copy: two octets, and the rest."""
    memset(message, 0, sizeof(mmsghdr))
    parts[0].iov_base = head
    parts[0].iov_len = 2
    parts[1].iov_base = data + 2
    parts[1].iov_len = size - 2
    message.msg_hdr.msg_iov = parts
    message.msg_hdr.msg_iovlen = 2
    message.msg_hdr.msg_name = &flow.destination
    message.msg_hdr.msg_namelen = flow.destination_size


cdef inline bytes _received(RelayRoom* room, int place):
    return PyBytes_FromStringAndSize(<const char*>room.incoming_parts[place].iov_base, room.incoming[place].msg_len)


@cython.final
cdef class RelayBoard:
    """All paths of a loop. A `turn` serves the sockets that are ready; `datagrams` says how many it read."""

    cdef object _poller
    cdef dict _paths
    cdef RelayFlow** _flows
    cdef int _flow_room
    cdef RelayRoom* _room
    cdef bint _is_turning
    cdef int _pulse
    cdef readonly int datagrams

    def __cinit__(self, poller):
        cdef int place
        self._poller = poller
        self._paths = {}
        self._pulse = -1
        self._room = <RelayRoom*>malloc(sizeof(RelayRoom))
        if self._room == NULL:
            raise MemoryError
        # 4 MB of addresses, of which only the pages that were ever written take memory.
        self._room.octets = <unsigned char*>malloc(MAX_BATCH * RELAY_ROOM)
        if self._room.octets == NULL:
            raise MemoryError
        memset(self._room.incoming, 0, sizeof(self._room.incoming))
        memset(self._room.outgoing, 0, sizeof(self._room.outgoing))
        for place in range(MAX_BATCH):
            self._room.incoming_parts[place].iov_base = self._room.octets + <size_t>place * RELAY_ROOM
            self._room.incoming_parts[place].iov_len = LARGEST_DATAGRAM
            self._room.incoming[place].msg_hdr.msg_iov = &self._room.incoming_parts[place]
            self._room.incoming[place].msg_hdr.msg_iovlen = 1
            self._room.incoming[place].msg_hdr.msg_name = &self._room.sources[place]
            self._room.outgoing[place].msg_hdr.msg_iov = &self._room.outgoing_parts[place]
            self._room.outgoing[place].msg_hdr.msg_iovlen = 1

    def __dealloc__(self):
        if self._room != NULL:
            free(self._room.octets)
        free(self._room)
        free(self._flows)
        if self._pulse >= 0:
            close(self._pulse)

    def __len__(self):
        return len(self._paths)

    def watch(self, incoming, RelayPath path not None):
        """Let the path have what comes to a socket. ValueError when either is watched already."""
        cdef int fd = incoming.fileno()
        self._be_still()
        if fd in self._paths or path.flow.incoming >= 0:
            raise ValueError("watched already")
        if fd >= 0:
            self._make_place(fd)
        self._poller.register(fd, 1)
        path.flow.incoming = fd
        path._incoming = incoming
        self._paths[fd] = path
        self._flows[fd] = &path.flow

    def forget(self, RelayPath path not None):
        """No more; to be called before the socket is closed."""
        cdef int fd = path.flow.incoming
        self._be_still()
        if fd >= 0 and self._paths.get(fd) is path:
            self._flows[fd] = NULL
            path.flow.incoming = -1
            path._incoming = None
            del self._paths[fd]
            self._poller.unregister(fd)

    def pulse(self, long long period):
        """A descriptor that can be read each `period` nanoseconds from now on, until the next turn; 0: never.

        -1 where there is no such thing. It belongs to the board.
        """
        cdef itimerspec wanted
        if self._pulse < 0:
            self._pulse = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)
        wanted.it_interval.tv_sec = wanted.it_value.tv_sec = max(0, period) // NANOSECONDS
        wanted.it_interval.tv_nsec = wanted.it_value.tv_nsec = max(0, period) % NANOSECONDS
        if self._pulse >= 0 and timerfd_settime(self._pulse, 0, &wanted, NULL):
            PyErr_SetFromErrno(OSError)
        return self._pulse

    def turn(self, unsigned long long now):
        """Serve who is ready, and give back what is not for the relay."""
        cdef list given = []
        cdef int poller = self._poller.fileno()
        self._be_still()
        self._is_turning = True
        try:
            self._serve(poller, now, given)
        finally:
            self._is_turning = False
        return given

    cdef int _serve(self, int poller, unsigned long long now, list given) except -1:
        cdef RelayFlow* flow
        cdef int count, place, fd, found, for_python, datagrams = 0
        cdef unsigned long long pulses
        with nogil:
            if self._pulse >= 0:
                read(self._pulse, &pulses, sizeof(pulses))
            count = epoll_wait(poller, self._room.ready, RELAY_AT_ONCE, 0)
            for place in range(count):
                fd = self._room.ready[place].data.fd
                flow = self._flows[fd] if 0 <= fd < self._flow_room else NULL
                if flow == NULL:
                    continue
                found = drain_socket(flow, self._room, now, &for_python)
                datagrams += found
                if for_python:
                    with gil:
                        self._give(self._paths[fd], found, given)
        self.datagrams = datagrams
        return 0

    cdef int _give(self, RelayPath path, int count, list given) except -1:
        """Make objects of what is not dealt with. Nobody fills the room meanwhile: a turn within a turn is refused."""
        cdef RelayRoom* room = self._room
        cdef int place, verdict
        for place in range(count):
            verdict = room.verdicts[place]
            if verdict & IS_DROPPED:
                continue
            if verdict == IS_STRAY:
                given.append((path, STRAY, _received(room, place), remote_of(&room.sources[place])))
                continue
            if verdict & IS_UNSENT:
                given.append((path, UNSENT, _received(room, place), None))
            if verdict & IS_EVENT:
                event = PyBytes_FromStringAndSize(<const char*>room.events[place], room.event_sizes[place])
                given.append((path, EVENT, event, None))
        return 0

    cdef int _make_place(self, int fd) except -1:
        cdef int room = max(64, self._flow_room), place
        cdef RelayFlow** flows
        if fd < self._flow_room:
            return 0
        while room <= fd:
            room *= 2
        flows = <RelayFlow**>realloc(self._flows, <size_t>room * sizeof(RelayFlow*))
        if flows == NULL:
            raise MemoryError
        for place in range(self._flow_room, room):
            flows[place] = NULL
        self._flows = flows
        self._flow_room = room
        return 0

    cdef int _be_still(self) except -1:
        # A finalizer may run while objects are made, and another thread while the sockets are read.
        if self._is_turning:
            raise RuntimeError("the board is in the middle of a turn")
        return 0
