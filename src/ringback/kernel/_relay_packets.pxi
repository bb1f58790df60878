# SPDX-License-Identifier: Apache-2.0
# What is to be known of one packet that is passed on? Checks, counts, loss and jitter. Part of the twin of
# `_reference_relay.py`.
#
# A packet stays in the buffer it was received into, and is sent from there: no object, no copy. SRTP is opened and sealed
# in that buffer, by the libsrtp that Python uses, too. The interpreter lock is given up for a whole turn, and taken only
# for what is given back.

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
